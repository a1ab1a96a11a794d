//go:build linux

package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"ntsbridge/cmd/ntpload/internal/attack"
	"ntsbridge/cmd/ntpload/internal/rig"
	"ntsbridge/symkey"
)

func newAttack() *cobra.Command {
	var c attack.Config
	var server, inside, dir, from, peers string
	var namespaces []string
	cmd := &cobra.Command{
		Use:   "attack --server SERVER",
		Short: "Flood a server and count what its clients get (root)",
		Long: `Flood a server, in a namespace that is made and removed, from another one, in
every way that it should withstand, and print the share of each kind of
legitimate client that was answered meanwhile. Exit status 1 if a client that
proved itself lost more than one answer in twenty. With the daemons that
bridge/interop/peers.sh installs, two of the clients are the real ntpd 4.2.8p15:
one with a cookie of Autokey, one that begins.

SERVER is as for compare; ntsbridge gets a strict rate limit, unless "limited" is
left out: ntsbridge,bin=bin/ntsbridge,limited`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if inside != "" {
				copy(c.NTPD.Namespaces[:], namespaces)
				return fail(attackInside(cmd, c, inside, dir, from))
			}
			spec, err := rig.ParseSpec(server)
			if err != nil {
				return err
			}
			if c.Asks < 1 || c.Rate < 1 || c.Rate > 1_000_000 || c.Time < time.Second || c.Time > time.Minute {
				return errors.New("--asks and --rate (at most 1000000) must be at least 1, --time 1s to 1m")
			}
			flags := []string{"--time", c.Time.String(), "--asks", fmt.Sprint(c.Asks), "--rate", fmt.Sprint(c.Rate), "--only", c.Only}
			ntpd, err := ntpdRoot(peers)
			if err != nil {
				return err
			}
			return fail(rig.Attack(cmd.Context(), spec, flags, ntpd, cmd.OutOrStdout(), cmd.ErrOrStderr()))
		},
	}
	f := cmd.Flags()
	f.StringVar(&server, "server", "ntsbridge,limited", "the server")
	f.DurationVar(&c.Time, "time", 10*time.Second, "of each flood")
	f.IntVar(&c.Asks, "asks", 14, "requests of each client during a flood")
	f.IntVar(&c.Rate, "rate", 50_000, "packets a second of a full flood")
	f.StringVar(&c.Only, "only", "", "only floods whose name contains this")
	f.StringVar(&peers, "peers", os.Getenv(peersVariable), "folder of the real daemons, by default $"+peersVariable)
	f.StringVar(&inside, "inside", "", "")
	f.StringVar(&dir, "dir", "", "")
	f.StringVar(&from, "from", "", "")
	f.StringVar(&c.NTPD.Root, "ntpd", "", "")
	f.StringSliceVar(&namespaces, "ntpd-in", nil, "")
	for _, name := range []string{"inside", "dir", "from", "ntpd", "ntpd-in"} {
		_ = f.MarkHidden(name)
	}
	return cmd
}

// peersVariable names the folder that bridge/interop/peers.sh fills.
const peersVariable = "NTSBRIDGE_PEERS"

// ntpdRoot finds the root of the real ntpd in the peers' folder; without a
// folder there is none.
func ntpdRoot(peers string) (string, error) {
	if peers == "" {
		return "", nil
	}
	root, err := filepath.Abs(filepath.Join(peers, "bullseye"))
	if err == nil {
		_, err = os.Stat(filepath.Join(root, "usr/sbin/ntpd"))
	}
	if err != nil {
		return "", fmt.Errorf("no ntpd in %s (%w): bridge/interop/peers.sh installs it; without --peers and %s this program's own client stands for it",
			peers, err, peersVariable)
	}
	return root, nil
}

// attackInside attacks a server from the namespace that this process is in.
func attackInside(cmd *cobra.Command, c attack.Config, server, dir, from string) error {
	addr, err := netip.ParseAddr(server)
	if err != nil {
		return err
	}
	if c.From, err = netip.ParsePrefix(from); err != nil {
		return err
	}
	c.Server = netip.AddrPortFrom(addr, 123)
	c.NTPD.Addresses = rig.NTPDAddresses
	pem, err := os.ReadFile(filepath.Join(dir, rig.CertFile))
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	c.TLS = &tls.Config{RootCAs: roots, ServerName: rig.ServerName}
	name := filepath.Join(dir, rig.KeysFile)
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	file, err := symkey.ParseAuto(name, data)
	if err != nil {
		return err
	}
	for _, k := range file.Keys {
		if k.ID() == rig.KeyID {
			c.Key = k
		}
	}
	return attack.Run(cmd.Context(), c, cmd.OutOrStdout())
}
