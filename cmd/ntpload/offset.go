//go:build linux

package main

import (
	"errors"

	"github.com/spf13/cobra"

	"ntsbridge/cmd/ntpload/internal/rig"
)

func newOffset() *cobra.Command {
	var c rig.Config
	var a, b string
	var requests int
	cmd := &cobra.Command{
		Use:   "offset --a SERVER --b SERVER",
		Short: "Measure by how much a client of two servers is wrong (root)",
		Long: `Ask two servers on this machine's clock in turn, one request a millisecond, by a
client with the kernel's timestamps, and print the median of what it finds its
clock to be off. SERVER is as for compare.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if c.A, err = rig.ParseSpec(a); err != nil {
				return err
			}
			if c.B, err = rig.ParseSpec(b); err != nil {
				return err
			}
			if c.Rounds < 1 || requests < 1 {
				return errors.New("--rounds and --requests must be at least 1")
			}
			c.Progress = cmd.ErrOrStderr()
			t, err := rig.Offset(cmd.Context(), c, requests)
			if err != nil {
				return fail(err)
			}
			return fail(t.WriteText(cmd.OutOrStdout()))
		},
	}
	f := cmd.Flags()
	f.StringVar(&a, "a", "chronyd", "the server to compare with")
	f.StringVar(&b, "b", "ntsbridge", "the server to compare")
	f.IntVar(&c.Rounds, "rounds", 5, "rounds")
	f.IntVar(&requests, "requests", 1000, "requests of a round to each server")
	f.IntVar(&c.ServerCore, "server-core", 0, "core of the servers")
	f.IntVar(&c.GeneratorCore, "generator-core", 1, "core of the client")
	f.BoolVar(&c.First, "first", false, "run all of it before other processes (SCHED_FIFO), for a busy machine")
	return cmd
}
