package inventory

import (
	"math"
	"math/bits"
)

// crowdSize is how many hosts behind one address are told apart.
const crowdSize = 16

// crowd is what is known of several hosts behind one address, or of the
// addresses behind a prefix.
//
// A thread is what one host alone can go on with: a chain of origin timestamps
// (ntpd repeats our last transmit timestamp), or the keys in its NTS cookies.
// Two threads that were in use at the same time are two hosts; a host that was
// restarted, or did NTS-KE anew, ends one thread and begins another, so threads
// that follow each other count once.
type crowd struct {
	threads [crowdSize]thread
	// seen has a bit per hash of address: linear counting for prefixes.
	seen [16]uint64
}

type thread struct {
	id          [2]uint32 // an origin chain's last two transmit timestamps, or the hash of keys twice
	first, last uint32
	kind        threadKind
}

type threadKind uint8

const (
	threadFree threadKind = iota
	threadChain
	threadKeys
)

// find returns the thread that goes on with id.
func (c *crowd) find(kind threadKind, id uint32) *thread {
	for i := range c.threads {
		t := &c.threads[i]
		if t.kind == kind && (t.id[0] == id || t.id[1] == id) {
			return t
		}
	}
	return nil
}

// begin returns a thread for a new id, the one that was silent for the longest
// time if none is free.
func (c *crowd) begin(kind threadKind, id, now uint32) *thread {
	oldest := &c.threads[0]
	for i := range c.threads {
		t := &c.threads[i]
		if t.kind == threadFree {
			oldest = t
			break
		}
		if t.last < oldest.last {
			oldest = t
		}
	}
	*oldest = thread{id: [2]uint32{id, id}, first: now, last: now, kind: kind}
	return oldest
}

// together returns how many threads of a kind were in use at the same moment, at
// most: so many hosts at least. A thread seen once is a moment; that of a host
// whose answers were lost, say. Only threads that went on count.
func (c *crowd) together(kind threadKind, since uint32) int {
	most := 0
	for i := range c.threads {
		t := &c.threads[i]
		if t.kind != kind || t.last <= t.first || t.last < since {
			continue
		}
		// The most overlap is at some thread's beginning.
		n := 0
		for j := range c.threads {
			o := &c.threads[j]
			if o.kind == kind && o.last > o.first && o.last >= since && o.first <= t.first && o.last > t.first {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

// note remembers an address, by its hash.
func (c *crowd) note(hash uint32) {
	h := hash * 0x9e3779b1 >> 22
	c.seen[h/64] |= 1 << (h % 64)
}

// addresses returns how many addresses were noted, by linear counting: within
// a few of a hundred up to 1000, and at most about 7000.
func (c *crowd) addresses() int {
	ones := 0
	for _, w := range c.seen {
		ones += bits.OnesCount64(w)
	}
	const size = 16 * 64
	zeros := max(size-ones, 1)
	return int(math.Round(-size * math.Log(float64(zeros)/size)))
}

// inlineThread is a thread in a client's own record, without times: most
// addresses have one host, and need no crowd.
type inlineThread struct {
	id   [2]uint32
	kind threadKind
}

func (t *inlineThread) is(kind threadKind, id uint32) bool {
	return t.kind == kind && (t.id[0] == id || t.id[1] == id)
}
