package ntpd

import (
	"net/netip"
	"slices"
	"strings"

	"ntsbridge/bridge/convert/job"
	"ntsbridge/bridge/convert/spell"
	"ntsbridge/bridge/convert/syntax"
)

// readNumbers puts the address in place of each way to write one that the C
// library takes beside four decimal numbers: 10.1, 0x0a000001 or, with zeros in
// front, octal numbers. Both daemons look their sources and restrictions up with
// getaddrinfo, which does so before it asks anybody (ntpd 4.2.8p15 and ntpsec
// 1.2.3, as they run).
func (c *reader) readNumbers() {
	c.numbers = make(map[*syntax.Statement]string)
	for _, s := range c.Parsed.Statements {
		if s.Keyword || s.Word != "restrict" && !slices.Contains(associations, s.Word) {
			continue
		}
		if _, err := netip.ParseAddr(s.Address); err == nil {
			continue
		}
		host, length := s.Address, ""
		if i := strings.IndexByte(host, '/'); i >= 0 && s.Word == "restrict" && c.Dialect == "ntpsec" {
			host, length = host[:i], host[i:]
			if _, err := netip.ParseAddr(host); err == nil {
				continue
			}
		}
		if a, ok := spell.IPv4(host); ok {
			c.numbers[s], s.Address = host, a.String()+length
		}
	}
}

// tellNumbers says what such addresses are.
func (c *reader) tellNumbers() {
	for s, written := range c.numbers {
		host, _, _ := strings.Cut(s.Address, "/")
		job.TellNumber(c.Record(s), c.Daemon(), written, netip.MustParseAddr(host))
	}
}
