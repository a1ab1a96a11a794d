package inventory

import "math/bits"

// filter remembers, for strangers in a table with little room, who was seen
// before: two Bloom filters, of which the older one is emptied when the newer
// one is full. It never grows, it forgets, and it takes a few strangers for
// others that it has seen.
type filter struct {
	bits [2][]uint64
	room int // entries until the filters change places
	size int
	mask uint64
}

// newFilter has about 8 octets per client in each of its halves.
func newFilter(capacity int) *filter {
	words := 1 << bits.Len(uint(max(capacity, 64)-1))
	f := &filter{mask: uint64(words*64 - 1), size: words * 8}
	f.room = f.size
	for i := range f.bits {
		f.bits[i] = make([]uint64, words)
	}
	return f
}

// seen tells whether hash was noted, and notes it.
func (f *filter) seen(hash uint64) bool {
	a, b := hash&f.mask, bits.RotateLeft64(hash, 32)*0x9e3779b97f4a7c15>>20&f.mask
	has := func(w []uint64) bool { return w[a/64]>>(a%64)&1&(w[b/64]>>(b%64)) == 1 }
	if has(f.bits[0]) {
		return true
	}
	known := has(f.bits[1])
	if f.room == 0 {
		f.bits[0], f.bits[1] = f.bits[1], f.bits[0]
		clear(f.bits[0])
		f.room = f.size
	}
	f.room--
	f.bits[0][a/64] |= 1 << (a % 64)
	f.bits[0][b/64] |= 1 << (b % 64)
	return known
}

func (f *filter) octets() int { return 16 * len(f.bits[0]) }
