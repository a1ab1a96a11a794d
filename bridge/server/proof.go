package server

import (
	"hash/maphash"
	"net/netip"
	"sync/atomic"
	"time"

	"ntsbridge/bridge/ntp"
)

// guard bounds what forged requests cost a worker: verifications that fail may
// take a quarter of its time, and as much again those of sources that proved
// lately that they hold a key, so that nobody loses its place to a flood from
// other addresses. It counts by estimates and belongs to one worker.
type guard struct {
	anybody, known int64 // when the bucket will be full again, nanoseconds
}

const (
	guardShare = 4 // a nanosecond of work fills the bucket by so many of time
	// guardSpan is how much time may be used up at once: a worker that slept
	// must not refuse the batch that woke it.
	guardSpan = int64(200 * time.Millisecond)
)

// verifyCost is what a verification that fails costs, nanoseconds of a slow
// core.
var verifyCost = [ntp.KindCount]int64{ntp.KindSymmetric: 1000, ntp.KindNTS: 2000}

// admits tells whether a claim may be verified now.
func (g *guard) admits(now int64, known func() bool) bool {
	return g.anybody-now < guardSpan || g.known-now < guardSpan && known()
}

// failed charges a verification that failed.
func (g *guard) failed(now int64, kind ntp.Kind) {
	cost := guardShare * verifyCost[kind]
	if g.anybody-now < guardSpan {
		g.anybody = max(g.anybody, now) + cost
		return
	}
	g.known = max(g.known, now) + cost
}

// proved remembers which sources held a key lately, or a cookie that Autokey
// gives only to who receives at an address. It has a fixed number of places
// and no lock; what a stranger can forge never gets in.
type proved struct {
	seed   maphash.Seed
	places []atomic.Uint64 // hash above, seconds of the server's life below
}

const (
	provedPlaces = 1 << 15 // a power of two
	provedLife   = 1 << 17 // seconds: longer than any poll interval
	provedAgain  = 1 << 9  // seconds after which the time is written anew
)

func newProved() *proved {
	return &proved{seed: maphash.MakeSeed(), places: make([]atomic.Uint64, provedPlaces)}
}

// place returns where a source is remembered and its mark. Of an IPv6 address
// the first 64 bits count.
func (p *proved) place(from netip.Addr) (*atomic.Uint64, uint32) {
	b := from.As16()
	n := len(b)
	if from.Is6() && !from.Is4In6() {
		n = 8
	}
	h := maphash.Bytes(p.seed, b[:n])
	return &p.places[h%provedPlaces], uint32(h>>32) | 1
}

// note remembers a source at time mono.
func (p *proved) note(from netip.Addr, mono int64) {
	place, mark := p.place(from)
	now := uint32(mono / int64(time.Second))
	if was := place.Load(); uint32(was>>32) != mark || now-uint32(was) >= provedAgain {
		place.Store(uint64(mark)<<32 | uint64(now))
	}
}

// has tells whether a source is remembered.
func (p *proved) has(from netip.Addr, mono int64) bool {
	place, mark := p.place(from)
	was := place.Load()
	return uint32(was>>32) == mark && uint32(mono/int64(time.Second))-uint32(was) < provedLife
}
