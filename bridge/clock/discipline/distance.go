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
// delay and the source's own distance, whatever the asymmetry. Its own idea of
// the frequency counts too: where liars drag the estimate along, that of a
// source that tells the truth is the right one.
func (d *Discipline) bound(s *source, at, x, y float64) float64 {
	growth := max(d.growth(), d.config.Drift+math.Abs(s.own.y-y))
	least := math.Inf(1)
	for i := max(0, s.count-recentSamples); i < s.count; i++ {
		k := &s.recent[i%recentSamples]
		age := max(at-k.at, 0)
		least = min(least, math.Abs(x-y*age-k.sample.offset)+k.distance+growth*age)
	}
	return max(least, s.floor()/2+s.upstream())
}

// swearIn makes those who have a say now those on whose words the bound rests:
// also the ones that did not agree. Where some are preferred the operator
// wants it to be theirs.
func (d *Discipline) swearIn() {
	d.jury, d.awaiting = d.jury[:0], d.voices
	preferred := slices.ContainsFunc(d.selected, func(s *source) bool { return s.config.Prefer })
	for _, s := range d.voting {
		if s.counts && (!preferred || s.config.Prefer && s.state == Selected) {
			d.jury = append(d.jury, s)
		}
	}
	if len(d.jury) == 0 {
		d.jury = append(d.jury, d.selected...)
	}
}

// testimony returns how far the estimate may be from the truth if up to half
// of the jury lies, near enough to the others not to be found out: of the
// half+1 smallest bounds the greatest is at least that of one that tells the
// truth.
func (d *Discipline) testimony(at, x, y float64) float64 {
	d.bounds = d.bounds[:0]
	for _, s := range d.jury {
		d.bounds = append(d.bounds, d.bound(s, at, x, y))
	}
	slices.Sort(d.bounds)
	return d.bounds[min(max(d.awaiting, len(d.bounds))/2, len(d.bounds)-1)]
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
	best := d.trustees[0]
	for _, s := range d.trustees {
		if d.reach(s, at) < d.reach(best, at) {
			best = s
		}
	}
	total := d.testimony(at, x, y)
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
