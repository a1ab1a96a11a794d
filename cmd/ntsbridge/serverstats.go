package main

import (
	"encoding/json"

	"github.com/spf13/cobra"

	"ntsbridge/bridge/control"
)

func newServerStatsCommand() *cobra.Command {
	var f daemonFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "serverstats",
		Short: "Print the counters of the running server",
		Long:  "Print the counters of the running server: chronyc's serverstats first, then requests by\nkind of authentication, version and reason, and what was sent.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			socket, err := f.socket()
			if err != nil {
				return err
			}
			stats, err := control.NewClient(socket).ServerStats()
			if err != nil {
				return err
			}
			if asJSON {
				e := json.NewEncoder(cmd.OutOrStdout())
				e.SetIndent("", "  ")
				return e.Encode(stats)
			}
			return stats.WriteText(cmd.OutOrStdout())
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
