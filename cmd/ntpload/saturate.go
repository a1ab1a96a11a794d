//go:build linux

package main

import (
	"errors"
	"io"
	"time"

	"github.com/spf13/cobra"

	"ntsbridge/cmd/ntpload/internal/rig"
)

func newSaturate() *cobra.Command {
	var c rig.Config
	var a, b string
	var markdown, quiet bool
	cmd := &cobra.Command{
		Use:   "saturate --a SERVER --b SERVER",
		Short: "Measure how many plain answers two servers give on one core (root)",
		Long: `Flood two servers, one after the other, each with one core for itself and for the
thread that receives, by frames that the kernel makes (XDP in live-frame mode),
and print the most answers per second, over several rates of requests. SERVER is
as for compare.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if c.A, err = rig.ParseSpec(a); err != nil {
				return err
			}
			if c.B, err = rig.ParseSpec(b); err != nil {
				return err
			}
			if c.Rounds < 1 {
				return errors.New("--rounds must be at least 1")
			}
			c.Progress = cmd.ErrOrStderr()
			if quiet {
				c.Progress = io.Discard
			}
			t, err := rig.Saturate(cmd.Context(), c)
			if err != nil {
				return fail(err)
			}
			if markdown {
				return fail(t.WriteMarkdown(cmd.OutOrStdout()))
			}
			return fail(t.WriteText(cmd.OutOrStdout()))
		},
	}
	f := cmd.Flags()
	f.StringVar(&a, "a", "chronyd", "the server to compare with")
	f.StringVar(&b, "b", "ntsbridge", "the server to compare")
	f.IntVar(&c.Rounds, "rounds", 5, "rounds")
	f.DurationVar(&c.Time, "time", 300*time.Millisecond, "counted interval at each rate")
	f.IntVar(&c.ServerCore, "server-core", 0, "core of the server and of the thread that receives")
	f.IntVar(&c.GeneratorCore, "generator-core", 1, "core of the generator")
	f.BoolVar(&c.First, "first", false, "run all of it before other processes (SCHED_FIFO), for a busy machine")
	f.BoolVar(&markdown, "markdown", false, "a table for a document")
	f.BoolVar(&quiet, "quiet", false, "no line per round")
	return cmd
}
