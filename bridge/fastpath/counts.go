package fastpath

import (
	"net/netip"

	"github.com/cilium/ebpf"

	"ntsbridge/bridge/ntp"
)

// Causes are why requests that looked like some for the program were passed to
// the sockets, in the order of maps.h.
var Causes = [...]string{"stale", "stepped", "refused", "limited", "interleaved", "busy", "source", "key", "mac"}

// Counts are what the program did since it was loaded.
type Counts struct {
	Answered [8]uint64 // by version, without a key
	Keyed    [8]uint64 // with one
	Stamped  uint64    // of them with a receive timestamp of the kernel
	Passed   [len(Causes)]uint64

	noted   [2]uint64 // clients by the epoch's lowest bit
	unnoted uint64
}

// Counts returns the sum over all processors.
func (e *Engine) Counts() (sum Counts) {
	var each []objectCounts
	if e.objects.Maps[objectMapCounters].Lookup(uint32(0), &each) != nil {
		return sum
	}
	for i := range each {
		c := &each[i]
		for v, n := range c.Answered {
			sum.Answered[v] += n
			sum.Keyed[v] += c.Keyed[v]
		}
		for p, n := range c.Passed {
			sum.Passed[p] += n
		}
		sum.Stamped += c.Stamped
		sum.noted[0] += c.Noted[0]
		sum.noted[1] += c.Noted[1]
		sum.unnoted += c.Unnoted
	}
	return sum
}

// Answered returns how many requests were answered, by kind and version, and how
// many of them had a receive timestamp of the kernel.
func (e *Engine) Answered() (kinds [ntp.KindCount][8]uint64, stamped uint64) {
	c := e.Counts()
	kinds[ntp.KindNone], kinds[ntp.KindSymmetric] = c.Answered, c.Keyed
	return kinds, c.Stamped
}

// Received returns how many requests to a listen address were answered.
func (e *Engine) Received(a netip.AddrPort) uint64 {
	e.mu.Lock()
	at, known := e.listeners[a]
	e.mu.Unlock()
	if !known {
		return 0
	}
	return sumOf(e.objects.Maps[objectMapListeners], at)
}

// Hits adds how many requests of each rule in force were answered.
func (e *Engine) Hits(hits []uint64) {
	generation := e.standing.generation()
	if generation == 0 {
		return
	}
	for i := range hits[:min(len(hits), maxRules)] {
		hits[i] += sumOf(e.objects.Maps[objectMapHits], generation&1*maxRules+uint32(i))
	}
}

func sumOf(m *ebpf.Map, at uint32) (n uint64) {
	var each []uint64
	if m.Lookup(at, &each) != nil {
		return 0
	}
	for _, one := range each {
		n += one
	}
	return n
}

// clearHits begins to count anew for the rules of a generation.
func (e *Engine) clearHits(generation uint32) error {
	zero := make([]uint64, ebpf.MustPossibleCPU())
	for i := range uint32(e.ruleCount) {
		if err := e.objects.Maps[objectMapHits].Put(generation&1*maxRules+i, zero); err != nil {
			return err
		}
	}
	return nil
}
