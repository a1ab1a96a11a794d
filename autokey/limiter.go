package autokey

import (
	"hash/maphash"
	"math/bits"
	"net/netip"
	"sync"

	"ntsbridge/bridge/ntp"
)

// limiter keeps the budget: one token bucket for all and one for each of the
// clients seen lately. Its memory is fixed; only the slow path uses it.
type limiter struct {
	signCost int // of one signature of the server

	mu          sync.Mutex
	all         bucket
	rate, burst float64
	clientRate  float64
	clientBurst float64
	seed        maphash.Seed
	clients     []clientBucket // sets of clientWays
}

// clientWays is how many clients can share a place in the table.
const clientWays = 4

// bucket is a token bucket.
type bucket struct {
	tokens float64
	last   ntp.Timestamp
}

type clientBucket struct {
	tag uint64 // of the address; 0: free
	bucket
}

func newLimiter(b Budget) *limiter {
	n := max(clientWays, 1<<bits.Len(uint(b.Clients-1)))
	return &limiter{
		rate:        float64(b.Rate),
		burst:       float64(b.Burst),
		clientRate:  float64(b.ClientRate),
		clientBurst: float64(b.ClientBurst),
		all:         bucket{tokens: float64(b.Burst)},
		seed:        maphash.MakeSeed(),
		clients:     make([]clientBucket, n),
	}
}

// refill gives b what it has gained by now. A clock that went back gives
// nothing.
func (b *bucket) refill(now ntp.Timestamp, rate, burst float64) {
	if b.last != 0 {
		if gone := now.Sub(b.last).Seconds(); gone > 0 {
			b.tokens = min(burst, b.tokens+gone*rate)
		}
	}
	b.last = now
}

// take takes cost units from the client's bucket and from the common one, or
// from neither.
func (l *limiter) take(now ntp.Timestamp, client netip.Addr, cost int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	c, units := l.client(now, client), float64(cost)
	l.all.refill(now, l.rate, l.burst)
	if !enough(c, units, l.clientBurst) || !enough(&l.all, units, l.burst) {
		return false
	}
	c.tokens -= units
	l.all.tokens -= units
	return true
}

// takeClient takes from the client's bucket only.
func (l *limiter) takeClient(now ntp.Timestamp, client netip.Addr, cost int) bool {
	if cost == 0 {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	c, units := l.client(now, client), float64(cost)
	if !enough(c, units, l.clientBurst) {
		return false
	}
	c.tokens -= units
	return true
}

// enough reports whether a bucket can pay. What costs more than a full bucket
// is allowed when it is full, and leaves it in debt; else it never would be.
func enough(b *bucket, units, burst float64) bool {
	return b.tokens >= min(units, burst)
}

// client finds or makes the bucket of a client, filled up to now. A new one
// takes the place of the fullest in its set, which loses least by it.
func (l *limiter) client(now ntp.Timestamp, a netip.Addr) *bucket {
	tag := l.tag(a)
	base := int(tag>>32) % (len(l.clients) / clientWays) * clientWays
	var fullest *clientBucket
	for i := range clientWays {
		c := &l.clients[base+i]
		if c.tag == 0 {
			c.tokens = l.clientBurst
		}
		c.refill(now, l.clientRate, l.clientBurst)
		if c.tag == tag {
			return &c.bucket
		}
		if fullest == nil || c.tokens > fullest.tokens {
			fullest = c
		}
	}
	*fullest = clientBucket{tag, bucket{l.clientBurst, now}}
	return &fullest.bucket
}

// tag returns a keyed hash of an address, never 0; of IPv6 the first 64 bits
// count, since who has one address there has a whole network.
func (l *limiter) tag(a netip.Addr) uint64 {
	b := a.Unmap().As16()
	n := len(b)
	if a.Unmap().Is6() {
		n = 8
	}
	return max(maphash.Bytes(l.seed, b[:n]), 1)
}
