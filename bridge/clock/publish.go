package clock

import (
	"math"
	"time"

	"ntsbridge/bridge/clock/discipline"
	"ntsbridge/bridge/ntp"
)

// Reference identifiers of a clock that is not synchronised, as ntpd has them
// (RFC 5905, figure 13).
var (
	kissInit = ntp.KissCode("INIT")
	kissStep = ntp.KissCode("STEP")
)

// publish tells clients and the kernel what the clock is worth now.
func (d *Driver) publish(c Clocks) error {
	d.mu.Lock()
	d.now = c
	r := readingOf(c)
	t := d.d.Tracking(r)
	synced := t.Synchronised && !d.refusal.active
	if synced {
		d.waiting, d.stepped = false, false
	}
	tai := d.plan(c, synced)
	d.fallback(c, &t, synced)
	state := d.stateOf(&t.Status, c, synced)
	d.logState(state, &t, synced)
	d.synced = synced
	d.keep(c, synced)
	status := Status{
		Synchronised: synced, Leap: d.leap.kernel(d.config.Leap, c.Raw),
		MaxError: seconds(t.Distance()), EstError: seconds(math.Abs(t.SystemOffset) + t.Deviation),
	}
	d.mu.Unlock()
	d.serve(state)
	if tai != 0 && tai != c.Kernel.TAI {
		if d.limits.allow("tai", c.Raw) {
			d.log.Info("TAI offset set", "seconds", tai, "was", c.Kernel.TAI)
		}
		if err := d.set("TAI offset", d.system.SetTAI(tai)); err != nil {
			return err
		}
	}
	return d.set("status", d.system.SetStatus(status))
}

// stateOf is what to serve.
func (d *Driver) stateOf(st *discipline.Status, c Clocks, synced bool) *ntp.ClockState {
	switch {
	case d.local.active:
		return d.localState(c)
	case !synced:
		return d.unsynchronised(*st, c)
	}
	s := &ntp.ClockState{
		Leap: d.leap.announced(), Stratum: st.Stratum, Precision: d.config.Precision, Reference: referenceOf(st, c),
		RootDelay: seconds(st.RootDelay), RootDispersion: ceiling(st.RootDispersion), Drift: st.Drift, Updated: stampOf(c.System),
	}
	if source := d.sources[st.Source]; source != nil {
		s.ReferenceID = source.info.ReferenceID()
		if source.info.Refclock != "" { // see Sample
			s.Stratum--
		}
	}
	return s
}

// unsynchronised is the alarm.
func (d *Driver) unsynchronised(st discipline.Status, c Clocks) *ntp.ClockState {
	s := &ntp.ClockState{
		Leap: ntp.LeapUnknown, Stratum: ntp.StratumUnsynchronised, Precision: d.config.Precision,
		RootDelay: seconds(st.RootDelay), RootDispersion: ceiling(st.RootDispersion), Drift: st.Drift, Updated: stampOf(c.System),
	}
	switch {
	case d.stepped:
		s.ReferenceID = kissStep
	case !d.once:
		s.ReferenceID = kissInit
	}
	return s
}

// localState serves the clock as it is.
func (d *Driver) localState(c Clocks) *ntp.ClockState {
	now := stampOf(c.System)
	return &ntp.ClockState{
		Leap: d.leap.announced(), Stratum: d.config.Fallback.Stratum, Precision: d.config.Precision, ReferenceID: localReference,
		Reference: now, RootDispersion: ceiling(d.config.Discipline.MinDispersion), Drift: d.config.Discipline.Drift, Updated: now,
	}
}

// ceiling is a bound in nanoseconds.
func ceiling(s float64) time.Duration { return time.Duration(math.Ceil(s * 1e9)) }

// stampOf is the timestamp of Unix time, ns.
func stampOf(unix int64) ntp.Timestamp {
	sec, nsec := unix/1e9, unix%1e9
	if nsec < 0 {
		sec, nsec = sec-1, nsec+1e9
	}
	return ntp.TimestampFromUnix(sec, nsec)
}

// referenceOf is the last sample's moment by the system clock as it is now;
// never in the future.
func referenceOf(st *discipline.Status, c Clocks) ntp.Timestamp {
	age := max(c.Raw-int64(st.Reference), 0)
	return stampOf(c.System - age)
}

// local follows whether the fallback stratum is served.
type local struct {
	active    bool
	activated bool  // the root distance has once been below Activate
	lostAt    int64 // on Raw: when the clock was last good
}

// confirmTime is how long sources that answer may take to confirm the clock
// after the start, a step or a gap before the fallback counts them as gone, ns.
const confirmTime = int64(60e9)

// fallback decides whether to serve the fallback stratum.
func (d *Driver) fallback(c Clocks, t *discipline.Tracking, synced bool) {
	f, l := &d.config.Fallback, &d.local
	if f.Stratum == 0 {
		return
	}
	distance := seconds(t.Distance())
	if synced && distance <= f.Activate {
		l.activated = true
	}
	if synced && distance <= f.Distance {
		l.lostAt, l.active = c.Raw, false
	} else {
		l.active = (f.Activate == 0 || l.activated) && c.Raw-l.lostAt >= int64(f.Wait) && !d.doubtful(c, t)
	}
	d.adopt(synced)
}

// doubtful tells whether there is reason to believe that the clock is wrong:
// then even the fallback must not serve it.
func (d *Driver) doubtful(c Clocks, t *discipline.Tracking) bool {
	if d.refusal.active || math.Abs(t.SystemOffset) > d.config.Discipline.Panic {
		return true
	}
	return d.waiting && c.Raw-d.waitFrom < confirmTime && d.any(func(s *driven, st *discipline.SourceStatus) bool { return st.Reach != 0 })
}

// any tells whether a source is as described.
func (d *Driver) any(is func(*driven, *discipline.SourceStatus) bool) bool {
	for id, s := range d.sources {
		if st, there := d.d.Source(id, discipline.Instant(d.now.Raw)); there && is(s, &st) {
			return true
		}
	}
	return false
}

// orphaned notes whether a source has no real time, by a sample's stratum, and
// keeps it from being followed.
func (d *Driver) orphaned(id discipline.SourceID, s *driven, stratum uint8) {
	f := &d.config.Fallback
	s.orphan = f.Orphan && f.Stratum != 0 && stratum == f.Stratum
	if s.orphan != s.barred && !(s.orphan && s.parent) {
		d.bar(id, s, s.orphan)
	}
	s.parent = s.parent && s.orphan
}

// adopt lets orphans be followed while there is no other source.
func (d *Driver) adopt(synced bool) {
	f := &d.config.Fallback
	if !f.Orphan {
		return
	}
	others := d.any(func(s *driven, st *discipline.SourceStatus) bool { return !s.orphan && st.State > discipline.Excluded })
	alone := d.local.active || synced // else wait
	for id, s := range d.sources {
		if !s.orphan {
			continue
		}
		follow := !others && alone && s.info.ReferenceID() < f.ReferenceID
		if s.parent != follow {
			s.parent = follow
			d.bar(id, s, !follow)
		}
	}
}

// bar makes a source measured only, or lets it vote again. Its history is lost.
func (d *Driver) bar(id discipline.SourceID, s *driven, barred bool) {
	c := s.config
	c.NoSelect = c.NoSelect || barred
	d.d.RemoveSource(id)
	if err := d.d.AddSource(id, c); err != nil {
		d.log.Error("source lost", "source", s.info.Name, "error", err)
	}
	s.barred = barred
}

// logState logs when what is served changes.
func (d *Driver) logState(s *ntp.ClockState, t *discipline.Tracking, synced bool) {
	name := ""
	if source := d.sources[t.Source]; source != nil {
		name = source.info.Name
	}
	now := servedAs{synced: synced, local: d.local.active, source: t.Source}
	was := d.said
	switch {
	case now.local != was.local && now.local:
		d.log.Warn("no source: the system clock is served as it is", "stratum", s.Stratum)
	case synced && !was.synced:
		d.log.Info("the system clock is synchronised", "source", name, "stratum", s.Stratum, "offset", seconds(t.SystemOffset), "root_distance", seconds(t.Distance()))
	case !synced && was.synced:
		d.log.Warn("the system clock is not synchronised any more", "no_majority", t.Held, "root_distance", seconds(t.Distance()))
	case synced && now.source != was.source:
		d.log.Debug("another source is the closest", "source", name)
	case !now.local && was.local:
		d.log.Info("the fallback is not served any more", "synchronised", synced)
	}
	d.said = now
}

// servedAs is what the log last said of what is served.
type servedAs struct {
	synced, local bool
	source        discipline.SourceID
}
