package discipline

import (
	"math"
	"slices"

	"ntsbridge/bridge/ntp"
)

// driftDeviations is how many deviations of the frequency the error may grow
// by unseen, if that is more than Config.Drift.
const driftDeviations = 4

// maxDispersion stands for any greater root dispersion, s: MAXDISP of RFC 5905.
const maxDispersion = 16.0

// boundDeviations is how many deviations of the estimate a bound includes, for
// noise that does not show in the delay: one second in 16000 is outside of
// four.
const boundDeviations = 4

// Status is what may be said of the clock to others.
type Status struct {
	Synchronised   bool
	Leap           ntp.Leap // announced by a majority of the selected sources
	Stratum        uint8    // ours: one above the best selected source's
	Source         SourceID // the best one
	Reference      Instant  // when the last sample was used
	RootDelay      float64  // s
	RootDispersion float64  // s, at the reading
	Drift          float64  // by which it grows, s/s
}

// Distance is the bound of the clock's error.
func (s *Status) Distance() float64 { return s.RootDelay/2 + s.RootDispersion }

// growth is how fast the error may grow without our seeing it.
func (d *Discipline) growth() float64 {
	return max(d.config.Drift, driftDeviations*math.Sqrt(d.joint.yVar))
}

// bound returns how far the joint estimate may be from the truth by one
// source: each of its samples puts the truth into an interval of half the
// delay and the source's own distance, whatever the asymmetry.
func (d *Discipline) bound(s *source, at, x, y float64) float64 {
	growth, least := d.growth(), math.Inf(1)
	for i := max(0, s.count-recentSamples); i < s.count; i++ {
		k := &s.recent[i%recentSamples]
		age := max(at-k.at, 0)
		least = min(least, math.Abs(x-y*age-k.sample.offset)+k.distance+growth*age)
	}
	return max(least, s.floor()/2+s.upstream())
}

// Status returns what may be served at a reading of both clocks.
func (d *Discipline) Status(r Reading) Status {
	st := Status{Leap: ntp.LeapUnknown, Stratum: ntp.StratumUnsynchronised, Drift: d.config.Drift}
	if !d.joint.started || len(d.trustees) == 0 {
		st.RootDispersion = d.config.MaxDistance
		return st
	}
	at := d.seconds(r.Raw)
	x, y := d.joint.estimate(at)
	best, total := d.trustees[0], 0.0
	d.bounds = d.bounds[:0]
	for _, s := range d.trustees {
		b := d.bound(s, at, x, y)
		if d.reach(s, at) < d.reach(best, at) {
			best = s
		}
		d.bounds = append(d.bounds, b)
	}
	// A minority of the voters may lie within what the selected agree on. The
	// greatest of the f+1 smallest bounds is at least that of one source that
	// tells the truth.
	slices.Sort(d.bounds)
	total = d.bounds[min(max(d.minority, 0), len(d.bounds)-1)]
	deviation := d.tracking(max(at-d.joint.at, 0))
	total += math.Abs(d.offsetAt(r)) + boundDeviations*deviation + d.config.MinDispersion
	st.Drift = d.growth()
	st.RootDelay = best.floor() + best.header.RootDelay
	honest := best.header.RootDispersion + deviation + d.config.Drift*max(at-best.lastAt, 0)
	st.RootDispersion = max(total-st.RootDelay/2, honest, d.config.MinDispersion)
	st.Source, st.Reference = best.id, d.instant(d.fedAt)
	if d.trustworthy && !d.panicked && st.Distance() <= d.config.MaxDistance {
		st.Synchronised, st.Leap, st.Stratum = true, d.leap, best.header.Stratum+1
	}
	st.RootDispersion = min(st.RootDispersion, maxDispersion)
	return st
}
