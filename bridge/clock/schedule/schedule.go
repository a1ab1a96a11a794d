// Package schedule decides when an association sends its next packet: the poll
// exponent between minpoll and maxpoll, bursts, the steps of a handshake, and
// what a server's kiss code RATE asks for. There is one schedule for each
// association; it carries the exponent that its packets tell. The discipline
// only says which exponent it would like (Want).
//
// It reads no clock: it is told what was sent and what came.
package schedule

import (
	"fmt"
	"time"
)

// Limits of poll exponents, log2 seconds. ntpd's are 3 to 17, chrony's -7 to
// 24.
const (
	MinPoll = -6
	MaxPoll = 17
)

// Usual values.
const (
	DefaultMinPoll       = 6
	DefaultMaxPoll       = 10
	defaultBurst         = 4
	DefaultBurstInterval = 2 * time.Second
)

const (
	// Spacing is what no two requests are closer than, except where a burst, a
	// handshake or a MinPoll below 1 wants it.
	Spacing = 2 * time.Second
	// Unreachable is after how many polls without an answer the other side
	// counts as unreachable; ntpd's NTP_UNREACH is 10.
	Unreachable = 8
	// longest is the longest interval.
	longest = time.Second << MaxPoll
	// spread is the part by which poll intervals vary, so that clients do not
	// fall into step.
	spread = 0.04
	// near is the round trip up to which a server may be asked more often than
	// once a second: it is on the same network (chrony's rule).
	near = 10 * time.Millisecond
	// forgiving is how many good answers in a row take back one step of what
	// a kiss code RATE has raised the exponent by.
	forgiving = 8
)

// Config says how often an association polls.
type Config struct {
	// MinPoll and MaxPoll are exponents, log2 seconds, MinPoll to MaxPoll. Below
	// 0 they count only while the round trip is at most 10 ms.
	MinPoll, MaxPoll int8
	// IBurst begins with a burst, and then at intervals that double up to the
	// poll interval. Burst sends a burst at every poll while the other side is
	// reached.
	IBurst, Burst bool
	// BurstInterval is the time between the packets of a burst and between the
	// steps of a handshake. Default 2 s.
	BurstInterval time.Duration
	// BurstLen is the number of packets of a burst. Default 4.
	BurstLen int
	// BurstGood ends a burst after so many samples, 0: never. chrony's burst
	// has 1. Such a burst is shorter where the average interval would fall
	// below that of MinPoll.
	BurstGood int
}

// maxBurst is the longest burst: of a query that goes on until it is told to
// stop.
const maxBurst = 1 << 20

func (c *Config) complete() error {
	if c.BurstInterval == 0 {
		c.BurstInterval = DefaultBurstInterval
	}
	if c.BurstLen == 0 {
		c.BurstLen = defaultBurst
	}
	if c.MinPoll < MinPoll || c.MaxPoll > MaxPoll || c.MinPoll > c.MaxPoll {
		return fmt.Errorf("poll exponents %d to %d, must be within %d to %d", c.MinPoll, c.MaxPoll, MinPoll, MaxPoll)
	}
	if c.BurstInterval < 0 || c.BurstLen < 0 || c.BurstLen > maxBurst || c.BurstGood < 0 {
		return fmt.Errorf("burst of %d packets every %v", c.BurstLen, c.BurstInterval)
	}
	return nil
}

// Schedule is the schedule of one association.
type Schedule struct {
	cfg    Config
	poll   int8  // exponent without what RATE raised it by
	wanted bool  // somebody else chooses it
	least  int8  // what RATE raised the minimum to; MinPoll: nothing
	good   int   // answers since the last RATE, or the last step taken back
	rated  bool  // no bursts
	paused bool  // one interval more after a RATE
	reach  uint8 // shift register: bit 0 is the last poll
	begun  bool
	far    bool // the last round trip was that of a server elsewhere
	again  bool // the handshake wants to go on
	brisk  bool // begins with short intervals

	unreach int // packets without a good answer, in a row
	burst   int // packets of the burst still to send
	enough  int // samples until the burst ends; 0: all packets are sent
	sent    int // packets since the beginning
	replies int // answers with time since then
}

// New makes a schedule.
func New(c Config) (*Schedule, error) {
	if err := c.complete(); err != nil {
		return nil, err
	}
	return &Schedule{cfg: c, poll: c.MinPoll, least: c.MinPoll, brisk: c.IBurst}, nil
}

// Want chooses the exponent, within the limits.
func (s *Schedule) Want(poll int8) {
	s.wanted = true
	s.poll = min(max(poll, s.cfg.MinPoll), s.cfg.MaxPoll)
}

// Poll returns the exponent in force, log2 seconds, that packets tell.
func (s *Schedule) Poll() int8 {
	poll := max(s.poll, s.least)
	if poll < 0 && s.far {
		return 0
	}
	return poll
}

// Least returns the least exponent that is to be asked for: MinPoll, or what a
// kiss code RATE has raised it to.
func (s *Schedule) Least() int8 { return s.least }

// Rated reports whether a kiss code RATE still holds intervals up.
func (s *Schedule) Rated() bool { return s.least > s.cfg.MinPoll || s.paused }

// Reach returns the reachability register; bit 0 is the last poll.
func (s *Schedule) Reach() uint8 { return s.reach }

// Unreach returns how many packets got no good answer, in a row.
func (s *Schedule) Unreach() int { return s.unreach }

// Begun reports whether anything was sent.
func (s *Schedule) Begun() bool { return s.begun }

// Busy reports whether a burst or a handshake is under way.
func (s *Schedule) Busy() bool { return s.burst > 0 || s.again }

// Interval returns the poll interval.
func (s *Schedule) Interval() time.Duration { return Interval(s.Poll()) }

// BurstInterval returns the time between the packets of a burst.
func (s *Schedule) BurstInterval() time.Duration { return s.cfg.BurstInterval }

// Interval returns 2^exponent seconds.
func Interval(exponent int8) time.Duration {
	if exponent < 0 {
		return time.Second >> -exponent
	}
	return time.Second << exponent
}

// Sent notes a packet sent.
func (s *Schedule) Sent() {
	switch {
	case s.burst > 0:
		s.burst--
	case s.rated:
	case s.cfg.Burst && s.reach != 0:
		s.burst, s.enough = s.burstLen()-1, s.cfg.BurstGood
	case s.brisk && s.sent == 0:
		s.burst, s.enough = s.cfg.BurstLen-1, 0
	}
	s.reach <<= 1
	s.begun, s.again, s.paused = true, false, false
	s.sent++
	if s.unreach++; !s.wanted && s.unreach > Unreachable && s.unreach%Unreachable == 0 && s.poll < s.cfg.MaxPoll {
		s.poll++ // nobody there: ask less often
	}
}

// burstLen returns how many packets a burst has. One that ends when there is a
// good sample, as chrony's, is as short as the average interval wants it.
func (s *Schedule) burstLen() int {
	if s.cfg.BurstGood == 0 {
		return s.cfg.BurstLen
	}
	return max(1, min(s.cfg.BurstLen, int(s.Interval()/Interval(s.cfg.MinPoll))))
}

// Restart begins anew with short intervals, as IBurst does: what was measured
// before is in doubt.
func (s *Schedule) Restart() {
	if !s.rated {
		s.sent, s.replies, s.brisk = 0, 0, true
	}
}

// Burst sends n packets, or as many as bring good samples (chronyc's burst),
// beginning with the next. It reports whether it may: not after a RATE.
func (s *Schedule) Burst(n, good int) bool {
	if s.rated || n < 1 {
		return false
	}
	s.burst, s.enough = n, good
	return true
}

// Continue notes that a handshake wants to go on soon.
func (s *Schedule) Continue() { s.again = true }

// Answered notes an authentic answer.
func (s *Schedule) Answered() {
	if s.unreach > Unreachable && !s.wanted {
		s.poll = s.cfg.MinPoll
	}
	s.unreach = 0
}

// Reached notes an answer with time.
func (s *Schedule) Reached() {
	s.reach |= 1
	s.replies++
	if s.good++; s.rated && s.good >= forgiving {
		s.good, s.least = 0, max(s.least-1, s.cfg.MinPoll)
		s.rated = s.least > s.cfg.MinPoll
	}
}

// Sampled notes a sample with its round trip.
func (s *Schedule) Sampled(delay time.Duration) {
	s.far = delay > near
	if s.enough > 0 {
		if s.enough--; s.enough == 0 {
			s.burst = 0
		}
	}
}

// Rate obeys a verified kiss code RATE with the poll exponent that it
// proposes: no bursts, a pause, and longer intervals by one step at least, but
// not beyond MaxPoll, so that nobody silences an association by one packet.
// Answers with time take the steps back one by one.
func (s *Schedule) Rate(proposed int8) {
	s.burst, s.again, s.good = 0, false, 0
	s.rated, s.paused = true, true
	s.least = min(max(s.Poll()+1, proposed), s.cfg.MaxPoll)
}

// Wait returns how long it is from the last packet sent to the next; poll says
// that it is the interval between polls. random is uniform in [0, 1).
func (s *Schedule) Wait(random float64) (d time.Duration, poll bool) {
	interval := s.Interval()
	if s.Busy() {
		return min(s.cfg.BurstInterval, interval), false
	}
	switch {
	case s.paused:
		interval *= 2
	case s.brisk && !s.rated && s.replies > 0 && s.sent < MaxPoll:
		interval = min(interval, Interval(int8(max(s.sent-2, 1))))
	}
	interval = time.Duration(float64(interval) * (1 - spread/2 + spread*min(max(random, 0), 1)))
	return min(max(interval, s.Shortest()), 2*longest), true
}

// Shortest returns the shortest interval between polls that anybody may ask
// for.
func (s *Schedule) Shortest() time.Duration {
	if s.least > s.cfg.MinPoll {
		return Interval(s.least)
	}
	return min(Spacing, s.Interval())
}
