package clock

import "math"

// Smoother lets the time that clients get follow the system clock smoothly
// (chrony's smoothtime): it never jumps, its rate differs from the true one by
// at most MaxRate, and that difference changes by at most MaxWander each
// second. So clients follow a server that had to be stepped, or is slewed fast,
// without losing it. It is not safe for concurrent use.
type Smoother struct {
	MaxRate   float64 // s/s; 0: off
	MaxWander float64 // s/s each second

	begun       bool
	raw, system int64
	offset      float64 // served minus system, s
	rate        float64 // of the served time, beyond the true one, s/s
}

// mostSmoothed is an offset that is not smoothed any more: it would take days.
const mostSmoothed = 1000.0

// Begin lets the served time be the system clock's.
func (s *Smoother) Begin(c Clocks) {
	s.begun, s.raw, s.system, s.offset, s.rate = true, c.Raw, c.System, 0, 0
}

// Begun reports whether anything is smoothed.
func (s *Smoother) Begun() bool { return s.begun }

// Update takes a reading of the clocks. frequency is the oscillator's, s/s,
// positive for a fast one. It returns what is to be added to the system clock,
// s, and how fast that grows, s/s of the system clock.
func (s *Smoother) Update(c Clocks, frequency float64) (offset, growth float64) {
	elapsed := float64(c.Raw-s.raw) / 1e9 / (1 + frequency)
	moved := float64((c.System-s.system)-(c.Raw-s.raw))/1e9 + float64(c.Raw-s.raw)/1e9*frequency/(1+frequency)
	s.raw, s.system = c.Raw, c.System
	s.offset += s.rate*elapsed - moved
	if math.Abs(s.offset) > mostSmoothed {
		s.offset, s.rate = 0, 0
	}
	s.steer(elapsed)
	slewed := (1+frequency)*(1+c.Rate) - 1
	return s.offset, s.rate - slewed
}

// steer changes the rate so that the offset goes to 0 in the shortest time that
// the limits allow: as fast as it can still be stopped in time.
func (s *Smoother) steer(elapsed float64) {
	change := s.MaxWander * min(elapsed, 10)
	if math.Abs(s.offset) < s.MaxWander && math.Abs(s.rate) <= change { // less than a second of both
		s.rate = min(max(-s.offset, -change), change)
		return
	}
	want := min(s.MaxRate, math.Sqrt(2*s.MaxWander*math.Abs(s.offset)))
	want = math.Copysign(want, -s.offset)
	s.rate += min(max(want-s.rate, -change), change)
}
