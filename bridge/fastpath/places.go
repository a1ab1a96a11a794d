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

// nearOf is what the program finds without its table: as many places as have a
// hash of their own, and which addresses cannot be this host's.
func nearOf(all map[objectOwnKey]objectOwn) (n objectNear) {
	for k, v := range all {
		h := hashOf(&k.Addr)
		if k.Port == 0 {
			n.Filter[h>>58] |= 1 << (h >> 52 & 63)
			continue
		}
		if p := &n.Places[h>>58]; p.Key.Family == 0 {
			p.Key, p.Own = k, v
		}
	}
	return n
}

// hashOf is the program's hash_of.
func hashOf(a *[4]uint32) uint64 {
	low, high := uint64(a[0])|uint64(a[1])<<32, uint64(a[2])|uint64(a[3])<<32
	return (low ^ high*0xbf58476d1ce4e5b9) * 0x9e3779b97f4a7c15
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
