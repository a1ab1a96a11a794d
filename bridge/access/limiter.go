package access

import (
	"net/netip"

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

// LimiterConfig is the shape of a Limiter.
type LimiterConfig struct {
	Clients    int      // addresses in the table, 1 to 2^24; rounded up to a power of two
	IPv4Prefix int      // bits of an IPv4 address that count, 1 to 32; 0 is 32
	IPv6Prefix int      // bits of an IPv6 address that count, 1 to 128; 0 is 64
	Seed       [16]byte // random, secret: places addresses in the table and leaks
}

// Limiter holds the token buckets of many clients in a table of fixed size.
type Limiter struct{}

// NewLimiter returns an empty limiter.
func NewLimiter(c LimiterConfig) (*Limiter, error) { return &Limiter{}, nil }

// Allow takes a token from the bucket of addr under the given limit (nil:
// Pass) at time now: monotonic nanoseconds since any moment.
func (l *Limiter) Allow(addr netip.Addr, now int64, limit *RateLimit) Decision { return Pass }

// AllowKiss reports whether a kiss-o'-death (DENY, RSTR) may be sent to addr
// at time now: one per client and second.
func (l *Limiter) AllowKiss(addr netip.Addr, now int64) bool { return true }
