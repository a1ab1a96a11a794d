package ntpd

import (
	"net/netip"
	"slices"

	"ntsbridge/bridge/convert/report"
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
		if a, ok := spell.IPv4(s.Address); ok {
			c.numbers[s], s.Address = s.Address, a.String()
		}
	}
}

// tellNumbers says what such an address is: hardly what was meant.
func (c *reader) tellNumbers() {
	for s, written := range c.numbers {
		c.Record(s).Note(report.Dangerous, "number", "write the address with four decimal numbers, and no zeros in front",
			"%s reads %s as %s: a zero in front of a number makes it octal, 0x hexadecimal, and a number that stands for several counts whole",
			c.Daemon(), spell.Printable(written), s.Address)
	}
}
