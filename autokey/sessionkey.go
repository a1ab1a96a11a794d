package autokey

import (
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"

	"ntsbridge/bridge/ntp/digest"
)

// minKeyID is the smallest identifier of a session key; smaller ones are of
// symmetric keys.
const minKeyID = 65536

// Seed is the secret of a server from which the cookies of its clients are
// made, 32 bits. That of ntpd 4.2.8p15 is always 0.
type Seed uint32

// Format hides the seed, whatever the verb.
func (Seed) Format(f fmt.State, _ rune) { io.WriteString(f, "seed(hidden)") }

// Scratch holds a digest and its buffers, so that session keys and MACs can
// be computed without allocation. It must not be used concurrently.
type Scratch struct {
	digest Digest
	h      digest.Hash
	in     [40]byte
	key    [maxDigestLen]byte
	sum    [maxDigestLen]byte
}

// Format hides the session key, whatever the verb.
func (s *Scratch) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "scratch(%s)", s.digest) }

// NewScratch returns a Scratch for a digest, which must be valid.
func NewScratch(d Digest) *Scratch {
	s := new(Scratch)
	s.use(d)
	return s
}

// use makes s work with d.
func (s *Scratch) use(d Digest) {
	if s.h == nil || s.digest != d {
		s.digest, s.h = d, digests[d].New()
	}
}

// sessionKey returns the session key of a packet from source to destination
// (RFC 5906, section 9.2): the digest of both addresses, 4 or 16 octets each,
// the key identifier and the cookie. A packet with an extension field has
// cookie 0. The result is good until the next call of a method of s.
func (s *Scratch) SessionKey(source, destination netip.Addr, keyID, cookie uint32) []byte {
	in := appendAddr(s.in[:0], source)
	in = appendAddr(in, destination)
	in = binary.BigEndian.AppendUint32(in, keyID)
	in = binary.BigEndian.AppendUint32(in, cookie)
	s.h.Reset()
	s.h.Write(in)
	return s.h.Sum(s.key[:0])
}

// appendAddr appends the octets of an address, of a 4-in-6 address the 4.
func appendAddr(dst []byte, a netip.Addr) []byte {
	if a = a.Unmap(); a.Is4() {
		b := a.As4()
		return append(dst, b[:]...)
	}
	b := a.As16()
	return append(dst, b[:]...)
}

// Cookie returns the cookie that a server with this seed gives to a client:
// the first 32 bits of the session key with key identifier 0 and the seed in
// the place of the cookie.
func (s *Scratch) Cookie(client, server netip.Addr, seed Seed) uint32 {
	return nextKeyID(s.SessionKey(client, server, 0, uint32(seed)))
}

// MAC returns the MAC of a packet up to its key identifier under a session
// key: the digest of key and packet, cut to macLen octets. The result is good
// until the next call of a method of s.
func (s *Scratch) MAC(key, packet []byte) []byte {
	s.h.Reset()
	s.h.Write(key)
	s.h.Write(packet)
	return s.h.Sum(s.sum[:0])[:s.digest.macLen()]
}

// verifyMAC reports whether mac is the MAC of packet under key, in constant
// time for MACs of the right length.
func (s *Scratch) verifyMAC(key, packet, mac []byte) bool {
	return subtle.ConstantTimeCompare(s.MAC(key, packet), mac) == 1
}

// nextKeyID returns the first 32 bits of a session key: the identifier of the
// next key of a key list.
func nextKeyID(sessionKey []byte) uint32 { return binary.BigEndian.Uint32(sessionKey) }
