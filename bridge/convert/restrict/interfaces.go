package restrict

import (
	"fmt"
	"net/netip"
	"ntsbridge/bridge/convert/spell"
	"ntsbridge/bridge/convert/syntax"
	"slices"
)

// Interfaces are ntpd's interface lines.
type Interfaces struct {
	list  []*syntax.Statement
	known map[string][]netip.Addr
}

func NewInterfaces(list []*syntax.Statement, known map[string][]netip.Addr) *Interfaces {
	return &Interfaces{list, known}
}

// opens reports whether a rule's action is listen; drop opens the socket but
// throws everything away.
func opens(s *syntax.Statement) bool { return s.Flag("listen") }

// class decides for the addresses of a family that no rule names: by the last
// rule for the family or, but for the loopback interface, for all.
func (l *Interfaces) class(family string, loopback bool) (open bool, at int) {
	open, at = true, -1
	for i, s := range l.list {
		if s.Keyword && (s.Address == family || s.Address == "all" && !loopback) {
			open, at = opens(s), i
		}
	}
	return open, at
}

// Addresses returns what to listen on; everything means all addresses of the
// host. unknown are the rules whose addresses would have to be known, and why.
func (l *Interfaces) Addresses() (list []netip.Addr, unknown map[*syntax.Statement]string, everything bool) {
	unknown = make(map[*syntax.Statement]string)
	open4, at4 := l.class("ipv4", false)
	open6, at6 := l.class("ipv6", false)
	loop4, atLoop4 := l.class("ipv4", true)
	loop6, atLoop6 := l.class("ipv6", true)
	closesSome := !open4 || !open6 || !loop4 || !loop6
	for i, s := range l.list {
		if !s.Keyword && !opens(s) && i > min(at4, at6) {
			closesSome = true
		}
	}
	if !closesSome {
		return nil, unknown, true
	}
	switch {
	case open4 && open6:
	case open4:
		list = append(list, Any4)
	case open6:
		list = append(list, Any6)
	}
	if loop4 && !open4 {
		list = append(list, Local4)
	}
	if loop6 && !open6 {
		list = append(list, Local6)
	}
	if open4 && open6 {
		// Everything but some addresses: those that are left have to be known.
		list = append(list, Any4, Any6)
	}
	for i, s := range l.list {
		if s.Keyword {
			continue
		}
		addresses, whole := l.named(s)
		if addresses == nil {
			if !opens(s) || !open4 || !open6 {
				unknown[s] = whole
			}
			continue
		}
		for _, a := range addresses {
			after, open := at4, open4
			switch {
			case a.Is4() && a.IsLoopback():
				after, open = atLoop4, loop4
			case a.IsLoopback():
				after, open = atLoop6, loop6
			case !a.Is4():
				after, open = at6, open6
			}
			if i < after {
				continue // a class below decides
			}
			list = slices.DeleteFunc(list, func(other netip.Addr) bool { return other == a })
			switch {
			case opens(s) && !(open && slices.Contains(list, unspecified(a))):
				list = append(list, a)
			case !opens(s) && open && !a.IsLoopback():
				unknown[s] = fmt.Sprintf("all addresses but %v: which are the others has to be known", a)
			}
		}
	}
	return list, unknown, false
}

func unspecified(a netip.Addr) netip.Addr {
	if a.Is4() {
		return Any4
	}
	return Any6
}

// named returns the addresses of a rule by name, address or prefix; none if
// they are not known, and why.
func (l *Interfaces) named(s *syntax.Statement) ([]netip.Addr, string) {
	if list, ok := l.known[s.Address]; ok {
		return list, ""
	}
	if s.Address == "lo" {
		return []netip.Addr{Local4, Local6}, ""
	}
	if a, err := netip.ParseAddr(s.Address); err == nil {
		return []netip.Addr{a.Unmap()}, ""
	}
	if p, err := netip.ParsePrefix(s.Address); err == nil {
		if p.IsSingleIP() {
			return []netip.Addr{p.Addr()}, ""
		}
		return nil, fmt.Sprintf("the host's addresses in %v have to be known", p)
	}
	return nil, fmt.Sprintf("the addresses of the interface %s have to be known", spell.Printable(s.Address))
}
