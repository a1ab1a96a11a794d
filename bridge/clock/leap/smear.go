package leap

import (
	"errors"
	"fmt"
	"math"
	"time"

	"ntsbridge/bridge/ntp"
)

// Event is one leap second.
type Event struct {
	At   time.Time // the midnight, UTC, that follows it
	Leap ntp.Leap  // LeapInsert or LeapDelete
}

// seconds returns the seconds that the event inserts, 1 or -1; 0 is none.
func (e Event) seconds() int64 {
	switch e.Leap {
	case ntp.LeapInsert:
		return 1
	case ntp.LeapDelete:
		return -1
	}
	return 0
}

// Shape is how a smear's offset grows.
type Shape uint8

// The shapes.
const (
	Linear Shape = iota // constant rate, the public services' standard smear
	Cosine              // rate from 0 up and back to 0: ntpd 4.2.8
)

// Placement is where the interval of a smear lies.
type Placement uint8

// The placements.
const (
	Around Placement = iota // the leap second is its middle: noon to noon with an interval of 24 h
	Before                  // it ends when the leap second begins: ntpd 4.2.8
	After                   // it begins with the leap second
)

// Smear spreads a leap second: served time runs a little slow (fast for one that
// is left out) for an interval, and clients see no leap second at all. The
// system clock is expected to have it at its place, by the kernel or by a step.
//
// The zero value does not smear. Never let a client use smeared and other
// sources at the same time.
type Smear struct {
	Interval  time.Duration // see Validate; ntpd's leapsmearinterval, 24 h for the standard smear; 0: off
	Shape     Shape
	Placement Placement
}

// Standard is what Google, Amazon and others serve: linear, noon to noon.
var Standard = Smear{Interval: 24 * time.Hour, Shape: Linear, Placement: Around}

// Limits of an interval.
const (
	minInterval = time.Minute
	maxInterval = 14 * 24 * time.Hour
)

// slewLimit is the frequency error that NTP clients follow at most, s/s
// (RFC 5905, section 11.3).
const slewLimit = 500e-6

// Enabled reports whether leap seconds are smeared at all.
func (s Smear) Enabled() bool { return s.Interval > 0 }

// Validate returns what is wrong with the smear, nil for nothing.
func (s Smear) Validate() error {
	switch {
	case s == Smear{}:
		return nil
	case s.Shape > Cosine || s.Placement > After:
		return errors.New("unknown shape or placement of the leap smear")
	case s.Interval < minInterval || s.Interval > maxInterval:
		return fmt.Errorf("leap smear interval %v must be from %v to %v; 24h is usual", s.Interval, minInterval, maxInterval)
	}
	return nil
}

// MaxRate returns the largest frequency error that clients see, s/s.
func (s Smear) MaxRate() float64 {
	if !s.Enabled() {
		return 0
	}
	rate := 1 / s.Interval.Seconds()
	if s.Shape == Cosine {
		rate *= math.Pi / 2
	}
	return rate
}

// Warning returns why clients may not follow the smear, empty if they can.
func (s Smear) Warning() string {
	if rate := s.MaxRate(); rate > slewLimit {
		return fmt.Sprintf("leap smear of %v: served time will be up to %.0f ppm off in frequency, more than the 500 ppm that clients follow; "+
			"use an interval of 2h or more", s.Interval, rate*1e6)
	}
	return ""
}

// span returns begin and length of the smear in seconds, counted through the
// leap second without a gap, from its beginning: the moment at which the
// system clock is set back, or ahead.
func (s Smear) span(e Event) (begin, length float64) {
	interval := s.Interval.Seconds()
	switch s.Placement {
	case Before:
		return -interval, interval
	case After:
		return 0, interval
	}
	// Noon to noon: the interval is of UTC, and has a second more or less.
	begin = -interval / 2
	if e.Leap == ntp.LeapDelete {
		begin++ // the leap second begins one before midnight
	}
	return begin, interval + float64(e.seconds())
}

// elapsed returns the seconds since the leap second began. Within the inserted
// second the system clock shows the last second of the day again: it is taken
// for the first time.
func (e Event) elapsed(now time.Time) float64 {
	t := now.Sub(e.At).Seconds()
	s := float64(e.seconds())
	switch {
	case now.Before(e.At) && s < 0:
		return t + 1
	case now.Before(e.At):
		return t
	case s > 0:
		return t + 1
	}
	return t
}

// at returns the share of the leap second that is smeared, 0 to 1, and whether
// now lies in the interval.
func (s Smear) at(e Event, now time.Time) (share float64, in bool) {
	begin, length := s.span(e)
	x := (e.elapsed(now) - begin) / length
	switch {
	case x < 0:
		return 0, false
	case x >= 1:
		return 1, false
	case s.Shape == Cosine:
		return (1 - math.Cos(math.Pi*x)) / 2, true
	}
	return x, true
}

// Offset returns what has to be added to the system clock, UTC, at a time to
// get the smeared one: from 0 to -1 s, or to 1 s, before a leap second is
// inserted or left out, and back to 0 behind it. active tells whether now lies
// in the interval.
func (s Smear) Offset(e Event, now time.Time) (offset time.Duration, active bool) {
	if !s.Enabled() || e.seconds() == 0 {
		return 0, false
	}
	share, active := s.at(e, now)
	seconds := -float64(e.seconds()) * share
	if !now.Before(e.At) {
		seconds += float64(e.seconds())
	}
	return time.Duration(math.Round(seconds * 1e9)), active
}

// step is how far a state reaches ahead; the server gets a new one as often.
const step = time.Second

// guard is how long before the leap second the alarm is served: while the
// system clock shows the last second twice nobody can tell which one a
// timestamp is of, and a state may be a second old when it is used.
const guard = 2 * time.Second

// State returns what a server needs to smear for the next second. It is made
// anew each second. The alarm lasts for three or four seconds around the leap
// second, as ntpd's does.
func (s Smear) State(e Event, now time.Time) ntp.Smear {
	state := ntp.Smear{Enabled: s.Enabled()}
	if !state.Enabled || e.seconds() == 0 {
		return state
	}
	until := e.At.Sub(now)
	if e.Leap == ntp.LeapDelete {
		until -= time.Second
	}
	if now.Before(e.At) && until <= guard {
		state.Alarm = true
	}
	state.Offset, state.Active = s.Offset(e, now)
	if then := now.Add(step); state.Active && now.Before(e.At) == then.Before(e.At) {
		next, _ := s.Offset(e, then)
		state.Rate = float64(next-state.Offset) / float64(step)
	}
	return state
}
