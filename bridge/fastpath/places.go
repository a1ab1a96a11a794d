package fastpath

import (
	"net"
	"net/netip"

	"ntsbridge/bridge/netif"
)

// places are the addresses and ports at which the program answers, with the
// listen address that each belongs to, and the addresses that are this host's,
// under port 0.
func places(own []netif.Address, listen []netip.AddrPort, listener func(netip.AddrPort) uint32) map[objectOwnKey]objectOwn {
	found := make(map[objectOwnKey]objectOwn)
	for _, a := range own {
		if a.Addr.IsLoopback() {
			continue
		}
		found[placeOf(a.Addr, 0)] = objectOwn{}
		if b := broadcastOf(a.Prefix); b.IsValid() {
			found[placeOf(b, 0)] = objectOwn{}
		}
		for _, l := range listen {
			if !covers(l.Addr(), a.Addr) {
				continue
			}
			at := placeOf(a.Addr, l.Port())
			if _, named := found[at]; !named || !l.Addr().IsUnspecified() { // the socket of the address itself comes first
				found[at] = objectOwn{Listener: listener(l)}
			}
		}
	}
	return found
}

// covers tells whether a listen address has the packets to an address.
func covers(listen, a netip.Addr) bool {
	if listen.IsUnspecified() {
		return listen.Is4() == a.Is4()
	}
	return listen == a || listen.Zone() == "" && listen == a.WithZone("")
}

// placeOf is an address and port as the program looks them up.
func placeOf(a netip.Addr, port uint16) objectOwnKey {
	k := objectOwnKey{Port: port<<8 | port>>8, Family: familyOf(a), Addr: words(a)}
	if a.Is6() && a.IsLinkLocalUnicast() {
		if i, err := net.InterfaceByName(a.Zone()); err == nil {
			k.Ifindex = uint32(i.Index)
		}
	}
	return k
}

// broadcastOf returns the broadcast address of an IPv4 network; invalid: it has
// none.
func broadcastOf(p netip.Prefix) netip.Addr {
	if !p.IsValid() || !p.Addr().Is4() || p.Bits() > 30 {
		return netip.Addr{}
	}
	b := p.Addr().As4()
	for i := p.Bits(); i < 32; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	return netip.AddrFrom4(b)
}
