package bridge

import (
	"fmt"
	"net/netip"
	"strings"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/material"
)

// clientSection is what a client of this server needs: files that are copied to
// it, and the lines of its configuration, which stand in the text as the client
// reads them.
type clientSection struct {
	clients, means string
	file           string   // of the client's configuration
	prepare        string   // command that is run here first
	from, to       string   // what is copied
	lines          []string // of the file
}

func (c *clientSection) write(s *strings.Builder) {
	fmt.Fprintf(s, "\n# %s, %s", c.clients, c.means)
	if c.prepare != "" {
		fmt.Fprintf(s, "; run here: %s", c.prepare)
	}
	if c.from != "" {
		fmt.Fprintf(s, "; copy %s to %s", c.from, c.to)
	}
	fmt.Fprintf(s, "; in %s:\n%s\n", c.file, strings.Join(c.lines, "\n"))
}

// ClientLines returns the lines that chrony, ntpsec, ntpd and ntpd-rs need in
// their configuration to use this server, for a person to copy.
func (b *Bridge) ClientLines() string {
	var s strings.Builder
	cfg := b.parts.Load().cfg
	name := "localhost"
	if len(cfg.NTS.Names) > 0 {
		name = cfg.NTS.Names[0]
	}
	port := ntpPort(b.Addresses())
	fmt.Fprintf(&s, "# What clients need to use %s:\n", name)
	if cfg.NTS.Enabled {
		for _, c := range ntsSections(cfg, name, port) {
			c.write(&s)
		}
	}
	for _, c := range plainSections(cfg, name, port) {
		c.write(&s)
	}
	if port != config.PortNTP {
		fmt.Fprintf(&s, "\n# Without NTS, ntpd and ntpsec cannot use port %d: give ntsbridge port %d (root, or CAP_NET_BIND_SERVICE).\n",
			port, config.PortNTP)
	}
	return s.String()
}

func ntsSections(cfg *config.Config, name string, port uint16) []clientSection {
	portKE, keHost, options := ntpPort(cfg.NTS.Listen), name, ""
	if portKE != config.PortNTSKE {
		options = fmt.Sprintf(" ntsport %d", portKE)
		keHost = fmt.Sprintf("%s:%d", name, portKE)
	}
	if port != config.PortNTP {
		options += fmt.Sprintf(" port %d", port)
	}
	chrony := clientSection{clients: "chrony", file: "chrony.conf", lines: []string{fmt.Sprintf("server %s iburst nts%s", name, options)}}
	ntpsec := clientSection{clients: "ntpsec", file: "ntp.conf", lines: []string{fmt.Sprintf("server %s iburst nts", keHost)}}
	ntpdRS := clientSection{clients: "ntpd-rs", file: "ntp.toml",
		lines: []string{"[[source]]", `mode = "nts"`, fmt.Sprintf("address = %q", keHost)}}
	all := []clientSection{chrony, ntpsec, ntpdRS}
	for i := range all {
		all[i].means = "NTS"
	}
	if len(cfg.NTS.Certificates) > 0 || cfg.NTS.ACME.Directory != "" { // clients know who signed it
		return all
	}
	for i, to := range []string{"/etc/chrony/ntsbridge.crt", "/etc/ntpsec/ntsbridge.crt", "/etc/ntpd-rs/ntsbridge.crt"} {
		all[i].from, all[i].to = material.GeneratedTrust(cfg), to
	}
	all[0].lines = append([]string{"ntstrustedcerts " + all[0].to}, all[0].lines...)
	all[1].lines[0] += " ca " + all[1].to
	all[2].lines = append(all[2].lines, fmt.Sprintf("certificate-authority = %q", all[2].to))
	return all
}

// plainSections are those with a symmetric key, if there is the generated one,
// and without.
func plainSections(cfg *config.Config, name string, port uint16) (all []clientSection) {
	option := ""
	if port != config.PortNTP {
		option = fmt.Sprintf(" port %d", port)
	}
	server := fmt.Sprintf("server %s iburst", name)
	if cfg.GeneratesKey() {
		const chronyKeys, ntpKeys, means = "ntsbridge.keys", "/etc/ntp.keys", "a symmetric key"
		file, key := material.GeneratedKeyFile(cfg), fmt.Sprintf(" key %d", material.GeneratedKeyID)
		all = append(all, clientSection{clients: "chrony", means: means, file: "chrony.conf",
			from: chronyKeys, to: "/etc/chrony/" + chronyKeys,
			prepare: fmt.Sprintf("sed -n 's/^%d AES128CMAC /%[1]d AES128 HEX:/p' %s >%s", material.GeneratedKeyID, file, chronyKeys),
			lines:   []string{"keyfile /etc/chrony/" + chronyKeys, server + option + key}})
		if port == config.PortNTP {
			all = append(all, clientSection{clients: "ntpd or ntpsec", means: means, file: "ntp.conf", from: file, to: ntpKeys,
				lines: []string{"keys " + ntpKeys, fmt.Sprintf("trustedkey %d", material.GeneratedKeyID), server + key}})
		}
	}
	all = append(all, clientSection{clients: "chrony", means: "nothing", file: "chrony.conf", lines: []string{server + option}})
	if port == config.PortNTP {
		all = append(all, clientSection{clients: "ntpd or ntpsec", means: "nothing", file: "ntp.conf", lines: []string{server}})
	}
	return all
}

// ntpPort returns the port of the first address.
func ntpPort(addresses []netip.AddrPort) uint16 {
	if len(addresses) == 0 {
		return 0
	}
	return addresses[0].Port()
}
