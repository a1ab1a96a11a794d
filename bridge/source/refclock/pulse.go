package refclock

import (
	"time"

	"ntsbridge/bridge/ntp"
)

// numbering is what tells which second a pulse belongs to: about what time it
// was on the base.
type numbering struct {
	ok        bool
	raw       int64 // the moment, on the base
	reference int64 // the time then, Unix time, ns
	bound     time.Duration
	leap      ntp.Leap
	anyPhase  bool // nobody knows the time then: the nearest number will do
}

// ambiguous is the share of the period that the numbering's error and the
// pulse's own must not exceed together: at half of it, two numbers are as near.
const ambiguous = 0.4

// numberingDrift is by how much the base may drift between the two, s/s.
const numberingDrift = 200e-6

// number completes a pulse at a moment of the base. phase is the clock's time
// then, Unix time in ns, of which only the part of the period is known.
func (c *Config) number(phase, raw int64, n numbering) (reference int64, reason Reason) {
	if !n.ok {
		return 0, reasonUnnumbered
	}
	apart := raw - n.raw
	expected := n.reference + apart
	reference = nearest(phase, expected, int64(c.Rate))
	bound := float64(n.bound) + numberingDrift*float64(max(apart, -apart))
	miss := float64(distance(reference, expected)) + bound
	period := float64(time.Second) / float64(c.Rate)
	if n.anyPhase {
		return reference, reasonOK
	}
	if miss > ambiguous*period {
		return 0, reasonEdge
	}
	if width := float64(c.Width); width > 0 && miss > min(width, period-width)/2 {
		return 0, reasonEdge // the other edge would be as near
	}
	return reference, reasonOK
}

// nearest returns the time nearest to expected that differs from phase by whole
// periods of 1/rate s.
func nearest(phase, expected, rate int64) int64 {
	const second = int64(time.Second)
	phase = modulo(phase, second)
	seconds := (expected - phase) / second
	if (expected-phase)%second < 0 {
		seconds--
	}
	rest := (expected - phase) - seconds*second // 0 to a second
	periods := (rest*rate + second/2) / second
	return phase + seconds*second + (periods*second+rate/2)/rate
}

func modulo(a, m int64) int64 {
	if a %= m; a < 0 {
		a += m
	}
	return a
}
