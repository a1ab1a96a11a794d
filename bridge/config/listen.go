package config

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Listen is where the server listens: an address with a port, or whatever
// addresses an interface has, or this host has in a network, as they come and
// go.
type Listen struct {
	netip.AddrPort              // of Interface and Network, the port only
	Interface      string       // such as eth0
	Network        netip.Prefix // such as 192.0.2.0/24
	Family         string       // of the addresses of Interface: FamilyIPv4 or FamilyIPv6; empty: both
}

// Fixed reports whether it is one address, which does not change.
func (l Listen) Fixed() bool { return l.Addr().IsValid() }

// String returns what UnmarshalText reads.
func (l Listen) String() string {
	port := strconv.Itoa(int(l.Port()))
	switch {
	case l.Interface != "" && l.Family != "":
		return l.Interface + "/" + l.Family + ":" + port
	case l.Interface != "":
		return l.Interface + ":" + port
	case l.Network.IsValid() && l.Network.Addr().Is6():
		return "[" + l.Network.String() + "]:" + port
	case l.Network.IsValid():
		return l.Network.String() + ":" + port
	}
	return l.AddrPort.String()
}

// UnmarshalText reads an address with a port, an interface with a port (eth0:123,
// eth0/ipv6:123) or a network with a port (192.0.2.0/24:123, [2001:db8::/64]:123).
func (l *Listen) UnmarshalText(text []byte) error {
	s := string(text)
	name, port, ok := cutPort(s)
	switch {
	case !ok || netip.Addr.IsValid(addressOf(name)):
		a, err := parseListen(s)
		*l = Listen{AddrPort: a}
		return err
	case port == 0:
		return fmt.Errorf("%.60q has port 0; write the port to listen on", s)
	}
	*l = Listen{AddrPort: netip.AddrPortFrom(netip.Addr{}, port)}
	if n, err := netip.ParsePrefix(name); err == nil {
		if n != n.Masked() {
			return fmt.Errorf("%v has host bits; write %v", n, n.Masked())
		}
		l.Network = n
		return nil
	}
	l.Interface, l.Family, ok = strings.Cut(name, "/")
	if ok && l.Family != FamilyIPv4 && l.Family != FamilyIPv6 || !interfaceName(l.Interface) {
		return fmt.Errorf(`%.60q is not an address, interface or network with a port; write "192.0.2.1:123", "[2001:db8::1]:123", "eth0:123", `+
			`"eth0/ipv4:123" or "192.0.2.0/24:123"`, s)
	}
	return nil
}

// cutPort splits off what stands behind the last colon.
func cutPort(s string) (name string, port uint16, ok bool) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return s, 0, false
	}
	n, err := strconv.ParseUint(s[i+1:], 10, 16)
	name = s[:i]
	if inside, ok := strings.CutPrefix(name, "["); ok {
		if name, ok = strings.CutSuffix(inside, "]"); !ok {
			return s, 0, false
		}
	} else if strings.Contains(name, ":") {
		return s, 0, false
	}
	return name, uint16(n), err == nil
}

func addressOf(name string) netip.Addr {
	a, _ := netip.ParseAddr(name)
	return a
}

// interfaceName reports whether Linux takes a name for a network interface.
func interfaceName(s string) bool {
	if s == "" || len(s) > 15 || s == "." || s == ".." {
		return false
	}
	return !strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c > '~' || c == '/' || c == ':' || c == '"' })
}

// FixedAddresses returns the addresses that do not change.
func (s *Server) FixedAddresses() (list []netip.AddrPort) {
	for _, l := range s.Listen {
		if l.Fixed() {
			list = append(list, l.AddrPort)
		}
	}
	return list
}

// ListenOn returns what listens on addresses.
func ListenOn(addresses ...netip.AddrPort) (list []Listen) {
	for _, a := range addresses {
		list = append(list, Listen{AddrPort: a})
	}
	return list
}
