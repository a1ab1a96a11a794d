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

func (v *Inventory) find(addr *[16]byte, bitsOf uint8, h uint64) uint32 {
	for i := h & v.index.mask; ; i = (i + 1) & v.index.mask {
		ref := v.index.slots[i]
		if ref == 0 {
			return 0
		}
		if c := v.clients.at(ref); c.addr == *addr && c.bits == bitsOf {
			return ref
		}
	}
}

func (v *Inventory) link(ref uint32, h uint64) {
	i := h & v.index.mask
	for v.index.slots[i] != 0 {
		i = (i + 1) & v.index.mask
	}
	v.index.slots[i] = ref
}

// unlink takes a client out and moves up those that probed past it.
func (v *Inventory) unlink(ref uint32) {
	x := &v.index
	c := v.clients.at(ref)
	i := x.hash(&c.addr, c.bits) & x.mask
	for x.slots[i] != ref {
		i = (i + 1) & x.mask
	}
	for j := (i + 1) & x.mask; x.slots[j] != 0; j = (j + 1) & x.mask {
		o := v.clients.at(x.slots[j])
		home := x.hash(&o.addr, o.bits) & x.mask
		if (j-home)&x.mask >= (j-i)&x.mask {
			x.slots[i] = x.slots[j]
			i = j
		}
	}
	x.slots[i] = 0
}

// Numbers with as many ones as zeros, as wyhash has them, so that the product
// mixes whatever the seed is.
const (
	mix0 = 0xa0761d6478bd642f
	mix1 = 0xe7037ed1a0b428db
	mix2 = 0x8ebc6af09c88c6e3
)
