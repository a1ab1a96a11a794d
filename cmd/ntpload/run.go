//go:build linux

package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"github.com/spf13/cobra"

	"ntsbridge/cmd/ntpload/internal/load"
	"ntsbridge/nts/aead"
	"ntsbridge/symkey"
)

// runFlags are the flags of run, as given.
type runFlags struct {
	load.Config
	server, from string
	auth         string
	keys         string
	key          uint32
	aead         uint16
	ke, ca, name string
	sessions     int
	ready        time.Duration
	format       string
	steps        bool
}

func newRun() *cobra.Command {
	var r runFlags
	cmd := &cobra.Command{
		Use:   "run --server ADDRESS:PORT",
		Short: "Load one server",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := r.parse(); err != nil {
				return err
			}
			return fail(r.run(cmd))
		},
	}
	f := cmd.Flags()
	f.StringVar(&r.server, "server", "", "address and UDP port of the server")
	f.StringVar(&r.from, "from", "", "prefix to take source addresses from, one per socket; must be routed as local")
	f.IntVar(&r.Sockets, "sockets", 32, "sockets, each with its own source port")
	f.IntVar(&r.Window, "window", 4, "requests outstanding per socket")
	f.IntVar(&r.Rate, "rate", 0, "requests per second; 0 sends as fast as answers come")
	f.DurationVar(&r.Warmup, "warmup", 200*time.Millisecond, "load before counting begins")
	f.DurationVar(&r.Time, "time", time.Second, "counted interval")
	f.DurationVar(&r.Timeout, "timeout", 500*time.Millisecond, "after which a request counts as lost")
	f.IntVar(&r.Sample, "sample", 64, "verify the authenticator of every n-th answer")
	f.IntVar(&r.PID, "pid", 0, "server process whose CPU time is measured")
	f.StringVar(&r.auth, "auth", "none", "none, key or nts")
	f.StringVar(&r.keys, "keys", "", "file of symmetric keys (ntp.keys or chrony.keys)")
	f.Uint32Var(&r.key, "key", 1, "identifier of the symmetric key")
	f.Uint16Var(&r.aead, "aead", 15, "AEAD algorithm of NTS: 15, 16, 17 or 30")
	f.StringVar(&r.ke, "ke", "", "address and TCP port of the NTS-KE server; default: the server's address, port 4460")
	f.StringVar(&r.ca, "ca", "", "file of certificates to trust for NTS-KE; default: the system's")
	f.StringVar(&r.name, "name", "", "name in the NTS-KE server's certificate; default: its address")
	f.IntVar(&r.sessions, "sessions", 4, "NTS associations")
	f.DurationVar(&r.ready, "ready", 0, "wait this long for the server to start")
	f.StringVar(&r.format, "format", "text", "text or json")
	f.BoolVar(&r.steps, "steps", false, "measure once for each line of standard input")
	_ = f.MarkHidden("steps")
	_ = cmd.MarkFlagRequired("server")
	return cmd
}

func (r *runFlags) run(cmd *cobra.Command) error {
	ctx := cmd.Context()
	if r.ready > 0 {
		if err := load.Await(ctx, r.Server, r.ready); err != nil {
			return err
		}
	}
	maker, err := r.maker(ctx)
	if err != nil {
		return err
	}
	engine, err := load.Open(r.Config, maker)
	if err != nil {
		return err
	}
	defer engine.Close()
	if !r.steps {
		return r.step(cmd, engine)
	}
	for lines := bufio.NewScanner(cmd.InOrStdin()); lines.Scan(); {
		if err := r.step(cmd, engine); err != nil {
			return err
		}
	}
	return nil
}

func (r *runFlags) step(cmd *cobra.Command, engine *load.Engine) error {
	res, err := engine.Slice(cmd.Context())
	if err != nil {
		return err
	}
	if r.format == "json" {
		return json.NewEncoder(cmd.OutOrStdout()).Encode(res)
	}
	return res.WriteText(cmd.OutOrStdout(), r.PID != 0)
}

// parse checks the flags and fills in the generator's configuration.
func (r *runFlags) parse() (err error) {
	if r.Server, err = netip.ParseAddrPort(r.server); err != nil {
		return fmt.Errorf("--server: %w", err)
	}
	if r.from != "" {
		if r.From, err = netip.ParsePrefix(r.from); err != nil {
			return fmt.Errorf("--from: %w", err)
		}
	}
	if r.format != "text" && r.format != "json" {
		return fmt.Errorf("--format %q is neither text nor json", r.format)
	}
	if r.auth != "none" && r.auth != "key" && r.auth != "nts" {
		return fmt.Errorf("--auth %q is none of none, key, nts", r.auth)
	}
	if r.sessions < 1 {
		return errors.New("--sessions must be at least 1")
	}
	return r.Check()
}

// maker makes what the flags ask for.
func (r *runFlags) maker(ctx context.Context) (load.Maker, error) {
	switch r.auth {
	case "key":
		return r.symmetric()
	case "nts":
		return r.nts(ctx)
	}
	return load.Plain{}, nil
}

func (r *runFlags) symmetric() (load.Maker, error) {
	data, err := os.ReadFile(r.keys)
	if err != nil {
		return nil, fmt.Errorf("--keys: %w", err)
	}
	file, err := symkey.ParseAuto(r.keys, data)
	if err != nil {
		return nil, fmt.Errorf("--keys: %w", err)
	}
	for _, k := range file.Keys {
		if k.ID() == r.key {
			return load.NewSymmetric(k), nil
		}
	}
	return nil, fmt.Errorf("--keys %s: there is no usable key %d in it", r.keys, r.key)
}

func (r *runFlags) nts(ctx context.Context) (load.Maker, error) {
	config := &tls.Config{ServerName: r.name, MinVersion: tls.VersionTLS13}
	if r.ca != "" {
		pem, err := os.ReadFile(r.ca)
		if err != nil {
			return nil, fmt.Errorf("--ca: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("--ca %s: no certificate in it", r.ca)
		}
	}
	address := r.ke
	if address == "" {
		address = netip.AddrPortFrom(r.Server.Addr(), 4460).String()
	}
	return load.Establish(ctx, address, config, aead.ID(r.aead), r.sessions, max(r.ready, time.Second))
}
