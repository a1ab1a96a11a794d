package main

import (
	"io"

	"github.com/spf13/cobra"
)

func newReloadCommand() *cobra.Command {
	var f daemonFlags
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Let the running daemon read its configuration again",
		Long: "Let the running daemon read its configuration, keys and certificates again, as SIGHUP does, and\n" +
			"say what came of it: status 1 and the reason if it was refused, and all is as it was.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := f.client()
			if err != nil {
				return err
			}
			if err := client.Reload(); err != nil {
				return err
			}
			_, err = io.WriteString(cmd.OutOrStdout(), "reloaded\n")
			return err
		},
	}
	f.add(cmd)
	return cmd
}
