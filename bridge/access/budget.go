package access

import (
	"fmt"
	"net/netip"
	"sync/atomic"
)

// Bucket is the shape of a token bucket whose tokens are units of the caller's:
// microseconds of a processor, octets, connections.
type Bucket struct {
	Rate  float64 // units gained per second, above 0
	Burst int     // units that can be saved, at least 1
}

// price is the time in which units are gained, nanoseconds.
func (b Bucket) price(units int) int64 {
	return int64(min(float64(units)*1e9/b.Rate, float64(maxInterval)))
}

// pays reports whether a bucket that will be full again at the time full has
// units left. What costs more than a full bucket is allowed when it is full,
// and leaves it in debt; else it never would be.
func (b Bucket) pays(full, now int64, units int) bool {
	return max(full-now, 0) <= b.price(b.Burst)-b.price(min(units, b.Burst))
}

// Validate reports what makes no bucket.
func (b Bucket) Validate() error {
	if !(b.Rate > 0) || b.Burst < 1 {
		return fmt.Errorf("bucket of %d units that gains %g a second: both must be above 0", b.Burst, b.Rate)
	}
	return nil
}

// Spend takes units from the bucket of addr at time now, in monotonic
// nanoseconds, or nothing and returns false. purpose tells buckets of one
// address apart; that of purpose 0 is Allow's too.
func (l *Limiter) Spend(addr netip.Addr, purpose uint64, now int64, b Bucket, units int) bool {
	key := l.key(addr, purpose)
	s := l.set(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.find(key)
	if !b.pays(s.full[i], now, units) {
		return false
	}
	s.full[i] = max(s.full[i], now) + b.price(units)
	return true
}

// Pool is one bucket for everybody. It is for several goroutines.
type Pool struct {
	bucket Bucket
	full   atomic.Int64 // when the bucket will be full again
}

// NewPool returns a pool of which nothing is spent.
func NewPool(b Bucket) (*Pool, error) {
	if err := b.Validate(); err != nil {
		return nil, err
	}
	p := &Pool{bucket: b}
	p.full.Store(never)
	return p, nil
}

// Burst is what can be saved, units.
func (p *Pool) Burst() int { return p.bucket.Burst }

// Spend takes units at time now unless fewer than reserve would be left, or
// takes nothing and returns false. What is small can so be let pass while what
// is large no longer is.
func (p *Pool) Spend(now int64, units, reserve int) bool {
	for {
		full := p.full.Load()
		if !p.bucket.pays(full, now, units+reserve) {
			return false
		}
		if p.full.CompareAndSwap(full, max(full, now)+p.bucket.price(units)) {
			return true
		}
	}
}

// giveBack undoes a Spend.
func (p *Pool) giveBack(units int) { p.full.Add(-p.bucket.price(units)) }

// Budget bounds what strangers can make this host spend: each of them, and all
// together. It is for several goroutines.
type Budget struct {
	clients *Limiter
	each    Bucket
	all     *Pool
	now     func() int64
}

// BudgetConfig is the shape of a Budget.
type BudgetConfig struct {
	Clients LimiterConfig
	Each    Bucket       // of one client
	All     Bucket       // of all together
	Now     func() int64 // monotonic nanoseconds: a step of the clock gives nobody anything
}

// NewBudget returns a budget of which nothing is spent.
func NewBudget(c BudgetConfig) (*Budget, error) {
	if err := c.Each.Validate(); err != nil {
		return nil, err
	}
	all, err := NewPool(c.All)
	if err != nil {
		return nil, err
	}
	l, err := NewLimiter(c.Clients)
	return &Budget{clients: l, each: c.Each, all: all, now: c.Now}, err
}

// Spend takes units from the client's bucket and from that of all, or from
// neither and returns false. keep is what must be left of the bucket of all, per
// cent of a full one.
func (b *Budget) Spend(client netip.Addr, units, keep int) bool {
	if units <= 0 {
		return true
	}
	now := b.now()
	if !b.all.Spend(now, units, int(int64(b.all.Burst())*int64(keep)/100)) {
		return false
	}
	if !b.clients.Spend(client, 0, now, b.each, units) {
		b.all.giveBack(units)
		return false
	}
	return true
}

// SpendOwn takes units from the client's bucket alone.
func (b *Budget) SpendOwn(client netip.Addr, units int) bool {
	return units <= 0 || b.clients.Spend(client, 0, b.now(), b.each, units)
}
