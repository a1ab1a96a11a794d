package source

import (
	"sync/atomic"
	"time"

	"ntsbridge/bridge/clock/timebase"
	"ntsbridge/bridge/ntp"
)

// SystemClock is the clock of the system, and a snapshot of what is served
// that its owner replaces.
type SystemClock struct {
	started time.Time
	state   atomic.Pointer[ntp.ClockState]
}

// NewSystemClock returns the system's clock with a state; nil: not
// synchronised.
func NewSystemClock(state *ntp.ClockState) *SystemClock {
	c := &SystemClock{started: time.Now()}
	c.SetState(state)
	return c
}

// SetState replaces what is served.
func (c *SystemClock) SetState(state *ntp.ClockState) {
	if state == nil {
		state = &ntp.ClockState{Leap: ntp.LeapUnknown, Precision: -20}
	}
	c.state.Store(state)
}

// Now implements Clock.
func (*SystemClock) Now() ntp.Timestamp { return ntp.TimestampFromTime(time.Now()) }

// Pair implements Clock.
func (*SystemClock) Pair() timebase.Pair { return timebase.Read() }

// Uptime implements Clock.
func (c *SystemClock) Uptime() time.Duration { return time.Since(c.started) }

// State implements Clock.
func (c *SystemClock) State() *ntp.ClockState { return c.state.Load() }
