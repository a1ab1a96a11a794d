package refclock

import "time"

// Constants of the gate.
const (
	// jumpLimit is how far a reading may be from what the one before promised.
	// Serial lines are late by a varying part of a second.
	jumpLimit = 400 * time.Millisecond
	// pulseJumpLimit is the same for pulses stamped by the kernel, which are
	// late by an interrupt's latency: it keeps noise on the line out.
	pulseJumpLimit = 10 * time.Millisecond
	// jumpDrift is what the base and the clock may drift apart, s/s.
	jumpDrift = 1000e-6
	// believed is after how many readings that agree with each other, and none
	// that agrees with what was before, a jump is taken for true: the clock
	// was set, or the machine slept.
	believed = 4
)

// gate lets readings pass that follow from the one before.
type gate struct {
	limit     time.Duration
	last      place
	known     bool
	candidate place // of a jump
	agreed    int   // readings at the candidate, 0: there is none
}

// place is a point of a line of readings.
type place struct{ raw, reference int64 }

// misses returns by how much a reading misses the line through p, and whether
// that is beyond the limit.
func (p place) misses(r *reading, limit time.Duration) bool {
	ran := r.raw - p.raw
	by := (r.reference - p.reference) - ran
	bound := int64(limit) + int64(jumpDrift*float64(ran))
	return by > bound || by < -bound
}

// pass judges a reading. restart says that it is the first of a new line, to
// which nothing from before belongs.
func (g *gate) pass(r *reading) (reason Reason, restart bool) {
	here := place{r.raw, r.reference}
	switch {
	case !g.known:
		g.last, g.known = here, true
		return reasonOK, true
	case here == g.last || here == g.candidate && g.agreed > 0:
		return reasonRepeated, false
	case r.raw <= g.last.raw || g.agreed > 0 && r.raw <= g.candidate.raw:
		return reasonBackwards, false
	case r.reference == g.last.reference:
		return reasonRepeated, false
	case r.reference > g.last.reference && !g.last.misses(r, g.limit):
		g.last, g.agreed = here, 0
		return reasonOK, false
	}
	return g.jumped(r, here)
}

// jumped decides about a reading off the line.
func (g *gate) jumped(r *reading, here place) (Reason, bool) {
	if g.agreed == 0 || r.reference <= g.candidate.reference || g.candidate.misses(r, g.limit) {
		g.agreed = 0
	}
	g.candidate = here
	if g.agreed++; g.agreed >= believed {
		g.last, g.agreed = here, 0
		return reasonOK, true
	}
	if r.reference < g.last.reference {
		return reasonBackwards, false
	}
	return reasonJumped, false
}
