package inventory

import "net/netip"

// Shown returns what may be written elsewhere, such as in a log, of an address:
// the address, or what is kept of it where that is less, as Client.Name.
func (a *Addresses) Shown(addr [16]byte) string {
	place, bitsOf, flags := a.place(&addr)
	if flags&(flagShort|flagHashed) == 0 {
		return netip.AddrFrom16(addr).Unmap().String()
	}
	k := client{addr: place, bits: bitsOf, flags: flags}
	c := Client{Key: k.key(), Hashed: flags&flagHashed != 0}
	if !c.Hashed {
		c.Prefix = prefixOf(&k)
	}
	return c.Name()
}
