package restrict

import (
	"fmt"
	"net/netip"
	"slices"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/convert/spell"
	"ntsbridge/bridge/convert/syntax"
)

// Interfaces are ntpd's rules about network interfaces, of its lines and of its
// command line. For each address of the host the last rule that matches
// decides. As soon as there is any rule, an address that none matches is not
// used, but for those of loopback; without rules all are. The classes are ipv4
// and ipv6, for all addresses of the family, wildcard, and all, for those that
// are neither loopback nor wildcard. A wildcard address for which the last rule
// is listen answers for all of its family (ntpd 4.2.8p15, as it runs: see
// testdata/oracle/interfaces.txt).
type Interfaces struct {
	list  []*syntax.Statement
	known map[string][]netip.Addr // addresses of interfaces, as the operator said
	port  uint16

	listen  []config.Listen
	unknown map[*syntax.Statement]string
}

// NewInterfaces returns the rules in their order; known are the addresses of
// interfaces, as far as they were given.
func NewInterfaces(list []*syntax.Statement, known map[string][]netip.Addr) *Interfaces {
	return &Interfaces{list: list, known: known, port: 123, unknown: make(map[*syntax.Statement]string)}
}

// opens reports whether a rule's action is listen; drop opens the socket but
// throws everything away.
func opens(s *syntax.Statement) bool { return s.Flag("listen") }

// families are those of addresses with the class that names one.
var families = []struct {
	class         string // of ntpd's rules
	family        string // of ours
	any, loopback netip.Addr
}{{"ipv4", config.FamilyIPv4, Any4, Local4}, {"ipv6", config.FamilyIPv6, Any6, Local6}}

// class decides for the addresses of a family that no rule names, by the last
// rule for it, and says which that is; -1: none.
func (l *Interfaces) class(family string, loopback bool) (open bool, at int) {
	open, at = loopback || len(l.list) == 0, -1
	for i, s := range l.list {
		if s.Keyword && (s.Address == family || s.Address == "all" && !loopback) {
			open, at = opens(s), i
		}
	}
	return open, at
}

// Listen returns what to listen on; everything means all addresses of the host,
// for which nothing has to be written. unknown are the rules of which that
// cannot be told, and why.
func (l *Interfaces) Listen() (list []config.Listen, unknown map[*syntax.Statement]string, everything bool) {
	everything = true
	for _, f := range families {
		generic, at := l.class(f.class, false)
		loopback, atLoopback := l.class(f.class, true)
		loopback = l.loopback(f.loopback, loopback, atLoopback)
		if l.wildcard(f.class, f.any) {
			l.add(config.Listen{AddrPort: netip.AddrPortFrom(f.any, l.port)})
			l.dropped(f.family)
			continue
		}
		everything = everything && generic && loopback
		switch {
		case generic && loopback:
			l.add(config.Listen{AddrPort: netip.AddrPortFrom(f.any, l.port)})
		case generic:
			l.except(f.class)
		case loopback:
			l.add(config.Listen{AddrPort: netip.AddrPortFrom(f.loopback, l.port)})
		}
		for i, s := range l.list {
			if !s.Keyword && i > at {
				l.specific(i, s, f.family, generic)
			}
		}
	}
	return l.listen, l.unknown, everything && len(l.unknown) == 0
}

// wildcard reports whether the wildcard socket of a family answers: then every
// address does that has no socket of its own, whatever other rules say of it.
func (l *Interfaces) wildcard(family string, any netip.Addr) (open bool) {
	for _, s := range l.list {
		n, ok := network(s)
		if s.Keyword && (s.Address == family || s.Address == "wildcard") || !s.Keyword && ok && n.Contains(any) {
			open = opens(s)
		}
	}
	return open
}

// dropped notes the rules that make sockets which drop everything, beside a
// wildcard socket that answers.
func (l *Interfaces) dropped(family string) {
	for i, s := range l.list {
		if s.Flag("drop") && !s.Keyword && !l.repeated(i, s) && len(l.targets(s, family)) > 0 {
			l.unknown[s] = fmt.Sprintf("all addresses but those of %s: which are the others has to be known", spell.Printable(s.Address))
		}
	}
}

// except notes that the loopback addresses of a family are closed, and all
// others open, which no list of addresses says.
func (l *Interfaces) except(family string) {
	for i := len(l.list) - 1; i >= 0; i-- {
		if s := l.list[i]; !opens(s) {
			l.unknown[s] = fmt.Sprintf("all addresses of %s but those of loopback: which they are has to be known", family)
			return
		}
	}
}

// loopback decides for a loopback address: rules by its name or address count
// as those for its family do.
func (l *Interfaces) loopback(a netip.Addr, open bool, at int) bool {
	for i, s := range l.list {
		if i > at && !s.Keyword && (s.Address == "lo" || l.names(s, a)) {
			open = opens(s)
		}
	}
	return open
}

// names reports whether a rule is for an address, by it or its network.
func (l *Interfaces) names(s *syntax.Statement, a netip.Addr) bool {
	if n, ok := network(s); ok {
		return n.Contains(a)
	}
	return slices.Contains(l.known[s.Address], a)
}

// network returns the address or network that a rule names.
func network(s *syntax.Statement) (netip.Prefix, bool) {
	if a, err := netip.ParseAddr(s.Address); err == nil {
		return netip.PrefixFrom(a.Unmap().WithZone(""), a.Unmap().BitLen()), true
	}
	p, err := netip.ParsePrefix(s.Address)
	return p.Masked(), err == nil
}

// specific takes in what a rule by name, address or network opens or closes of
// a family that no class below decides. generic is whether the family's other
// addresses are open.
func (l *Interfaces) specific(at int, s *syntax.Statement, family string, generic bool) {
	if s.Address == "lo" || l.onlyLoopback(s) || l.repeated(at, s) {
		return
	}
	targets := l.targets(s, family)
	switch {
	case len(targets) == 0 || opens(s) && generic:
	case opens(s):
		for _, t := range targets {
			l.add(t)
		}
	case generic:
		l.unknown[s] = fmt.Sprintf("all addresses but those of %s: which are the others has to be known", spell.Printable(s.Address))
	default:
		l.closes(at, s)
	}
}

// closes notes a rule that takes something away of what a rule above opens.
func (l *Interfaces) closes(at int, s *syntax.Statement) {
	for _, above := range l.list[:at] {
		if above.Keyword || !opens(above) || above.Address == s.Address || !l.mayMeet(above, s) {
			continue
		}
		l.unknown[s] = fmt.Sprintf("the addresses of %s but for those of %s: which they are has to be known",
			spell.Printable(above.Address), spell.Printable(s.Address))
	}
}

// mayMeet reports whether two rules can be for the same address.
func (l *Interfaces) mayMeet(a, b *syntax.Statement) bool {
	n, numberA := network(a)
	m, numberB := network(b)
	switch {
	case numberA && numberB:
		return n.Overlaps(m)
	case !numberA && !numberB:
		return false // two interfaces
	}
	return true
}

// repeated reports whether a rule below is for the same, and counts.
func (l *Interfaces) repeated(at int, s *syntax.Statement) bool {
	return slices.ContainsFunc(l.list[at+1:], func(other *syntax.Statement) bool { return !other.Keyword && other.Address == s.Address })
}

// onlyLoopback reports whether a rule is for loopback addresses and no others.
func (l *Interfaces) onlyLoopback(s *syntax.Statement) bool {
	n, ok := network(s)
	return ok && n.Addr().IsLoopback() && (n.Addr().Is6() || n.Bits() >= 8)
}

// targets are what a rule names of a family: addresses as far as they are
// known, or an interface or network whose addresses are followed.
func (l *Interfaces) targets(s *syntax.Statement, family string) (list []config.Listen) {
	ofFamily := func(a netip.Addr) bool { return a.Is4() == (family == config.FamilyIPv4) }
	at := netip.AddrPortFrom(netip.Addr{}, l.port)
	if n, ok := network(s); ok {
		switch {
		case !ofFamily(n.Addr()):
		case n.IsSingleIP():
			list = append(list, config.Listen{AddrPort: netip.AddrPortFrom(n.Addr(), l.port)})
		default:
			list = append(list, config.Listen{AddrPort: at, Network: n})
		}
		return list
	}
	if known, ok := l.known[s.Address]; ok {
		for _, a := range known {
			if a = a.Unmap(); ofFamily(a) {
				list = append(list, config.Listen{AddrPort: netip.AddrPortFrom(a, l.port)})
			}
		}
		return list
	}
	named := config.Listen{AddrPort: at, Interface: s.Address, Family: family}
	if named.UnmarshalText([]byte(named.String())) != nil {
		return nil // no interface can have that name
	}
	return []config.Listen{named}
}

// add adds to the list. Both families of an interface are the interface.
func (l *Interfaces) add(one config.Listen) {
	for i, other := range l.listen {
		if other == one {
			return
		}
		if one.Interface != "" && other.Interface == one.Interface && other.Family != one.Family {
			l.listen[i].Family = ""
			return
		}
	}
	l.listen = append(l.listen, one)
}

// OnlyFamily leaves the addresses of a family (ntpd -4 and -6): of what is
// listened on, where nothing stands for everything.
func OnlyFamily(list []config.Listen, family string) []config.Listen {
	four := family == config.FamilyIPv4
	if len(list) == 0 {
		address := Any6
		if four {
			address = Any4
		}
		return config.ListenOn(netip.AddrPortFrom(address, 123))
	}
	list = slices.Clone(list)
	for i := range list {
		if list[i].Interface != "" && list[i].Family == "" {
			list[i].Family = family
		}
	}
	return slices.DeleteFunc(list, func(l config.Listen) bool {
		switch {
		case l.Interface != "":
			return l.Family != "" && l.Family != family
		case l.Network.IsValid():
			return l.Network.Addr().Is4() != four
		}
		return l.Addr().Is4() != four
	})
}
