package convert

import (
	"fmt"
	"net/netip"
	"slices"

	"ntsbridge/bridge/access"
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

// compareAccess compares a list with a table.
func compareAccess(l *restrictList, t *access.Table) *Comparison {
	prefixes := []netip.Prefix{netip.PrefixFrom(any4, 0), netip.PrefixFrom(any6, 0)}
	for _, r := range t.Rules() {
		prefixes = append(prefixes, r.Prefix)
	}
	for _, e := range l.entries {
		last, _ := highestBit(e.mask)
		prefixes = append(prefixes, netip.PrefixFrom(e.addr, last))
	}
	slices.SortFunc(prefixes, netip.Prefix.Compare)
	prefixes = slices.Compact(prefixes)
	c := &Comparison{Prefixes: len(prefixes), Equal: true}
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

func probe(c *Comparison, l *restrictList, t *access.Table, at netip.AddrPort) {
	c.Probes++
	e := l.lookup(at)
	old, now := serviceOf(e.flags), serviceOfRule(t.Lookup(at))
	if old == now || !old.Serve && !now.Serve && old.Query == now.Query {
		return
	}
	c.Equal = false
	if len(c.Differences) < maxDifferences {
		c.Differences = append(c.Differences, Difference{
			Address: at.Addr().String(), FromNTP: at.Port() == 123,
			Old: fmt.Sprintf("%v (%v)", old, e.flags&^flagSourcePort), New: now.String(),
			Laxer: now.laxerThan(old),
		})
	}
}

// laxerThan reports whether s gives anything that old does not.
func (s service) laxerThan(old service) bool {
	switch {
	case s.Query && !old.Query:
		return true
	case !s.Serve:
		return false
	}
	return !old.Serve || old.Auth && !s.Auth || old.Version > s.Version || old.Limited && !s.Limited
}
