package source

import (
	"fmt"
	"time"
)

// Limits of poll exponents, log2 seconds. ntpd's are 3 to 17.
const (
	MinPoll = -6
	MaxPoll = 17
)

// Defaults of the poll schedule.
const (
	DefaultMinPoll       = 6
	DefaultMaxPoll       = 10
	DefaultBurst         = 8
	DefaultBurstInterval = 2 * time.Second
)

// Polling says how often an association polls.
type Polling struct {
	// MinPoll and MaxPoll are exponents, log2 seconds. Default 6 and 10; set
	// both, or none.
	MinPoll, MaxPoll int8
	// IBurst sends a burst while the other side is not reached, Burst at every
	// poll while it is.
	IBurst, Burst bool
	// BurstInterval is the time between the packets of a burst and between the
	// steps of a handshake. Default 2 s.
	BurstInterval time.Duration
	// BurstLen is the number of packets of a burst. Default 8.
	BurstLen int
	// BurstGood ends a burst after so many samples, 0: never. chrony's burst is
	// BurstLen 4 and BurstGood 1. Such a burst is shorter where the average
	// interval would fall below that of MinPoll.
	BurstGood int
}

// maxBurst is the longest burst: of a query that goes on until it is told to
// stop.
const maxBurst = 1 << 20

func (p *Polling) check() error {
	if p.MinPoll == 0 && p.MaxPoll == 0 {
		p.MinPoll, p.MaxPoll = DefaultMinPoll, DefaultMaxPoll
	}
	if p.BurstInterval == 0 {
		p.BurstInterval = DefaultBurstInterval
	}
	if p.BurstLen == 0 {
		p.BurstLen = DefaultBurst
	}
	if p.MinPoll < MinPoll || p.MaxPoll > MaxPoll || p.MinPoll > p.MaxPoll {
		return fmt.Errorf("source: poll exponents %d to %d, must be within %d to %d", p.MinPoll, p.MaxPoll, MinPoll, MaxPoll)
	}
	if p.BurstInterval < 0 || p.BurstLen < 0 || p.BurstLen > maxBurst || p.BurstGood < 0 {
		return fmt.Errorf("source: burst of %d packets every %v", p.BurstLen, p.BurstInterval)
	}
	return nil
}

// schedule decides when the next packet is sent. It is driven by what was
// sent and what came; it reads no clock.
type schedule struct {
	Polling
	paced   bool  // somebody else chooses the intervals
	poll    int8  // current exponent
	reach   uint8 // shift register: bit 0 is the last poll
	unreach int   // polls without a good answer, in a row
	burst   int   // packets of the burst still to send
	good    int   // samples until the burst ends; 0: all packets are sent
	again   bool  // the handshake wants to go on
	rated   int8  // least exponent since a kiss code RATE
	begun   bool
}

// interval returns the poll interval.
func (s *schedule) interval() time.Duration { return pollInterval(s.poll) }

func pollInterval(exponent int8) time.Duration {
	if exponent < 0 {
		return time.Second >> -exponent
	}
	return time.Second << exponent
}

// sent notes a packet sent. interval is the present poll interval.
func (s *schedule) sent(interval time.Duration) {
	switch {
	case s.burst > 0:
		s.burst--
	case s.Burst && s.reach != 0:
		s.burst, s.good = s.burstLen(interval)-1, s.BurstGood
	case s.IBurst && !s.paced && s.reach == 0 && (!s.begun || s.unreach < unreachable):
		s.burst, s.good = s.BurstLen-1, 0
	}
	s.reach <<= 1
	s.begun, s.again = true, false
	if s.unreach++; !s.paced && s.unreach > unreachable && s.unreach%unreachable == 0 && s.poll < s.MaxPoll {
		s.poll++ // nobody there: ask less often
	}
}

// burstLen returns how many packets a burst has. One that ends when there is a
// good sample, as chrony's, is as short as the average interval wants it.
func (s *schedule) burstLen(interval time.Duration) int {
	if s.BurstGood == 0 {
		return s.BurstLen
	}
	return max(1, min(s.BurstLen, int(interval/pollInterval(s.MinPoll))))
}

// unreachable is after how many polls without an answer the other side counts
// as unreachable; ntpd's NTP_UNREACH is 10.
const unreachable = 8

// answered notes an authentic answer, reached one with time.
func (s *schedule) answered() {
	if s.unreach > unreachable && !s.paced {
		s.poll = s.MinPoll
	}
	s.unreach = 0
}

func (s *schedule) reached() { s.reach |= 1 }

// sampled notes a sample.
func (s *schedule) sampled() {
	if s.good > 0 {
		if s.good--; s.good == 0 {
			s.burst = 0
		}
	}
}

// rate obeys kiss code RATE with the poll exponent that it proposes: no bursts
// any more, and longer intervals for the rest of the run.
func (s *schedule) rate(proposed int8) {
	s.burst, s.again = 0, false
	s.Burst, s.IBurst = false, false
	if now := max(s.poll, s.MinPoll); proposed <= now {
		proposed = now + 1
	}
	s.rated = min(max(s.rated, proposed), MaxPoll)
	s.MinPoll = max(s.MinPoll, s.rated)
	s.MaxPoll = max(s.MaxPoll, s.MinPoll)
	s.poll = max(s.poll, s.MinPoll)
}

// wait returns how long it is from the last packet sent to the next. poll
// says that it is the interval between polls.
func (s *schedule) wait() (d time.Duration, poll bool) {
	if s.burst > 0 || s.again {
		return min(s.BurstInterval, s.interval()), false
	}
	return s.interval(), true
}

// least returns the shortest interval between polls that anybody may ask for.
func (s *schedule) least() time.Duration {
	if s.rated > 0 {
		return pollInterval(s.rated)
	}
	return min(spacing, pollInterval(s.MinPoll))
}
