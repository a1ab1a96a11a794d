package netif

import (
	"net"
	"net/netip"
)

// IndexOf returns the index of the interface with an address, whatever its zone;
// 0 if there is none.
func IndexOf(address netip.Addr) int {
	address = address.Unmap().WithZone("")
	interfaces, err := net.Interfaces()
	if err != nil {
		return 0
	}
	for _, i := range interfaces {
		addresses, err := i.Addrs()
		if err != nil {
			continue // it has gone in this moment
		}
		for _, a := range addresses {
			if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Unmap() == address {
				return i.Index
			}
		}
	}
	return 0
}
