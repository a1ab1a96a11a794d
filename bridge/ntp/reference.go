package ntp

import (
	"crypto/fips140"
	"crypto/md5" // as the RFC has it
	"encoding/binary"
	"net/netip"
)

// ReferenceID returns the reference identifier of those who follow an address
// (RFC 5905, section 7.3): an IPv4 address itself, of an IPv6 address the first
// four octets of its MD5 digest. That of no address is 0.
func ReferenceID(a netip.Addr) uint32 {
	switch a = a.Unmap(); {
	case a.Is4():
		b := a.As4()
		return binary.BigEndian.Uint32(b[:])
	case a.Is6():
		b := a.As16()
		var sum [md5.Size]byte
		// A name for an address, no protection of anything.
		fips140.WithoutEnforcement(func() { sum = md5.Sum(b[:]) })
		return binary.BigEndian.Uint32(sum[:])
	}
	return 0
}
