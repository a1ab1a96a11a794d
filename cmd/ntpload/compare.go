//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"ntsbridge/cmd/ntpload/internal/rig"
)

func newCompare() *cobra.Command {
	var c rig.Config
	var a, b, kinds, format string
	var quiet bool
	cmd := &cobra.Command{
		Use:   "compare --a SERVER --b SERVER",
		Short: "Measure two servers side by side (root)",
		Long: `Measure the CPU time per answer of two servers side by side, each on one core,
over a veth pair between two network namespaces that are made and removed.

SERVER is one of
  chronyd[,bin=PATH][,root=DIR][,noclientlog][,bound]
  ntsbridge[,bin=PATH][,bound][,noclients][,planned][,fastpath=tcx|xdp]   planned: a plan of 10,000 prefixes is in force
  echo[,FLAG=VALUE...]         the floor, kind none only
  exec:COMMAND                 {dir} has keys, server.crt, server.key; {addr} is the address`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if c.A, err = rig.ParseSpec(a); err != nil {
				return err
			}
			if c.B, err = rig.ParseSpec(b); err != nil {
				return err
			}
			if c.Kinds, err = rig.ParseKinds(kinds); err != nil {
				return err
			}
			c.Progress = cmd.ErrOrStderr()
			if quiet {
				c.Progress = io.Discard
			}
			if !slices.Contains([]string{"text", "markdown", "both"}, format) {
				return fmt.Errorf("--format %q is none of text, markdown, both", format)
			}
			if c.Rounds < 1 || c.Slices < 1 {
				return errors.New("--rounds and --slices must be at least 1")
			}
			t, err := rig.Compare(cmd.Context(), c)
			if err != nil {
				return fail(err)
			}
			return fail(write(cmd.OutOrStdout(), t, format))
		},
	}
	f := cmd.Flags()
	f.StringVar(&a, "a", "chronyd", "the server to compare with")
	f.StringVar(&b, "b", "ntsbridge", "the server to compare")
	f.StringVar(&kinds, "kinds", "", "kinds separated by commas; default: all")
	f.IntVar(&c.Rounds, "rounds", 7, "rounds per kind; 5 at least for figures to publish")
	f.IntVar(&c.Slices, "slices", 6, "how often the servers take turns in a round")
	f.DurationVar(&c.Time, "time", 100*time.Millisecond, "counted interval of a slice")
	f.DurationVar(&c.Warmup, "warmup", 20*time.Millisecond, "load before counting begins")
	f.IntVar(&c.Sockets, "sockets", 32, "clients, each with its own address and port")
	f.IntVar(&c.Window, "window", 4, "requests outstanding per client")
	f.IntVar(&c.Rate, "rate", 0, "requests per second; 0 sends as fast as answers come")
	f.IntVar(&c.ServerCore, "server-core", 0, "core of the servers")
	f.IntVar(&c.GeneratorCore, "generator-core", 1, "core of the generator")
	f.BoolVar(&c.First, "first", false, "run servers and generator before all other processes (SCHED_FIFO), for a busy machine")
	f.StringVar(&format, "format", "text", "text, markdown or both")
	f.BoolVar(&quiet, "quiet", false, "no line per round")
	return cmd
}

// write prints the table; kinds that failed make it an error.
func write(w io.Writer, t *rig.Table, format string) error {
	if format != "markdown" {
		if err := t.WriteText(w); err != nil {
			return err
		}
	}
	if format != "text" {
		if err := t.WriteMarkdown(w); err != nil {
			return err
		}
	}
	return t.Err()
}
