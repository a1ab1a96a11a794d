package clock

import (
	"errors"
	"time"

	"ntsbridge/bridge/clock/discipline"
	"ntsbridge/bridge/ntp"
)

// AddSource adds a source.
func (d *Driver) AddSource(c discipline.SourceConfig, info SourceInfo) (discipline.SourceID, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.d.AddSource(d.lastID+1, c); err != nil {
		return 0, err
	}
	d.lastID++
	d.sources[d.lastID] = &driven{info: info, config: c}
	return d.lastID, nil
}

// RemoveSource forgets a source. The clock does not move.
func (d *Driver) RemoveSource(id discipline.SourceID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.d.RemoveSource(id)
	delete(d.sources, id)
}

// Sample takes in an exchange, timed on the free-running base. Of a reference
// clock T1 equals T4 and T2 equals T3, and the stratum is that of the
// reference clock itself, usually 0.
func (d *Driver) Sample(x discipline.Sample) discipline.Verdict {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.sources[x.Source]
	if s == nil {
		return discipline.UnknownSource
	}
	if s.info.Refclock != "" { // the discipline knows servers: one above what they follow
		x.Stratum++
	}
	d.orphaned(x.Source, s, x.Stratum)
	v := d.d.Sample(x)
	if v == discipline.Accepted {
		d.fed, d.ever = true, true
	}
	return v
}

// Missed says that a request found no answer.
func (d *Driver) Missed(id discipline.SourceID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.missed(id)
	d.d.Missed(id, d.base())
}

func (d *Driver) missed(id discipline.SourceID) {
	if s := d.sources[id]; s != nil {
		s.misses++
	}
}

// Unsynchronised says that a source answered that it has no time.
func (d *Driver) Unsynchronised(id discipline.SourceID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.missed(id)
	d.d.Unsynchronised(id, d.base())
}

// Denied obeys a verified kiss-o'-death DENY or RSTR.
func (d *Driver) Denied(id discipline.SourceID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.d.Denied(id, d.base())
}

// Poll returns the poll exponent that suits a source now, log2 s.
func (d *Driver) Poll(id discipline.SourceID) int8 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return int8(d.d.Poll(id))
}

// Asked says that a request was just sent to a source, and when the next one
// comes; least is the least poll exponent that the server allows.
func (d *Driver) Asked(id discipline.SourceID, least int8, next time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.d.Asked(id, int(least), next)
}

// SourceReport is what chronyc's sources and sourcestats show.
type SourceReport struct {
	discipline.SourceStatus
	Info   SourceInfo
	Age    time.Duration // of the last accepted sample; negative: none
	Orphan bool          // not used, because it has no real time
}

// Source returns the report of a source, and false if there is none.
func (d *Driver) Source(id discipline.SourceID) (SourceReport, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s, now := d.sources[id], d.base()
	if s == nil {
		return SourceReport{}, false
	}
	st, _ := d.d.Source(id, now)
	r := SourceReport{SourceStatus: st, Info: s.info, Age: -1, Orphan: s.barred}
	if st.Samples > 0 {
		r.Age = time.Duration(now - st.Last)
	}
	return r, true
}

// ErrMeasureOnly says that the clock is not ours to step.
var ErrMeasureOnly = errors.New("this daemon only measures (--no-clock, or clock.mode is not discipline): it does not set the clock")

// MakeStep steps the offset of the clock away, within a second (chronyc's
// makestep).
func (d *Driver) MakeStep() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.config.Measure {
		return ErrMeasureOnly
	}
	return d.d.MakeStep()
}

// SetSelection changes what is asked of sources before they are followed.
func (d *Driver) SetSelection(s discipline.Selection) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.d.SetSelection(s)
}

// State returns what to serve; it is never nil.
func (d *Driver) State() *ntp.ClockState { return d.state.Load() }

// TrackingReport is what chronyc's tracking shows.
type TrackingReport struct {
	discipline.Tracking
	State     *ntp.ClockState // as served
	System    time.Time       // system clock at the report
	Selected  SourceInfo      // the source that is followed before others; zero for none, also while State still names the last one
	Fallback  bool            // the fallback stratum is served
	Refused   bool            // by MaxChange
	Alarm     bool            // somebody else steers the clock
	Leap      ntp.Leap        // armed leap second
	LeapAt    time.Time       // month that begins after it
	Kernel    Kernel
	Corrected float64 // rate correction in force, s/s
}

// Tracking returns the report as of now.
func (d *Driver) Tracking() TrackingReport {
	d.mu.Lock()
	defer d.mu.Unlock()
	c, err := d.system.Read()
	if err != nil {
		c = d.now
	}
	t := TrackingReport{
		Tracking: d.d.Tracking(readingOf(c)), State: d.state.Load(), System: time.Unix(0, c.System).UTC(),
		Fallback: d.local.active, Refused: d.refusal.active, Alarm: d.foreign.alarm, Kernel: c.Kernel, Corrected: c.Rate,
	}
	t.Foreign = d.foreign.count
	if s := d.sources[t.Source]; s != nil && d.synced && !t.Held {
		t.Selected = s.info
	}
	if d.leap.kind != ntp.LeapNone && !d.leap.done {
		t.Leap, t.LeapAt = d.leap.kind, time.Unix(0, d.leap.at).UTC()
	}
	return t
}
