package site

import (
	"sync"

	"ntsbridge/bridge/fleet/inventory"
)

// found is a bucket as it was told, with a table of where each client is in it. A
// list of a site looks for each of its clients twice in what each gateway told:
// what costs is to reach memory, so what was told stays as dense as it came, and
// is read when it is found.
type found struct {
	raw   []byte
	names []string
	slots []uint32 // of a power of two, of which a fifth at least is 0, free: see slotOf
	used  []bool   // that a row was found for a slot
	once  sync.Once
}

// A slot has where the client begins, which is never 0, and 8 bits of its hash.
const (
	slotShift = 24
	maxBucket = 1 << slotShift // octets; etcd takes 1.5 MB
)

func slotOf(h keyHash, at int) uint32 { return uint32(h>>33)<<slotShift | uint32(at) }

// read takes a bucket; one that is damaged is empty.
func (l *found) read(b []byte) {
	type entry struct {
		h  keyHash
		at int
	}
	var list []entry
	names, err := readBucket(b, func(at int, f *fact) { list = append(list, entry{hashOf(&f.key), at}) })
	if err != nil || len(list) == 0 || len(b) >= maxBucket {
		return
	}
	size := 2
	for 4*size < 5*len(list) {
		size *= 2
	}
	l.raw, l.names, l.slots, l.used = b, names, make([]uint32, size), make([]bool, size)
	for _, e := range list {
		i := l.begin(e.h)
		for l.slots[i] != 0 {
			i = (i + 1) & (size - 1)
		}
		l.slots[i] = slotOf(e.h, e.at)
	}
}

// begin is the slot where looking for a client begins. What chose the bucket is
// the same for all that are in it.
func (l *found) begin(h keyHash) int { return int(h>>41) & (len(l.slots) - 1) }

// at reads the client of a slot.
func (l *found) at(slot int, f *fact) {
	r := reader{rest: l.raw[l.slots[slot]&(1<<slotShift-1):]}
	r.fact(l.names, f)
}

// find reads what is told of a client and returns its slot, -1: nothing is.
func (l *found) find(h keyHash, k *inventory.Key, hashed bool, f *fact) (slot int) {
	if len(l.slots) == 0 {
		return -1
	}
	for i := l.begin(h); l.slots[i] != 0; i = (i + 1) & (len(l.slots) - 1) {
		if (l.slots[i]^slotOf(h, 0))>>slotShift != 0 {
			continue
		}
		if l.at(i, f); f.key == *k && f.hashed == hashed {
			return i
		}
	}
	return -1
}
