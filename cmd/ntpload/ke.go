//go:build linux

package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"ntsbridge/cmd/ntpload/internal/load"
	"ntsbridge/nts/aead"
)

// keGroups are the key exchanges that a client may be restricted to.
var keGroups = map[string]tls.CurveID{"hybrid": tls.X25519MLKEM768, "x25519": tls.X25519, "p256": tls.CurveP256}

// keServer is a server whose key establishments are measured.
type keServer struct {
	address string
	pid     int
	cpu     []time.Duration // per handshake, of each slice
}

// parseKEServer reads ADDRESS,pid=NUMBER.
func parseKEServer(text string) (*keServer, error) {
	address, rest, ok := strings.Cut(text, ",pid=")
	pid, err := strconv.Atoi(rest)
	if !ok || err != nil || pid < 1 {
		return nil, fmt.Errorf("%q: want ADDRESS:PORT,pid=NUMBER", text)
	}
	return &keServer{address: address, pid: pid}, nil
}

type keFlags struct {
	ca, name, group string
	count, slices   int
}

func newKE() *cobra.Command {
	var f keFlags
	cmd := &cobra.Command{
		Use:   "ke ADDRESS:PORT,pid=NUMBER...",
		Short: "Measure the CPU time that NTS key establishments cost running servers",
		Long: `Establish keys with running servers, which take turns, one connection after the other, and print the CPU
time of each server's process per establishment: the median over the turns, and its ratio to the first
server's. Which certificate a server has is its own affair: run it with each kind.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var servers []*keServer
			for _, a := range args {
				s, err := parseKEServer(a)
				if err != nil {
					return err
				}
				servers = append(servers, s)
			}
			conf, err := f.config()
			if err != nil {
				return err
			}
			if err := f.run(cmd.Context(), conf, servers); err != nil {
				return fail(err)
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "server\tCPU per handshake\tratio")
			for _, s := range servers {
				fmt.Fprintf(w, "%s\t%v\t%.2f\n", s.address, s.median().Round(time.Microsecond),
					float64(s.median())/float64(max(1, servers[0].median())))
			}
			return w.Flush()
		},
	}
	cmd.Flags().StringVar(&f.ca, "ca", "", "PEM `FILE` of the authorities of the servers' certificates")
	cmd.Flags().StringVar(&f.name, "name", "", "name of the certificates; default: the address")
	cmd.Flags().StringVar(&f.group, "group", "hybrid", "key exchange: hybrid (X25519MLKEM768), x25519, p256")
	cmd.Flags().IntVar(&f.count, "count", 200, "handshakes of a turn")
	cmd.Flags().IntVar(&f.slices, "slices", 7, "turns of each server")
	return cmd
}

func (f *keFlags) config() (*tls.Config, error) {
	group, ok := keGroups[f.group]
	if !ok {
		return nil, fmt.Errorf("--group %q is none of hybrid, x25519, p256", f.group)
	}
	if f.count < 1 || f.slices < 1 {
		return nil, errors.New("--count and --slices must be at least 1")
	}
	text, err := os.ReadFile(f.ca)
	if err != nil {
		return nil, err
	}
	c := &tls.Config{RootCAs: x509.NewCertPool(), ServerName: f.name, CurvePreferences: []tls.CurveID{group}}
	if !c.RootCAs.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s has no certificate in it", f.ca)
	}
	return c, nil
}

func (f *keFlags) run(ctx context.Context, conf *tls.Config, servers []*keServer) error {
	for range f.slices {
		for _, s := range servers {
			before, err := cpuOf(s.pid)
			if err != nil {
				return err
			}
			for range f.count {
				if _, err := load.Establish(ctx, s.address, conf, aead.AESSIVCMAC256, 1, 0); err != nil {
					return fmt.Errorf("%s: %w", s.address, err)
				}
			}
			after, err := cpuOf(s.pid)
			if err != nil {
				return err
			}
			s.cpu = append(s.cpu, (after-before)/time.Duration(f.count))
		}
	}
	return nil
}

func (s *keServer) median() time.Duration {
	sorted := slices.Sorted(slices.Values(s.cpu))
	if len(sorted) == 0 {
		return 0
	}
	return sorted[len(sorted)/2]
}

// cpuOf returns the CPU time that a process, with its threads, has had, by the
// scheduler's own count.
func cpuOf(pid int) (total time.Duration, err error) {
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return 0, err
	}
	for _, t := range tasks {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/schedstat", pid, t.Name()))
		if err != nil {
			continue // it ended
		}
		first, _, _ := strings.Cut(string(text), " ")
		n, err := strconv.ParseInt(first, 10, 64)
		if err != nil {
			return 0, err
		}
		total += time.Duration(n)
	}
	return total, nil
}
