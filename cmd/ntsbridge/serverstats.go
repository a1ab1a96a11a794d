package main

import (
	"io"
	"time"

	"github.com/spf13/cobra"
)

func newServerStatsCommand() *cobra.Command {
	var f daemonFlags
	var asJSON bool
	var interval time.Duration
	cmd := &cobra.Command{
		Use:   "serverstats",
		Short: "Print the counters of the running server",
		Long:  "Print the counters of the running server: chronyc's serverstats first, then requests by\nkind of authentication, version and reason, and what was sent.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := f.client()
			if err != nil {
				return err
			}
			return watch(interval, cmd.OutOrStdout(), func(out io.Writer) error {
				stats, err := client.ServerStats()
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(out, stats)
				}
				return stats.WriteText(out)
			})
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	addWatchFlag(cmd, &interval)
	return cmd
}
