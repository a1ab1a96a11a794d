package bridge

import (
	"fmt"
	"net/netip"
	"strings"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/material"
)

// ClientLines returns the lines that chrony, ntpsec and ntpd need in their
// configuration to use this server, for a person to copy.
func (b *Bridge) ClientLines() string {
	var s strings.Builder
	cfg := b.parts.Load().cfg
	name := "localhost"
	if len(cfg.NTS.Names) > 0 {
		name = cfg.NTS.Names[0]
	}
	port := ntpPort(b.Addresses())
	if cfg.NTS.Enabled {
		writeNTSLines(&s, cfg, name, port)
	}
	if port != config.PortNTP {
		fmt.Fprintf(&s, "# Plain and symmetric-key clients of ntpd and ntpsec cannot use port %d; run as root for port %d.\n", port,
			config.PortNTP)
		fmt.Fprintf(&s, "# chrony with a symmetric key, or without:\n")
	} else {
		fmt.Fprintf(&s, "# ntpd and ntpsec with a symmetric key (ntp.conf; copy %s to /etc/ntp.keys, owner only), or without:\n",
			material.GeneratedKeyFile(cfg))
		fmt.Fprintf(&s, "keys /etc/ntp.keys\ntrustedkey %d\nserver %s iburst key %d\n", material.GeneratedKeyID, name,
			material.GeneratedKeyID)
		fmt.Fprintf(&s, "server %s iburst\n", name)
		fmt.Fprintf(&s, "# chrony with a symmetric key, or without:\n")
	}
	option := ""
	if port != config.PortNTP {
		option = fmt.Sprintf(" port %d", port)
	}
	fmt.Fprintf(&s, "server %s iburst%s key %d   # keyfile: the key of %s, as type AES128 with HEX:\n", name, option,
		material.GeneratedKeyID, material.GeneratedKeyFile(cfg))
	fmt.Fprintf(&s, "server %s iburst%s\n", name, option)
	return s.String()
}

func writeNTSLines(s *strings.Builder, cfg *config.Config, name string, port uint16) {
	portKE := ntpPort(cfg.NTS.Listen)
	ca := material.GeneratedCertificate(cfg).Certificate
	options, keHost := "", name
	if portKE != config.PortNTSKE {
		options = fmt.Sprintf(" ntsport %d", portKE)
		keHost = fmt.Sprintf("%s:%d", name, portKE)
	}
	if port != config.PortNTP {
		options += fmt.Sprintf(" port %d", port)
	}
	fmt.Fprintf(s, "# chrony with NTS (chrony.conf; copy %s to the client):\n", ca)
	fmt.Fprintf(s, "ntstrustedcerts /etc/chrony/ntsbridge.crt\nserver %s iburst nts%s\n", name, options)
	fmt.Fprintf(s, "# ntpsec with NTS (ntp.conf):\nserver %s iburst nts ca /etc/ntpsec/ntsbridge.crt\n", keHost)
	fmt.Fprintf(s, "# ntpd-rs with NTS (ntp.toml):\n[[source]]\nmode = \"nts\"\naddress = \"%s\"\ncertificate-authority = \"/etc/ntpd-rs/ntsbridge.crt\"\n",
		keHost)
}

// ntpPort returns the port of the first address.
func ntpPort(addresses []netip.AddrPort) uint16 {
	if len(addresses) == 0 {
		return 0
	}
	return addresses[0].Port()
}
