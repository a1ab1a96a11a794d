package aead

import (
	"crypto/aes"
	"encoding/binary"
)

const blockLen = aes.BlockSize

// block is one block of AES, or an element of POLYVAL's field.
type block [blockLen]byte

// number is a block read as a big-endian number of 128 bits, as CMAC and S2V
// calculate with it.
type number struct{ hi, lo uint64 }

// toNumber reads the first 16 octets of p.
func toNumber(p []byte) number {
	_ = p[blockLen-1]
	return number{binary.BigEndian.Uint64(p), binary.BigEndian.Uint64(p[8:])}
}

// put writes n out to the first 16 octets of p.
func (n number) put(p []byte) {
	_ = p[blockLen-1]
	binary.BigEndian.PutUint64(p, n.hi)
	binary.BigEndian.PutUint64(p[8:], n.lo)
}

// block returns the block of n.
func (n number) block() (b block) {
	n.put(b[:])
	return b
}

func (n number) xor(m number) number { return number{n.hi ^ m.hi, n.lo ^ m.lo} }

// equal compares in constant time.
func (n number) equal(m number) bool {
	d := n.xor(m)
	return d.hi|d.lo == 0
}

// dbl multiplies by x in CMAC's field, in constant time (RFC 5297, section
// 2.3).
func (n number) dbl() number {
	return number{n.hi<<1 | n.lo>>63, n.lo<<1 ^ -(n.hi>>63)&0x87}
}

// left shifts by 0 to 16 octets to the left.
func (n number) left(octets int) number {
	s := uint(octets) * 8
	return number{n.hi<<s | n.lo<<(s-64) | n.lo>>(64-s), n.lo << s}
}

// right shifts by 0 to 16 octets to the right.
func (n number) right(octets int) number {
	s := uint(octets) * 8
	return number{n.hi >> s, n.lo>>s | n.hi>>(s-64) | n.hi<<(64-s)}
}

// tail reads the last r octets of p, 0 to 16, as the first of a block whose
// other octets are zero. Only p itself is read.
func tail(p []byte, r int) number {
	if len(p) >= blockLen {
		return toNumber(p[len(p)-blockLen:]).left(blockLen - r)
	}
	var b block
	copy(b[:], p[len(p)-r:])
	return toNumber(b[:])
}

// pad returns the padding of a last block of r octets, 0 to 15: a one bit
// behind them.
func pad(r int) number {
	return number{hi: 0x80 << 56}.right(r)
}
