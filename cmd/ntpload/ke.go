//go:build linux

package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"ntsbridge/cmd/ntpload/internal/load"
	"ntsbridge/cmd/ntpload/internal/rig"
)

// keGroups are the key exchanges that a client may be restricted to.
var keGroups = map[string]tls.CurveID{"hybrid": tls.X25519MLKEM768, "x25519": tls.X25519, "p256": tls.CurveP256}

// parseKEServer reads ADDRESS,pid=NUMBER.
func parseKEServer(text string) (load.KEServer, error) {
	address, rest, ok := strings.Cut(text, ",pid=")
	pid, err := strconv.Atoi(rest)
	if !ok || err != nil || pid < 1 {
		return load.KEServer{}, fmt.Errorf("%q: want ADDRESS:PORT,pid=NUMBER", text)
	}
	return load.KEServer{Address: address, PID: pid}, nil
}

type keFlags struct {
	load.KEConfig
	ca, name, group, format string
	a, b                    string
	compare                 rig.KEConfig
	quiet                   bool
}

func newKE() *cobra.Command {
	var f keFlags
	cmd := &cobra.Command{
		Use:   "ke {ADDRESS:PORT,pid=NUMBER... | --a SERVER --b SERVER}",
		Short: "Measure the CPU time that NTS key establishments cost servers",
		Long: `Establish keys with servers, which take turns, one connection after the other, and print the CPU time of
each server's process, with those that it started, per establishment.

With addresses, of servers that run: the median over the turns, and its ratio to the first server's. Which
certificate a server has is its own affair.

With --a and --b (root), as "compare" does: both are started on one core, with each kind of certificate, and asked by
a client that offers each key exchange alone. What one of them does not know is told so, and the other one measured.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case f.Count < 1 || f.Slices < 1:
				return errors.New("--count and --slices must be at least 1")
			case len(args) > 0:
				return f.running(cmd, args)
			case f.a == "" || f.b == "":
				return errors.New("name running servers, or --a and --b")
			}
			return f.sideBySide(cmd)
		},
	}
	cmd.Flags().StringVar(&f.ca, "ca", "", "PEM `FILE` of the authorities of running servers' certificates")
	cmd.Flags().StringVar(&f.name, "name", "", "name of running servers' certificates; default: the address")
	cmd.Flags().StringVar(&f.group, "group", "hybrid", "key exchange: hybrid (X25519MLKEM768), x25519, p256; with --a and --b several")
	cmd.Flags().IntVar(&f.Count, "count", 200, "handshakes of a turn")
	cmd.Flags().IntVar(&f.Slices, "slices", 7, "turns of each server")
	cmd.Flags().DurationVar(&f.Patience, "ready", 0, "wait this long for running servers to start")
	cmd.Flags().StringVar(&f.format, "format", "text", "text, json (running servers), markdown (--a and --b)")
	cmd.Flags().StringVar(&f.a, "a", "", "the server to compare with, as in \"compare\"")
	cmd.Flags().StringVar(&f.b, "b", "", "the server to compare")
	cmd.Flags().StringSliceVar(&f.compare.Certificates, "certificates", rig.CertificateKinds, "kinds of certificates")
	cmd.Flags().IntVar(&f.compare.ServerCore, "server-core", 0, "core of the servers")
	cmd.Flags().IntVar(&f.compare.GeneratorCore, "generator-core", 1, "core of the client")
	cmd.Flags().BoolVar(&f.compare.First, "first", false, "run servers and client before all other processes (SCHED_FIFO)")
	cmd.Flags().BoolVar(&f.quiet, "quiet", false, "no line per kind")
	return cmd
}

// running measures servers that somebody started.
func (f *keFlags) running(cmd *cobra.Command, args []string) error {
	var servers []load.KEServer
	for _, a := range args {
		s, err := parseKEServer(a)
		if err != nil {
			return err
		}
		servers = append(servers, s)
	}
	var err error
	if f.TLS, err = f.config(); err != nil {
		return err
	}
	cpu, err := load.KESlices(cmd.Context(), f.KEConfig, servers)
	if err != nil {
		return fail(err)
	}
	if f.format == "json" {
		return json.NewEncoder(cmd.OutOrStdout()).Encode(cpu)
	}
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "server\tCPU per handshake\tratio")
	for i, s := range servers {
		own, first := rig.MedianOf(cpu[i]), rig.MedianOf(cpu[0])
		fmt.Fprintf(w, "%s\t%v\t%.2f\n", s.Address, own.Round(time.Microsecond), float64(own)/float64(max(1, first)))
	}
	return w.Flush()
}

func (f *keFlags) config() (*tls.Config, error) {
	group, ok := keGroups[f.group]
	if !ok {
		return nil, fmt.Errorf("--group %q is none of hybrid, x25519, p256", f.group)
	}
	text, err := os.ReadFile(f.ca)
	if err != nil {
		return nil, fmt.Errorf("--ca: %w", err)
	}
	c := &tls.Config{RootCAs: x509.NewCertPool(), ServerName: f.name, CurvePreferences: []tls.CurveID{group}}
	if !c.RootCAs.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("--ca: %s has no certificate in it", f.ca)
	}
	return c, nil
}

// sideBySide measures two servers that it starts.
func (f *keFlags) sideBySide(cmd *cobra.Command) error {
	var errA, errB error
	f.compare.A, errA = rig.ParseSpec(f.a)
	f.compare.B, errB = rig.ParseSpec(f.b)
	if err := errors.Join(errA, errB); err != nil {
		return err
	}
	f.compare.Groups = []string{"x25519", "hybrid"}
	if cmd.Flags().Changed("group") {
		f.compare.Groups = strings.Split(f.group, ",")
	}
	for _, g := range f.compare.Groups {
		if _, ok := keGroups[g]; !ok {
			return fmt.Errorf("--group %q is none of hybrid, x25519, p256", g)
		}
	}
	f.compare.Count, f.compare.Slices = f.Count, f.Slices
	f.compare.Progress = cmd.ErrOrStderr()
	if f.quiet {
		f.compare.Progress = io.Discard
	}
	return fail(compareKE(cmd.Context(), &f.compare, cmd.OutOrStdout(), f.format))
}

func compareKE(ctx context.Context, c *rig.KEConfig, out io.Writer, format string) error {
	t, err := rig.CompareKE(ctx, c)
	if err != nil {
		return err
	}
	if format == "markdown" {
		return t.WriteMarkdown(out)
	}
	return t.WriteText(out)
}
