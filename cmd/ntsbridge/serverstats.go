package main

import (
	"encoding/json"
	"path/filepath"

	"github.com/spf13/cobra"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/control"
)

func newServerStatsCommand() *cobra.Command {
	var configFile, runDir string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "serverstats",
		Short: "Print the counters of the running server",
		Long:  "Print the counters of the running server: chronyc's serverstats first, then requests by\nkind of authentication, version and reason, and what was sent.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			socket, err := controlSocket(configFile, runDir)
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
	cmd.Flags().StringVarP(&configFile, "config", "c", "", "configuration `FILE` of the running server")
	addDirFlags(cmd, nil, &runDir)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// controlSocket returns the socket of the daemon that was started with the
// same configuration and run directory.
func controlSocket(configFile, runDir string) (string, error) {
	cfg := config.Default()
	if configFile != "" {
		var err error
		if cfg, err = config.Load(configFile); err != nil {
			return "", err
		}
	}
	if runDir != "" {
		abs, err := filepath.Abs(runDir)
		if err != nil {
			return "", err
		}
		cfg.RunDir = abs
	}
	cfg.Resolve(config.CurrentEnvironment())
	return cfg.Control.Socket, nil
}
