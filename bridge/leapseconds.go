package bridge

import (
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/bridge/clock/leap"
	"ntsbridge/bridge/ntp"
)

// leapSeconds is the table of leap seconds, read again now and then, and how
// they are smeared. A nil one knows nothing and smears nothing.
type leapSeconds struct {
	file  string // empty: looked for
	smear leap.Smear
	log   hclog.Logger
	table atomic.Pointer[leap.Table] // nil: none
	read  time.Time
}

// leapInterval is how often the table is read again: its publisher has a new
// one twice a year.
const leapInterval = 24 * time.Hour

var (
	smearShapes     = map[string]leap.Shape{"linear": leap.Linear, "cosine": leap.Cosine}
	smearPlacements = map[string]leap.Placement{"around": leap.Around, "before": leap.Before, "after": leap.After}
)

// buildLeap reads the table. A file that the configuration names must be
// good; one that is looked for need not be there.
func (p *parts) buildLeap(log hclog.Logger, now time.Time) error {
	c := &p.cfg.Clock.Leap
	l := &leapSeconds{file: c.File, log: log,
		smear: leap.Smear{Interval: c.Smear, Shape: smearShapes[c.Shape], Placement: smearPlacements[c.Placement]}}
	if err := l.smear.Validate(); err != nil {
		return fmt.Errorf("clock.leap: %w", err)
	}
	if w := l.smear.Warning(); w != "" {
		log.Warn("leap seconds are smeared", "warning", w)
	}
	if c.Table == "none" && c.Smear == 0 {
		return nil
	}
	if c.Table != "none" {
		if err := l.load(now); err != nil {
			if l.file != "" {
				return fmt.Errorf("clock.leap.file: %w", err)
			}
			log.Info("no table of leap seconds: a majority of the sources decides", "reason", err)
		}
	}
	p.leaps = l
	return nil
}

// load reads the table.
func (l *leapSeconds) load(now time.Time) (err error) {
	l.read = now
	var t *leap.Table
	if l.file != "" {
		t, err = leap.Load(os.DirFS("/"), strings.TrimPrefix(l.file, "/"), leap.Options{})
	} else {
		t, err = leap.Find(os.DirFS("/"), now)
	}
	if err != nil {
		return err
	}
	if w := t.Warning(now); w != "" {
		l.log.Warn("table of leap seconds", "file", t.Source, "warning", w)
	}
	l.table.Store(t)
	return nil
}

// refresh reads the table again when it is time. What cannot be read leaves
// what was read.
func (l *leapSeconds) refresh(now time.Time) {
	if l == nil || l.table.Load() == nil || now.Sub(l.read) < leapInterval {
		return
	}
	if err := l.load(now); err != nil {
		l.log.Warn("table of leap seconds cannot be read again", "error", err)
	}
}

// month says what leap second comes at the end of a month and TAI-UTC in it,
// for the driver of the clock.
func (l *leapSeconds) month(now time.Time) (kind ntp.Leap, tai int, known bool) {
	t := l.current()
	if t == nil {
		return ntp.LeapNone, 0, false
	}
	kind, known = t.Month(now)
	tai, _ = t.At(now)
	return kind, tai, known
}

func (l *leapSeconds) current() *leap.Table {
	if l == nil {
		return nil
	}
	return l.table.Load()
}

// tai returns TAI-UTC for reference clocks that keep TAI.
func (l *leapSeconds) tai(unix int64) (time.Duration, bool) {
	t := l.current()
	if t == nil {
		return 0, false
	}
	tai, ok := t.At(time.Unix(0, unix))
	return time.Duration(tai) * time.Second, ok
}

// smeared returns what clients are served instead of a state.
func (l *leapSeconds) smeared(state *ntp.ClockState, now time.Time) *ntp.ClockState {
	if l == nil || !l.smear.Enabled() {
		return state
	}
	e, ok := l.event(state, now)
	smeared := *state
	smeared.Smear = ntp.Smear{Enabled: true}
	if ok {
		smeared.Smear = l.smear.State(e, now)
	}
	return &smeared
}

// event is the leap second nearest to a time: of the table, or else the one
// that is announced.
func (l *leapSeconds) event(state *ntp.ClockState, now time.Time) (leap.Event, bool) {
	if t := l.current(); t != nil {
		return t.Nearest(now)
	}
	if state.Leap != ntp.LeapInsert && state.Leap != ntp.LeapDelete {
		return leap.Event{}, false
	}
	utc := now.UTC()
	return leap.Event{At: time.Date(utc.Year(), utc.Month()+1, 1, 0, 0, 0, 0, time.UTC), Leap: state.Leap}, true
}
