package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"ntsbridge/bridge/fleet/site"
	"ntsbridge/bridge/statedir"
)

func newSecretGatewayCommand() *cobra.Command {
	var f configFlags
	cmd := &cobra.Command{
		Use:   "gateway",
		Short: "Print the public key of this gateway, for fleet.etcd.gateways of all",
		Long: `Print the public key of this gateway, which every gateway of the site has in fleet.etcd.gateways: with
fleet.etcd.secrets: etcd the cookie secret and the Autokey seed go through etcd, encrypted to it. The
private key is made if it is not there, in fleet-gateway.key in the state directory. It never leaves
this host; a copy of it on another one would make the two the same gateway.`,
		Example: `  ntsbridge secret gateway --config /etc/ntsbridge.yaml`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := f.load()
			if err != nil {
				return err
			}
			if err := statedir.MakeDir(cfg.StateDir, 0o700); err != nil {
				return err
			}
			key, err := site.LoadKey(cfg.StateDir, true)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), site.PublicKey(key.PublicKey()))
			return err
		},
	}
	f.add(cmd)
	return cmd
}
