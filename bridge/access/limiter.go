package access

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"net/netip"
	"runtime"
	"sync/atomic"
	"time"
	"unsafe"

	"ntsbridge/bridge/ntp"
)

// Decision is what a Limiter says about a request.
type Decision uint8

// The decisions.
const (
	Pass    Decision = iota // within the limit
	Leaked                  // over it, but to be answered all the same
	Limited                 // over it: nothing is sent
	Kissed                  // over it: kiss code RATE is sent
)

// Verdict returns what to send and what to count.
func (d Decision) Verdict() (ntp.Action, ntp.Reason) {
	switch d {
	case Limited:
		return ntp.Drop, ntp.ReasonRateLimited
	case Kissed:
		return ntp.KissRate, ntp.ReasonRateLimited
	}
	return ntp.Answer, ntp.ReasonOK
}

const (
	ways       = 8       // slots of a set
	maxClients = 1 << 24 // of a table
	// kissInterval is the least time between two kisses for one client.
	kissInterval = time.Second
	// never is so long ago that everything is allowed, and still no overflow
	// when it is subtracted from a time of this or the next century.
	never = math.MinInt64 / 2
)

// LimiterConfig is the shape of a Limiter.
type LimiterConfig struct {
	Clients    int      // addresses in the table, 1 to 2^24; rounded up to 8 times a power of two
	IPv4Prefix int      // bits of an IPv4 address that count, 1 to 32; 0 is 32
	IPv6Prefix int      // bits of an IPv6 address that count, 1 to 128; 0 is 64
	Seed       [16]byte // random and secret: places addresses in the table, decides on leaks
}

// Limiter holds the token buckets of many clients in a table of fixed size,
// 40 octets per client. An address belongs to one set of eight slots; in a
// full set the client with the fullest bucket makes room, for whom forgetting
// changes least. So a stranger with many addresses can make the limiter
// forget, which favours other clients, but cannot make it grow or refuse them.
//
// Each set has a lock of its own, held for a few nanoseconds.
type Limiter struct {
	sets   []set
	shift  uint // of a hash, to get the set
	k0, k1 uint64
	mask4  [2]uint64
	mask6  [2]uint64
}

// set is eight clients, field by field so that a search reads one cache line.
// The kernel's part of the server (bridge/fastpath) works on the same memory,
// which the layout and the lock are for.
type set struct {
	mu     spin
	_      uint32
	random uint64 // state of the generator that decides on leaks
	_      [48]byte
	key    [ways]uint64 // hash of the address; 0: free
	full   [ways]int64  // when the bucket will be full again
	passed [ways]int64  // the last request that passed
	kissed [ways]int64  // the last kiss
}

// spin is a lock in memory that is not of Go alone. It is held for nanoseconds.
type spin struct{ taken atomic.Uint32 }

// Lock waits for the lock.
func (s *spin) Lock() {
	for !s.taken.CompareAndSwap(0, 1) {
		runtime.Gosched()
	}
}

// Unlock gives it back.
func (s *spin) Unlock() { s.taken.Store(0) }

// NewLimiter returns an empty limiter.
func NewLimiter(c LimiterConfig) (*Limiter, error) { return NewLimiterIn(c, nil) }

// Sets returns how many sets of SetLen octets a limiter of this shape has.
func (c LimiterConfig) Sets() int { return 1 << c.log2() }

func (c LimiterConfig) log2() uint { return uint(bits.Len(uint((c.Clients+ways-1)/ways - 1))) }

// SetLen is the length of a set in octets.
const SetLen = int(unsafe.Sizeof(set{}))

// NewLimiterIn returns an empty limiter in memory that others see too: zero,
// aligned to 8 octets, of Sets times SetLen octets; nil: it has its own.
func NewLimiterIn(c LimiterConfig, memory []byte) (*Limiter, error) {
	if c.IPv4Prefix == 0 {
		c.IPv4Prefix = 32
	}
	if c.IPv6Prefix == 0 {
		c.IPv6Prefix = 64
	}
	switch {
	case c.Clients < 1 || c.Clients > maxClients:
		return nil, fmt.Errorf("rate limiter: %d clients: must be 1 to %d", c.Clients, maxClients)
	case c.IPv4Prefix < 1 || c.IPv4Prefix > 32:
		return nil, fmt.Errorf("rate limiter: IPv4 prefix of %d bits: must be 1 to 32", c.IPv4Prefix)
	case c.IPv6Prefix < 1 || c.IPv6Prefix > 128:
		return nil, fmt.Errorf("rate limiter: IPv6 prefix of %d bits: must be 1 to 128", c.IPv6Prefix)
	case c.Seed == [16]byte{}:
		return nil, errors.New("rate limiter: the seed is zero, it must be random")
	}
	if memory == nil {
		memory = unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(make([]set, c.Sets())))), c.Sets()*SetLen)
	}
	if len(memory) < c.Sets()*SetLen {
		return nil, fmt.Errorf("rate limiter: %d octets of memory for %d sets of %d", len(memory), c.Sets(), SetLen)
	}
	l := &Limiter{
		sets:  unsafe.Slice((*set)(unsafe.Pointer(unsafe.SliceData(memory))), c.Sets()),
		shift: 64 - c.log2(),
		k0:    le64(c.Seed[:8]),
		k1:    le64(c.Seed[8:]),
		mask4: prefixMask(96 + c.IPv4Prefix),
		mask6: prefixMask(c.IPv6Prefix),
	}
	for i := range l.sets {
		l.sets[i].random = sipHash(l.k0, l.k1, uint64(i), math.MaxUint64)
	}
	return l, nil
}

// Shape is how a limiter places addresses: all that somebody else needs who
// works on its memory.
type Shape struct {
	Key          [2]uint64 // of SipHash; secret
	Shift        uint      // of a hash, to get the set: 64 less the sets' logarithm
	Mask4, Mask6 [2]uint64 // of an address of 16 octets, as two little-endian words
}

// Shape returns how the limiter places addresses.
func (l *Limiter) Shape() Shape {
	return Shape{Key: [2]uint64{l.k0, l.k1}, Shift: l.shift, Mask4: l.mask4, Mask6: l.mask6}
}

// Memory is where the limiter's sets are.
func (l *Limiter) Memory() *byte { return (*byte)(unsafe.Pointer(unsafe.SliceData(l.sets))) }

// Allow takes a token from the bucket of addr under the given limit (nil:
// Pass) at time now, in monotonic nanoseconds since any moment. The limit must
// have passed NewTable or RateLimit.Validate.
func (l *Limiter) Allow(addr netip.Addr, now int64, limit *RateLimit) Decision {
	return l.AllowHolder(addr, 0, now, limit)
}

// AllowHolder is Allow for one who proved at this address to hold a key: who
// can forge an address has the bucket of Allow, but not this one. holder tells
// the keys apart; 0 is nobody's. It may be secret, only a keyed hash of it is
// kept.
func (l *Limiter) AllowHolder(addr netip.Addr, holder uint64, now int64, limit *RateLimit) Decision {
	if limit == nil {
		return Pass
	}
	key := l.key(addr, holder)
	s := l.set(key)
	s.mu.Lock()
	i := s.find(key)
	d := s.decide(i, now, limit)
	s.mu.Unlock()
	return d
}

// AllowKiss reports whether a kiss-o'-death (DENY, RSTR) may be sent to addr
// at time now: one per client and second, those of Allow counted.
func (l *Limiter) AllowKiss(addr netip.Addr, now int64) bool {
	key := l.key(addr, 0)
	s := l.set(key)
	s.mu.Lock()
	ok := s.kiss(s.find(key), now, int64(kissInterval))
	s.mu.Unlock()
	return ok
}

// key returns the hash of what counts of an address, and of a holder; never 0.
func (l *Limiter) key(addr netip.Addr, holder uint64) uint64 {
	b := addr.As16()
	mask := &l.mask6
	if addr.Is4() || addr.Is4In6() {
		mask = &l.mask4
	}
	m0, m1 := le64(b[:8])&mask[0], le64(b[8:])&mask[1]
	if holder == 0 {
		return max(1, sipHash(l.k0, l.k1, m0, m1))
	}
	inner := sipHash(l.k0, l.k1, m0, m1)
	return max(1, sipHash(l.k1, l.k0, inner, holder))
}

func (l *Limiter) set(key uint64) *set {
	return &l.sets[key>>l.shift]
}

// find returns the slot of a key, emptied for it if it had none.
func (s *set) find(key uint64) int {
	victim := 0
	for i, k := range s.key {
		if k == key {
			return i
		}
		if s.key[victim] != 0 && (k == 0 || s.full[i] < s.full[victim]) {
			victim = i
		}
	}
	s.key[victim] = key
	s.full[victim], s.passed[victim], s.kissed[victim] = never, never, never
	return victim
}

// decide is a token bucket in the form of the generic cell rate algorithm: the
// bucket is the time at which it will be full again.
func (s *set) decide(i int, now int64, r *RateLimit) Decision {
	interval := int64(r.Interval)
	full := max(s.full[i], now)
	if full-now <= interval*int64(r.Burst-1) && now-s.passed[i] >= int64(r.Minimum) {
		s.full[i], s.passed[i] = full+interval, now
		return Pass
	}
	switch {
	case r.Leak > 0 && s.next() < r.Leak:
		return Leaked
	case r.Kiss && s.kiss(i, now, max(interval, int64(kissInterval))):
		return Kissed
	}
	return Limited
}

func (s *set) kiss(i int, now, interval int64) bool {
	if now-s.kissed[i] < interval {
		return false
	}
	s.kissed[i] = now
	return true
}

// next returns a number from 0 to just below 1 (SplitMix64, secret start).
func (s *set) next() float64 {
	s.random += 0x9e3779b97f4a7c15
	z := s.random
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return float64((z^z>>31)>>11) / (1 << 53)
}

// prefixMask returns the mask of the first n bits of 16 octets as two words in
// the order of le64.
func prefixMask(n int) [2]uint64 {
	var b [16]byte
	for i := range n {
		b[i/8] |= 0x80 >> (i % 8)
	}
	return [2]uint64{le64(b[:8]), le64(b[8:])}
}
