// Package netif knows which addresses this host's network interfaces have, and
// tells when they change (rtnetlink(7)).
package netif

import (
	"fmt"
	"net"
	"net/netip"
	"slices"

	"ntsbridge/bridge/config"
)

// Addresses returns where to listen now: the addresses of the list, and those
// that its interfaces and networks have at the moment. An interface that is not
// there has none.
func Addresses(list []config.Listen) (found []netip.AddrPort, err error) {
	var own []Address
	for _, l := range list {
		if l.Fixed() {
			found = append(found, l.AddrPort)
			continue
		}
		if own == nil {
			if own, err = Own(); err != nil {
				return nil, err
			}
		}
		for _, a := range own {
			if at := netip.AddrPortFrom(a.Addr, l.Port()); covers(l, a) && !slices.Contains(found, at) && bindable(a.Addr) {
				found = append(found, at)
			}
		}
	}
	return found, nil
}

// Address is one of this host's.
type Address struct {
	netip.Addr              // with the zone, if it is link-local
	Interface  string       // that has it
	Prefix     netip.Prefix // of the address with its network's bits
}

// Own returns the addresses of the interfaces that are up.
func Own() (list []Address, err error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("addresses of this host: %w", err)
	}
	list = []Address{}
	for _, i := range interfaces {
		if i.Flags&net.FlagUp == 0 {
			continue
		}
		addresses, err := i.Addrs()
		if err != nil {
			continue // it has gone in this moment
		}
		for _, a := range addresses {
			p, err := netip.ParsePrefix(a.String())
			if err != nil {
				continue
			}
			address := p.Addr().Unmap()
			if address.IsLinkLocalUnicast() && address.Is6() {
				address = address.WithZone(i.Name)
			}
			list = append(list, Address{address, i.Name, netip.PrefixFrom(p.Addr().Unmap(), p.Bits())})
		}
	}
	return list, nil
}

// covers reports whether an interface or network that is listened on has an
// address.
func covers(l config.Listen, a Address) bool {
	if l.Network.IsValid() {
		return l.Network.Contains(a.WithZone(""))
	}
	return l.Interface == a.Interface && (l.Family == "" || (l.Family == config.FamilyIPv4) == a.Is4())
}

// bindable reports whether a socket can have an address: one of IPv6 that the
// host is still asking the network about (RFC 4862, section 5.4) cannot.
func bindable(a netip.Addr) bool {
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, 0)))
	if err != nil {
		return false
	}
	c.Close()
	return true
}
