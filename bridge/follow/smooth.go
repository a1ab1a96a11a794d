package follow

import (
	"math"
	"sync"
	"time"

	"ntsbridge/bridge/clock"
	"ntsbridge/bridge/ntp"
)

// smoothing is how the served time follows the system clock.
type smoothing struct {
	mu sync.Mutex
	clock.Smoother
	read func() (clock.Clocks, error) // nil: the system's
}

func (s *smoothing) clocks() (clock.Clocks, error) {
	if s.read != nil {
		return s.read()
	}
	return clock.ReadOnlySystem().Read()
}

// smoothFrom is how near to the truth the clock must have come before the
// served time is kept from jumping.
const smoothFrom = 10 * time.Millisecond

// apply returns a state with the served time kept from jumping.
func (s *smoothing) apply(state *ntp.ClockState, t *clock.TrackingReport) *ntp.ClockState {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.clocks()
	if err != nil {
		return state
	}
	if !s.Begun() {
		if state.Synchronised() && math.Abs(t.SystemOffset) <= smoothFrom.Seconds() {
			s.Begin(c)
		}
		return state
	}
	offset, growth := s.Update(c, t.Frequency)
	next := *state
	since := ntp.TimestampFromTime(time.Unix(0, c.System)).Sub(state.Updated)
	next.Smear.Offset += time.Duration((offset - growth*since.Seconds()) * 1e9)
	next.Smear.Rate += growth
	next.RootDispersion += time.Duration(math.Abs(offset) * 1e9)
	return &next
}
