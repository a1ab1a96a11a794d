package access

import (
	"encoding/binary"
	"math/bits"
)

// sipHash is SipHash-2-4 (Aumasson and Bernstein, 2012) of a message of 16
// octets, given as two little-endian words. Without its key nobody can choose
// addresses that fall into one set.
func sipHash(k0, k1, m0, m1 uint64) uint64 {
	v := sipState{
		k0 ^ 0x736f6d6570736575,
		k1 ^ 0x646f72616e646f6d,
		k0 ^ 0x6c7967656e657261,
		k1 ^ 0x7465646279746573,
	}
	v.absorb(m0)
	v.absorb(m1)
	v.absorb(16 << 56) // the length
	v.v2 ^= 0xff
	v.round()
	v.round()
	v.round()
	v.round()
	return v.v0 ^ v.v1 ^ v.v2 ^ v.v3
}

type sipState struct{ v0, v1, v2, v3 uint64 }

func (v *sipState) absorb(m uint64) {
	v.v3 ^= m
	v.round()
	v.round()
	v.v0 ^= m
}

func (v *sipState) round() {
	v.v0 += v.v1
	v.v1 = bits.RotateLeft64(v.v1, 13) ^ v.v0
	v.v0 = bits.RotateLeft64(v.v0, 32)
	v.v2 += v.v3
	v.v3 = bits.RotateLeft64(v.v3, 16) ^ v.v2
	v.v0 += v.v3
	v.v3 = bits.RotateLeft64(v.v3, 21) ^ v.v0
	v.v2 += v.v1
	v.v1 = bits.RotateLeft64(v.v1, 17) ^ v.v2
	v.v2 = bits.RotateLeft64(v.v2, 32)
}

func le64(b []byte) uint64 { return binary.LittleEndian.Uint64(b) }
