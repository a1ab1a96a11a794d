package job

import (
	"net/netip"

	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/spell"
)

// TellNumber says which address the C library reads where something else than
// four decimal numbers is written (spell.IPv4): it is hardly what was meant.
func TellNumber(r *report.Record, daemon, written string, read netip.Addr) {
	r.Note(report.Dangerous, "number", "write the address with four decimal numbers, and no zeros in front",
		"%s reads %s as %s: a zero in front of a number makes it octal, 0x hexadecimal, and a number that stands for several counts whole",
		daemon, spell.Printable(written), read)
}
