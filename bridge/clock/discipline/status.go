package discipline

import (
	"math"

	"ntsbridge/bridge/ntp"
)

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

// Status returns what may be served at a reading of both clocks.
func (d *Discipline) Status(r Reading) Status {
	st := d.status(d.standard.reading(r))
	if st.Reference != 0 {
		st.Reference = d.standard.given(st.Reference)
	}
	return st
}

func (d *Discipline) status(r Reading) Status {
	st := Status{Leap: ntp.LeapUnknown, Stratum: ntp.StratumUnsynchronised, Drift: d.config.Drift}
	if !d.joint.started || len(d.claim.survivors) == 0 {
		st.RootDispersion = d.config.MaxDistance
		return st
	}
	at := d.seconds(r.Raw)
	x, y := d.joint.estimate(at)
	best := d.claim.survivors[0]
	for _, s := range d.claim.survivors {
		if d.reach(s, at) < d.reach(best, at) {
			best = s
		}
	}
	total := d.claim.error(at, x, y)
	deviation := d.joint.tracking(max(at-d.joint.at, 0))
	total += math.Abs(d.offset(r)) + boundDeviations*deviation + d.config.MinDispersion + d.standard.doubt
	st.Drift = d.claim.growth()
	st.RootDelay = best.floor() + best.header.RootDelay
	honest := best.header.RootDispersion + deviation + d.config.Drift*max(at-best.lastAt, 0)
	st.RootDispersion = max(total-st.RootDelay/2, honest, d.config.MinDispersion)
	st.Source, st.Reference = best.id, d.instant(d.joint.fedAt)
	if d.trustworthy && !d.panicked && !d.beyond && !d.hurrying && st.Distance() <= d.config.MaxDistance {
		st.Synchronised, st.Leap, st.Stratum = true, d.leap, best.header.Stratum+1
	}
	st.RootDispersion = min(st.RootDispersion, maxDispersion)
	return st
}

// Tracking is what chronyc's tracking report shows.
type Tracking struct {
	Status
	SystemOffset   float64 // system clock minus estimate of true time, s
	LastOffset     float64 // by which the last sample missed the estimate, s
	RMSOffset      float64 // s
	Frequency      float64 // of the oscillator, s/s; positive: fast
	Residual       float64 // frequency not yet corrected, s/s
	Skew           float64 // deviation of the frequency, s/s
	Deviation      float64 // of the estimate, unknown asymmetry aside, s
	UpdateInterval float64 // s
	Poll           int     // log2 s
	Updates, Steps int
	Foreign        int  // changes of the clock by others
	Held           bool // nobody may be followed,
	Why            Rule // then: by this rule
	Beyond         bool // the oscillator is beyond Config.MaxDrift
}

// Tracking returns the report at a reading.
func (d *Discipline) Tracking(r Reading) Tracking {
	t := Tracking{
		Status: d.Status(r), LastOffset: d.joint.residual, RMSOffset: d.stats.rms, UpdateInterval: d.stats.interval,
		Poll: d.poll, Updates: d.updates, Steps: d.steps, Foreign: d.foreign, Held: d.selection.held, Why: d.selection.why,
		Beyond: d.beyond,
	}
	if !d.joint.started {
		return t
	}
	r = d.standard.reading(r)
	at := d.seconds(r.Raw)
	_, t.Frequency = d.joint.estimate(at)
	t.Residual = t.Frequency - d.y
	t.Frequency += d.standard.rate
	t.SystemOffset = d.offset(r)
	t.Skew = math.Sqrt(d.joint.yVar)
	t.Deviation = d.joint.tracking(max(at-d.joint.at, 0))
	return t
}

// SourceStatus is what chronyc's sources and sourcestats reports show.
type SourceStatus struct {
	ID        SourceID
	State     SelectState
	Rule      Rule // by which it is in this state
	Reach     uint8
	Poll      int     // log2 s
	Last      Instant // of the last accepted sample
	Samples   int
	Offset    float64 // of the source from our estimate of true time, s
	Bias      float64 // of its path, as learned, s
	Deviation float64 // of its own estimate, s
	Frequency float64 // of the oscillator by this source alone, s/s
	Skew      float64 // s/s
	Delay     float64 // least, s
	Jitter    float64 // of the delay, each direction, s
	Distance  float64 // root distance, s
	Residuals Residuals
}

// Source returns the report of a source, and false if there is none.
func (d *Discipline) Source(id SourceID, now Instant) (SourceStatus, bool) {
	s := d.find(id)
	if s == nil {
		return SourceStatus{}, false
	}
	if s.config.Local {
		return d.standardReport(now), true
	}
	now = d.standard.seen(now)
	st := SourceStatus{ID: id, State: s.state, Rule: s.rule, Reach: s.reach, Poll: d.pollOf(s), Samples: s.count}
	if s.count == 0 {
		return st, true
	}
	if s.state == Selected && d.joint.started && s.path.slot < 0 && len(d.joint.slots) == maxSlots {
		st.State, st.Rule = NotPreferred, EnoughBetter
	}
	at := d.seconds(now)
	x, _ := d.joint.estimate(at)
	own, _ := s.own.estimate(at)
	st.Last, st.Offset = d.standard.given(s.header.T4), x-own
	st.Deviation, st.Frequency, st.Skew = s.own.deviation(max(at-s.own.at, 0)), s.own.y, math.Sqrt(s.own.yVar)
	st.Delay, st.Jitter, st.Distance = s.floor(), s.path.window.jitter(), d.reach(s, at)
	st.Residuals = s.misses.report()
	if slot := s.path.slot; slot >= 0 {
		st.Bias = d.joint.bias(slot)
	}
	return st, true
}
