package inventory

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"math/bits"
	"net/netip"
)

// Addresses says what counts as one client and what is kept of its address.
type Addresses struct {
	// TemporaryPrefix counts IPv6 addresses that look temporary (RFC 8981) by
	// a prefix of so many bits, 32 to 127; 0 or 128 counts each address.
	TemporaryPrefix int
	// Shorten4 and Shorten6 keep so many bits of each address, 8 to 32 and 16
	// to 128; 0 keeps all.
	Shorten4, Shorten6 int
	// HashKey replaces each address by a hash under this key; empty: addresses
	// are kept. Who has the key can try addresses.
	HashKey []byte
}

// Hashed is what Scheme begins with where addresses are hashed.
const Hashed = "hash under key "

// Scheme says how addresses are kept. Two gateways of the same scheme know a client
// by the same name. Of the key it has a fingerprint, which nobody can turn back.
func (a *Addresses) Scheme() string {
	scheme := "full"
	if a.Shorten4 > 0 || a.Shorten6 > 0 {
		scheme = fmt.Sprintf("short, /%d and /%d", a.Shorten4, a.Shorten6)
	}
	if len(a.HashKey) > 0 {
		h := hmac.New(sha256.New, a.HashKey)
		h.Write([]byte("ntsbridge: fingerprint of inventory.key"))
		scheme = fmt.Sprintf("%s%x", Hashed, h.Sum(nil)[:8])
	}
	if a.TemporaryPrefix > 0 && a.TemporaryPrefix < 128 {
		scheme += fmt.Sprintf("; temporary ones as /%d", a.TemporaryPrefix)
	}
	return scheme
}

// place returns under which address a client is kept, how many bits of it
// count, and flags.
func (a *Addresses) place(addr *[16]byte) (place [16]byte, bitsOf uint8, flags uint8) {
	place, bitsOf = *addr, 128
	v4 := isIPv4(addr)
	switch {
	case v4 && a.Shorten4 > 0 && a.Shorten4 < 32:
		bitsOf, flags = uint8(96+a.Shorten4), flagShort
	case !v4 && a.Shorten6 > 0 && a.Shorten6 < 128:
		bitsOf, flags = uint8(a.Shorten6), flagShort
	case !v4 && a.TemporaryPrefix > 0 && a.TemporaryPrefix < 128 && temporary(addr):
		bitsOf = uint8(a.TemporaryPrefix)
	}
	mask(&place, int(bitsOf))
	if len(a.HashKey) > 0 {
		h := hmac.New(sha256.New, a.HashKey)
		h.Write(place[:])
		h.Write([]byte{bitsOf})
		copy(place[:], h.Sum(nil))
		flags |= flagHashed
	}
	return place, bitsOf, flags
}

// KeyOf returns under which key a client with an address is kept, and whether that
// is a hash.
func (a *Addresses) KeyOf(addr netip.Addr) (k Key, hashed bool) {
	b := addr.As16()
	place, bitsOf, flags := a.place(&b)
	copy(k[:], place[:])
	k[16] = bitsOf
	return k, flags&flagHashed != 0
}

func mask(addr *[16]byte, n int) {
	for i := range addr {
		if keep := n - 8*i; keep < 8 {
			addr[i] &= ^byte(0xff >> max(keep, 0))
		}
	}
}

func isIPv4(a *[16]byte) bool {
	for _, b := range a[:10] {
		if b != 0 {
			return false
		}
	}
	return a[10] == 0xff && a[11] == 0xff
}

// temporary tells whether the lower half of a global IPv6 address looks random:
// not an address written by a person or a DHCP server (many zeros), nor one made
// of a hardware address. Stable random addresses (RFC 7217) look the same.
func temporary(a *[16]byte) bool {
	if a[0]&0xe0 != 0x20 && a[0]&0xfe != 0xfc { // global unicast, unique local
		return false
	}
	id := a[8:]
	if id[3] == 0xff && id[4] == 0xfe || id[0] == 0 && id[1] == 0x5e { // EUI-64, ISATAP
		return false
	}
	zeros, ones := 0, 0
	for _, b := range id {
		if b == 0 {
			zeros++
		}
		ones += bits.OnesCount8(b)
	}
	return zeros <= 2 && ones >= 16 && ones <= 48
}
