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
		d.log.Info("the system clock is synchronised", "source", name, "stratum", s.Stratum, "offset",
			seconds(t.SystemOffset), "root_distance", seconds(t.Distance()))
	case !synced && was.synced:
		d.log.Warn("the system clock is not synchronised any more", "no_majority", t.Held, "root_distance", seconds(t.Distance()))
	case synced && now.source != was.source:
		d.log.Debug("another source is the closest", "source", name)
	case !now.local && was.local:
		d.log.Info("the fallback is not served any more", "synchronised", synced)
	}
	d.said = now
}
