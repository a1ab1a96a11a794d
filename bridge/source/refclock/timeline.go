package refclock

import (
	"time"

	"ntsbridge/bridge/clock/timebase"
)

// Constants of the record of both clocks.
const (
	// maxAge is how old a reading may be when it comes. Programs that decode
	// radio signals take a second or two.
	maxAge = 5 * time.Second
	// kept is how long the record reaches back.
	kept = maxAge + 3*time.Second
	// maxAhead is by how much a reading may be younger than the last record,
	// for writers that read a coarse clock.
	maxAhead = time.Millisecond
	// steadyRate is the rate by which the clocks may differ without any
	// suspicion, s/s: 500 ppm of frequency and as much of slew.
	steadyRate = 1100e-6
	// maxSlewRate is beyond what the kernel can slew (a tenth by its tick).
	maxSlewRate = 0.15
	// leastInterval is the shortest interval whose rate means something.
	leastInterval = 10 * time.Millisecond
	// readNoise is what a reading of both clocks may be off beside its spread.
	readNoise = 2 * time.Microsecond
)

// timeline is a record of both clocks by which a time of the system clock that
// was taken a moment ago is told on the base. Between two records the system
// clock is taken to run evenly: at a rate that changes within 1/8 s by the
// usual 500 ppm that is right to 16 us, and at a steady one to the spread of
// the records. An interval in which it did not is marked rough, for within it
// nothing is known: the clock was stepped, or the machine slept. A slew, however
// fast, makes only its first and last intervals rough.
type timeline struct {
	points []point
	rate   float64 // of the last interval that a kernel could slew, s/s
}

type point struct {
	timebase.Pair
	rough bool // the interval that ends here
}

// add records a reading of both clocks, later than those before.
func (l *timeline) add(p timebase.Pair) {
	if len(l.points) == 0 {
		l.points = append(l.points, point{Pair: p})
		return
	}
	last := &l.points[len(l.points)-1]
	ran := p.Raw - last.Raw
	if ran <= 0 {
		return
	}
	l.points = append(l.points, point{p, l.judge(last.Pair, p)})
	l.trim(p.Raw - int64(kept))
}

// judge tells whether the interval from a to b is rough, and learns its rate.
func (l *timeline) judge(a, b timebase.Pair) bool {
	ran := float64(b.Raw - a.Raw)
	moved := float64((b.System - a.System) - (b.Raw - a.Raw))
	allowed := steadyRate*ran + float64(a.Spread+b.Spread)/2 + float64(readNoise)
	rough := (moved > allowed || moved < -allowed) && (moved-l.rate*ran > allowed || moved-l.rate*ran < -allowed)
	if rate := moved / ran; ran >= float64(leastInterval) && rate < maxSlewRate && rate > -maxSlewRate {
		l.rate = rate
	}
	return rough
}

// trim forgets what is older, but keeps one point of before.
func (l *timeline) trim(before int64) {
	n := 0
	for n+1 < len(l.points) && l.points[n+1].Raw < before {
		n++
	}
	if n > len(l.points)/2 { // not at each call: it copies
		l.points = append(l.points[:0], l.points[n:]...)
	}
}

// base returns the base at a time of the system clock, Unix time in ns. The
// reason is reasonOld, reasonFuture or reasonStepped if it is not known.
func (l *timeline) base(system int64) (raw int64, reason Reason) {
	if len(l.points) == 0 {
		return 0, reasonOld
	}
	newest := l.points[len(l.points)-1]
	if ahead := system - newest.System; ahead >= 0 {
		if ahead > int64(maxAhead) {
			return 0, reasonFuture
		}
		return newest.At(system), reasonOK
	}
	found := false
	for i := len(l.points) - 1; i > 0; i-- {
		a, b := l.points[i-1], l.points[i]
		switch {
		case b.rough && passed(a.Pair, b.Pair, system):
			return 0, reasonStepped
		case b.rough || system <= a.System || system > b.System:
			continue
		case found: // a time that was passed twice
			return 0, reasonStepped
		}
		found, raw = true, between(a.Pair, b.Pair, system)
	}
	if !found || newest.Raw-raw > int64(maxAge) {
		return 0, reasonOld
	}
	return raw, reasonOK
}

// passed tells whether the system clock may have shown a time in a rough
// interval: it ran on from a, at some moment was moved, and ran on to b. What
// it jumped over counts as well, although only a forged stamp has it.
func passed(a, b timebase.Pair, system int64) bool {
	ran := (b.Raw - a.Raw) * 5 / 4
	return system >= a.System && system <= a.System+ran ||
		system >= b.System-ran && system <= b.System ||
		system > a.System && system < b.System
}

// between interpolates.
func between(a, b timebase.Pair, system int64) int64 {
	whole := b.System - a.System
	if whole <= 0 {
		return b.Raw
	}
	return a.Raw + int64(float64(system-a.System)/float64(whole)*float64(b.Raw-a.Raw))
}
