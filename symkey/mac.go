package symkey

import (
	"crypto/subtle"
	"encoding/binary"

	"ntsbridge/bridge/ntp/digest"
)

// cutMACLen is what a digest is cut to, in octets, where the trailer must not
// be longer than 24 octets with the key identifier (RFC 7822, section 7.5).
const cutMACLen = 20

// keyIDLen is the length of the key identifier before the MAC, in octets.
const keyIDLen = 4

// Scratch is the working memory of one worker, which makes Open, Verify and
// Seal free of allocations (after the first use of each rare algorithm). It
// must not be used by two goroutines at once. It has held secrets: do not
// write it anywhere.
type Scratch struct {
	input   [4096]byte // key and packet, for digests in one call
	mac     [maxMACLen]byte
	state   [cmacLen]byte
	digests []digest.Hash // by algorithm.index, made when first needed
}

// NewScratch returns working memory for one worker.
func NewScratch() *Scratch { return &Scratch{digests: make([]digest.Hash, len(algorithms))} }

// compute returns the uncut MAC of msg; it lies in s.
func (k *Key) compute(msg []byte, s *Scratch) []byte {
	switch n := copy(s.input[:], k.secret); {
	case k.cmac.block != nil:
		k.cmac.sum((*[cmacLen]byte)(s.mac[:]), msg, &s.state)
	case k.algorithm.digest.Sum != nil && n+len(msg) <= len(s.input):
		n += copy(s.input[n:], msg)
		k.algorithm.digest.Sum(&s.mac, s.input[:n])
	default:
		d := s.hash(k.algorithm)
		d.Reset()
		d.Write(k.secret)
		d.Write(msg)
		d.Sum(s.mac[:0])
	}
	return s.mac[:k.algorithm.macLen]
}

func (s *Scratch) hash(a *algorithm) digest.Hash {
	if s.digests[a.index] == nil {
		s.digests[a.index] = a.digest.New()
	}
	return s.digests[a.index]
}

// acceptsLen reports whether a MAC of n octets can be this key's: uncut, or cut
// to 20 octets. Nothing shorter: a short MAC is a guess made easy.
func (k *Key) acceptsLen(n int) bool {
	full := k.algorithm.macLen
	return n == full || n == cutMACLen && full > cutMACLen
}

// WireLen returns the length of the MAC to send in a request of the given NTP
// version, in octets without the key identifier. Version 4 has room for 20
// octets, earlier ones for the whole digest. ntpd and ntpsec take 20 octets in
// every version, chronyd 20 in version 4 only and the whole digest in 1 to 3:
// with long digests version 4 is the one that everybody understands.
func (k *Key) WireLen(version uint8) int {
	if version >= 4 {
		return min(k.algorithm.macLen, cutMACLen)
	}
	return k.algorithm.macLen
}

// Verify reports whether packet[mac:] is the identifier of this key and its MAC
// over packet[:mac], whole or cut to 20 octets. It takes any packet and offset,
// and the same time for every wrong MAC of a length.
func (k *Key) Verify(packet []byte, mac int, s *Scratch) bool {
	if mac < 0 || len(packet)-keyIDLen < mac {
		return false
	}
	got := packet[mac+keyIDLen:]
	if !k.acceptsLen(len(got)) || binary.BigEndian.Uint32(packet[mac:]) != k.id {
		return false
	}
	return subtle.ConstantTimeCompare(k.compute(packet[:mac], s)[:len(got)], got) == 1
}

// Seal writes the key identifier and a MAC of macLen octets over resp[:n]
// behind it and returns the new length, n+4+macLen. A server passes the length
// that the request had (a cut MAC is mirrored), a client WireLen. It returns 0,
// nothing to send, if resp has no room or the key makes no MAC of that length.
func (k *Key) Seal(resp []byte, n, macLen int, s *Scratch) int {
	if n < 0 || !k.acceptsLen(macLen) || len(resp)-keyIDLen-macLen < n {
		return 0
	}
	mac := k.compute(resp[:n], s)
	binary.BigEndian.PutUint32(resp[n:], k.id)
	copy(resp[n+keyIDLen:], mac[:macLen])
	return n + keyIDLen + macLen
}
