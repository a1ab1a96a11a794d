package follow

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/bridge/clock/leap"
	"ntsbridge/bridge/ntp"
)

// LeapConfig is what is known of leap seconds, and what clients are served of
// them. The zero value knows nothing and smears nothing.
type LeapConfig struct {
	Table *leap.Table // nil: none
	// Load reads the table again. nil: never.
	Load  func(now time.Time) (*leap.Table, error)
	Smear leap.Smear
}

// leapInterval is how often the table is read again: its publisher has a new
// one twice a year.
const leapInterval = 24 * time.Hour

// LeapSeconds is the table of leap seconds in force. It lives as long as the
// daemon, whatever a reload replaces in it, so that who asks it once a second
// is never left with an old table. A zero value knows nothing. All methods are
// safe for concurrent use.
type LeapSeconds struct {
	log    hclog.Logger
	config atomic.Pointer[LeapConfig]

	mu   sync.Mutex // Set, Refresh
	read time.Time
}

// newLeapSeconds returns one that knows nothing yet.
func newLeapSeconds(log hclog.Logger) *LeapSeconds { return &LeapSeconds{log: log} }

// Set replaces everything that is known, as it was read at a time.
func (l *LeapSeconds) Set(c LeapConfig, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.read = now
	l.config.Store(&c)
}

// Refresh reads the table again when it is time, or looks for one where none
// was there. What cannot be read leaves what was read.
func (l *LeapSeconds) Refresh(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.config.Load()
	if c == nil || c.Load == nil || now.Sub(l.read) < leapInterval {
		return
	}
	l.read = now
	table, err := c.Load(now)
	if err != nil && c.Table == nil {
		return // as before
	}
	if err != nil {
		l.log.Warn("table of leap seconds cannot be read again", "error", err)
		return
	}
	if w := table.Warning(now); w != "" {
		l.log.Warn("table of leap seconds", "file", table.Source, "warning", w)
	}
	next := *c
	next.Table = table
	l.config.Store(&next)
}

// table is the one in force, nil if there is none.
func (l *LeapSeconds) table() *leap.Table {
	if c := l.config.Load(); c != nil {
		return c.Table
	}
	return nil
}

// Month says what leap second comes at the end of a month and TAI-UTC in it
// (s), for the driver of the clock; known is false for months that no table
// covers.
func (l *LeapSeconds) Month(now time.Time) (kind ntp.Leap, tai int, known bool) {
	t := l.table()
	if t == nil {
		return ntp.LeapNone, 0, false
	}
	kind, known = t.Month(now)
	tai, _ = t.At(now)
	return kind, tai, known
}

// TAI returns TAI-UTC at a Unix time (s), for reference clocks that keep TAI;
// false: it is not known.
func (l *LeapSeconds) TAI(unix int64) (time.Duration, bool) {
	t := l.table()
	if t == nil {
		return 0, false
	}
	tai, ok := t.At(time.Unix(0, unix))
	return time.Duration(tai) * time.Second, ok
}

// smeared returns what clients are served instead of a state.
func (l *LeapSeconds) smeared(state *ntp.ClockState, now time.Time) *ntp.ClockState {
	c := l.config.Load()
	if c == nil || !c.Smear.Enabled() {
		return state
	}
	smeared := *state
	smeared.Smear = ntp.Smear{Enabled: true}
	if e, ok := event(c.Table, state, now); ok {
		smeared.Smear = c.Smear.State(e, now)
	}
	return &smeared
}

// event is the leap second nearest to a time: of the table, or else the one
// that is announced.
func event(t *leap.Table, state *ntp.ClockState, now time.Time) (leap.Event, bool) {
	if t != nil {
		return t.Nearest(now)
	}
	if state.Leap != ntp.LeapInsert && state.Leap != ntp.LeapDelete {
		return leap.Event{}, false
	}
	utc := now.UTC()
	return leap.Event{At: time.Date(utc.Year(), utc.Month()+1, 1, 0, 0, 0, 0, time.UTC), Leap: state.Leap}, true
}
