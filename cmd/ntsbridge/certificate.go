package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"ntsbridge/bridge/nke/pki"
)

// certificateFlags are those of the command certificate.
type certificateFlags struct {
	dir   string
	days  int
	group string
	force bool
	ca    string // where clients have the root
	port  uint16
}

const certificateHelp = `Make and renew certificates for NTS servers of a site that has no authority of its own.

The directory holds a root (root.crt, root.key), which clients are given as trusted and whose key
may be taken away, an intermediate authority (intermediate.crt, intermediate.key), and of each
server NAME.crt, its certificate with the intermediate one behind it, and NAME.key. Keys of the
authorities are for their owner only; those of servers also for the group that the daemon runs
under, if there is one.`

func newCertificateCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "certificate", Short: "Make and renew certificates by a small authority of the site", Long: certificateHelp,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_ = cmd.Usage()
			return usageError("a command is missing: make, renew, show or clients")
		}}
	var f certificateFlags
	cmd.PersistentFlags().StringVar(&f.dir, "dir", ".", "`DIRECTORY` of the authority")
	makeIt := &cobra.Command{Use: "make [NAME | ADDRESS]...", Short: "Make a server's certificate, and the authority if there is none",
		Long: "Make the certificate of a server with all its names and addresses, the first of which names\n" +
			"its files; without any, those of this host. The authority is made if there is none. The key\n" +
			"that is there is used again.",
		RunE: func(cmd *cobra.Command, names []string) error { return f.make(cmd.OutOrStdout(), names) }}
	renew := &cobra.Command{Use: "renew [NAME]...", Short: "Renew what is due: after two thirds of its life",
		Long: "Renew the certificates of the servers, or of those that are named, after two thirds of their\n" +
			"lives, with the same keys and names; the intermediate authority too. Made to be run daily.",
		RunE: func(cmd *cobra.Command, names []string) error { return f.renew(cmd.OutOrStdout(), names) }}
	show := &cobra.Command{Use: "show", Short: "Print what is there, and until when", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.show(cmd.OutOrStdout()) }}
	clients := &cobra.Command{Use: "clients NAME", Short: "Print the lines that clients need", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return f.clients(cmd.OutOrStdout(), args[0]) }}
	for _, c := range []*cobra.Command{makeIt, renew} {
		c.Flags().IntVar(&f.days, "days", 365, "`DAYS` for which a server's certificate is valid")
		c.Flags().StringVar(&f.group, "group", "ntsbridge", "`GROUP` that may read the keys of servers, if there is one")
	}
	renew.Flags().BoolVar(&f.force, "force", false, "renew whether it is due or not")
	clients.Flags().StringVar(&f.ca, "ca", "/etc/ssl/ntsbridge-root.crt", "`FILE` that root.crt is copied to on the clients")
	clients.Flags().Uint16Var(&f.port, "nts-port", 4460, "TCP port of NTS-KE")
	cmd.AddCommand(makeIt, renew, show, clients)
	return cmd
}

func (f *certificateFlags) path(name string) string { return filepath.Join(f.dir, name) }

func (f *certificateFlags) make(out io.Writer, names []string) error {
	if len(names) == 0 {
		names = namesOfHost()
	}
	for _, name := range names {
		if net.ParseIP(name) == nil && !pki.HostName(name) {
			return usageError("%q is neither a host name nor an address", name)
		}
	}
	if reserved(names[0]) {
		return usageError("a server cannot be called %q: the authority's files are", names[0])
	}
	if f.days < 1 || f.days > 3650 {
		return usageError("--days %d: want 1 to 3650", f.days)
	}
	a, err := f.authority(out, time.Now())
	if err != nil {
		return err
	}
	key, made, err := f.key(f.path(serverFile(names[0]) + ".key"))
	if err != nil {
		return err
	}
	if made {
		fmt.Fprintf(out, "made %s\n", f.path(serverFile(names[0])+".key"))
	}
	f.share(out, f.path(serverFile(names[0])+".key"))
	if err := f.issue(a, names, key, f.days, time.Now()); err != nil {
		return err
	}
	fmt.Fprintf(out, "made %s, for %v, %d days\n", f.path(serverFile(names[0])+".crt"), names, f.days)
	return f.configuration(out, names)
}

// namesOfHost are the name of this host and its addresses.
func namesOfHost() (names []string) {
	if host, err := os.Hostname(); err == nil {
		names = append(names, host)
	}
	addresses, _ := net.InterfaceAddrs()
	for _, a := range addresses {
		if ip, ok := a.(*net.IPNet); ok && !ip.IP.IsLinkLocalUnicast() && !ip.IP.IsLoopback() {
			names = append(names, ip.IP.String())
		}
	}
	return names
}

func (f *certificateFlags) renew(out io.Writer, names []string) error {
	now := time.Now()
	a, err := f.authority(out, now)
	if err != nil {
		return err
	}
	servers, err := f.servers()
	if err != nil {
		return err
	}
	for _, name := range names {
		if !slices.Contains(servers, serverFile(name)) {
			return fmt.Errorf("%s: there is no certificate %s", f.dir, serverFile(name)+".crt")
		}
	}
	for _, name := range servers {
		if len(names) > 0 && !slices.ContainsFunc(names, func(n string) bool { return serverFile(n) == name }) {
			continue
		}
		if err := f.renewOne(out, a, name, now); err != nil {
			return err
		}
	}
	return nil
}

func (f *certificateFlags) renewOne(out io.Writer, a *pki.Authority, name string, now time.Time) error {
	path := f.path(name + ".crt")
	chain, err := readChain(path)
	if err != nil {
		return err
	}
	leaf := chain[0]
	names := append([]string(nil), leaf.DNSNames...)
	for _, ip := range leaf.IPAddresses {
		names = append(names, ip.String())
	}
	why := pki.Due(leaf, names, now)
	if why == "" && len(chain) > 1 && !chain[1].Equal(a.Certificate) {
		why = "the intermediate authority has a new certificate"
	}
	if f.force && why == "" {
		why = "it was asked for"
	}
	if why == "" {
		fmt.Fprintf(out, "%s: good until %s\n", path, leaf.NotAfter.UTC().Format(time.DateOnly))
		return nil
	}
	key, made, err := f.key(f.path(name + ".key"))
	if err == nil && made {
		err = fmt.Errorf("%s was gone, and a new key made; have the daemon read it", f.path(name+".key"))
	}
	if err != nil {
		return err
	}
	if err := f.issueTo(a, path, names, key, f.days, now); err != nil {
		return err
	}
	f.share(out, f.path(name+".key"))
	fmt.Fprintf(out, "%s: renewed for %d days: %s\n", path, f.days, why)
	return nil
}

func (f *certificateFlags) show(out io.Writer) error {
	servers, err := f.servers()
	if err != nil {
		return err
	}
	for _, name := range append([]string{rootName, intermediateName}, servers...) {
		chain, err := readChain(f.path(name + ".crt"))
		if err != nil {
			return err
		}
		c := chain[0]
		names := append([]string(nil), c.DNSNames...)
		for _, ip := range c.IPAddresses {
			names = append(names, ip.String())
		}
		fmt.Fprintf(out, "%-30s until %s, %d days left  %v\n", f.path(name+".crt"), c.NotAfter.UTC().Format(time.DateOnly),
			int(time.Until(c.NotAfter).Hours()/24), names)
	}
	return nil
}
