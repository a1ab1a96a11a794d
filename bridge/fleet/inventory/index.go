package inventory

import (
	"encoding/binary"
	"math/bits"
)

// index finds clients by address: open addressing with linear probing.
type index struct {
	slots []uint32
	mask  uint64
	seed  [2]uint64
}

func newIndex(capacity int, seed [2]uint64) index {
	n := 1 << bits.Len(uint(capacity+capacity/2))
	return index{slots: make([]uint32, n), mask: uint64(n - 1), seed: seed}
}

func (x *index) hash(addr *[16]byte, bitsOf uint8) uint64 {
	hi, lo := bits.Mul64(binary.LittleEndian.Uint64(addr[:8])^x.seed[0]^mix0, binary.LittleEndian.Uint64(addr[8:])^x.seed[1]^mix1)
	hi, lo = bits.Mul64(hi^lo^uint64(bitsOf), x.seed[0]^mix2)
	return hi ^ lo
}

// Numbers with as many ones as zeros, as wyhash has them, so that the product
// mixes whatever the seed is.
const (
	mix0 = 0xa0761d6478bd642f
	mix1 = 0xe7037ed1a0b428db
	mix2 = 0x8ebc6af09c88c6e3
)
