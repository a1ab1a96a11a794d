package restrict

import (
	"fmt"
	"net/netip"
	"slices"

	"ntsbridge/bridge/access"
	"ntsbridge/bridge/convert/report"
)

// neighbours returns the addresses at the edges of a prefix and beside them.
func neighbours(p netip.Prefix) []netip.Addr {
	first := p.Masked().Addr()
	raw := first.AsSlice()
	for i := p.Bits(); i < len(raw)*8; i++ {
		raw[i/8] |= 1 << (7 - i%8)
	}
	last, _ := netip.AddrFromSlice(raw)
	list := []netip.Addr{first, last}
	for _, a := range []netip.Addr{first.Prev(), last.Next(), first.Next(), last.Prev()} {
		if a.IsValid() && a.Is4() == first.Is4() {
			list = append(list, a)
		}
	}
	return list
}

// Compare compares a list with a table.
func Compare(l *List, t *access.Table) *report.Comparison {
	prefixes := []netip.Prefix{netip.PrefixFrom(Any4, 0), netip.PrefixFrom(Any6, 0)}
	for _, r := range t.Rules() {
		prefixes = append(prefixes, r.Prefix)
	}
	for _, e := range l.Entries {
		last, _ := highestBit(e.Mask)
		prefixes = append(prefixes, netip.PrefixFrom(e.Addr, last))
	}
	slices.SortFunc(prefixes, netip.Prefix.Compare)
	prefixes = slices.Compact(prefixes)
	c := &report.Comparison{Prefixes: len(prefixes), Equal: true, Names: l.Names}
	seen := make(map[netip.AddrPort]bool)
	for _, p := range prefixes {
		for _, a := range neighbours(p) {
			for _, port := range []uint16{123, 12300} {
				at := netip.AddrPortFrom(a, port)
				if !seen[at] {
					seen[at] = true
					probe(c, l, t, at)
				}
			}
		}
	}
	return c
}

func probe(c *report.Comparison, l *List, t *access.Table, at netip.AddrPort) {
	c.Probes++
	e := l.Lookup(at)
	old, now := ServiceOf(e.Flags), ServiceOfRule(t.Lookup(at))
	if old == now || !old.Serve && !now.Serve && old.Query == now.Query {
		return
	}
	c.Equal = false
	if len(c.Differences) < report.MaxDifferences {
		c.Differences = append(c.Differences, report.Difference{
			Address: at.Addr().String(), FromNTP: at.Port() == 123,
			Old: fmt.Sprintf("%v (%v)", old, e.Flags&^FlagSourcePort), New: now.String(),
			Laxer: now.LaxerThan(old),
		})
	}
}

// LaxerThan reports whether s gives anything that old does not.
func (s Service) LaxerThan(old Service) bool {
	switch {
	case s.Query && !old.Query:
		return true
	case !s.Serve:
		return false
	}
	return !old.Serve || old.Auth && !s.Auth || old.Version > s.Version || old.Limited && !s.Limited ||
		s.MSSNTP && !old.MSSNTP
}
