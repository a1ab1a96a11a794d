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
	if p.BurstInterval < 0 || p.BurstLen < 0 || p.BurstLen > maxBurst {
		return fmt.Errorf("source: burst of %d packets every %v", p.BurstLen, p.BurstInterval)
	}
	return nil
}

// schedule decides when the next packet is sent. It is driven by what was
// sent and what came; it reads no clock.
type schedule struct {
	Polling
	poll    int8  // current exponent
	reach   uint8 // shift register: bit 0 is the last poll
	unreach int   // polls without a good answer, in a row
	burst   int   // packets of the burst still to send
	again   bool  // the handshake wants to go on
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

// sent notes a packet sent.
func (s *schedule) sent() {
	switch {
	case s.burst > 0:
		s.burst--
		s.reach <<= 1
	default:
		if s.IBurst && s.reach == 0 && (!s.begun || s.unreach < unreachable) || s.Burst && s.reach != 0 {
			s.burst = s.BurstLen - 1
		}
		s.reach <<= 1
	}
	s.begun, s.again = true, false
	if s.unreach++; s.unreach > unreachable && s.unreach%unreachable == 0 && s.poll < s.MaxPoll {
		s.poll++ // nobody there: ask less often
	}
}

// unreachable is after how many polls without an answer the other side counts
// as unreachable; ntpd's NTP_UNREACH is 10.
const unreachable = 8

// answered notes an authentic answer, reached one with time.
func (s *schedule) answered() {
	if s.unreach > unreachable {
		s.poll = s.MinPoll
	}
	s.unreach = 0
}

func (s *schedule) reached() { s.reach |= 1 }

// rate obeys kiss code RATE with the poll exponent that it proposes.
func (s *schedule) rate(proposed int8) {
	s.burst, s.again = 0, false
	if proposed <= s.poll {
		proposed = s.poll + 1
	}
	s.MinPoll = min(max(s.MinPoll, proposed), MaxPoll)
	s.MaxPoll = max(s.MaxPoll, s.MinPoll)
	s.poll = max(s.poll, s.MinPoll)
}

// wait returns how long it is from the last packet sent to the next.
func (s *schedule) wait() time.Duration {
	if s.burst > 0 || s.again {
		return min(s.BurstInterval, s.interval())
	}
	return s.interval()
}
