package discipline

import "math"

// statistics are kept for reports.
type statistics struct {
	lastAt   float64
	interval float64 // between the last two updates, s
	rms      float64 // of the offsets found, s
	count    int
}

// rmsRate is the weight of a new offset in the RMS offset, as in chrony's
// tracking report, so that both can be compared.
const rmsRate = 0.1

func (t *statistics) update(d *Discipline, at float64) {
	if t.count > 0 {
		t.interval = at - t.lastAt
	}
	t.lastAt = at
	square := d.residual * d.residual
	if t.count == 0 {
		t.rms = math.Abs(d.residual)
	} else {
		t.rms = math.Sqrt(t.rms*t.rms + rmsRate*(square-t.rms*t.rms))
	}
	t.count++
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
	Foreign        int // changes of the clock by others
	Held           bool
}

// Tracking returns the report at a reading.
func (d *Discipline) Tracking(r Reading) Tracking {
	t := Tracking{
		Status: d.Status(r), LastOffset: d.residual, RMSOffset: d.stats.rms, UpdateInterval: d.stats.interval,
		Poll: d.poll, Updates: d.updates, Steps: d.steps, Foreign: d.foreign, Held: d.held,
	}
	if !d.joint.started {
		return t
	}
	at := d.seconds(r.Raw)
	_, t.Frequency = d.joint.estimate(at)
	t.SystemOffset = d.offsetAt(r)
	t.Residual = t.Frequency - d.y
	t.Skew = math.Sqrt(d.joint.yVar)
	t.Deviation = d.tracking(max(at-d.joint.at, 0))
	return t
}

// SourceStatus is what chronyc's sources and sourcestats reports show.
type SourceStatus struct {
	ID        SourceID
	State     SelectState
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
}

// Source returns the report of a source, and false if there is none.
func (d *Discipline) Source(id SourceID, now Instant) (SourceStatus, bool) {
	s := d.find(id)
	if s == nil {
		return SourceStatus{}, false
	}
	st := SourceStatus{ID: id, State: s.state, Reach: s.reach, Poll: d.pollOf(s), Samples: s.count}
	if s.count == 0 {
		return st, true
	}
	at := d.seconds(now)
	x, _ := d.joint.estimate(at)
	own, _ := s.own.estimate(at)
	st.Last, st.Offset = s.header.T4, x-own
	st.Deviation, st.Frequency, st.Skew = s.own.deviation(max(at-s.own.at, 0)), s.own.y, math.Sqrt(s.own.yVar)
	st.Delay, st.Jitter, st.Distance = s.floor(), s.path.window.jitter(), d.reach(s, at)
	if slot := s.path.slot; slot >= 0 {
		st.Bias = d.joint.bias(slot)
	}
	return st, true
}
