package clock

import (
	"math"
	"time"

	"ntsbridge/bridge/clock/discipline"
	"ntsbridge/bridge/ntp"
)

// inherit takes over what the last daemon told the kernel, until sources have
// been heard: a restart in the last minutes must not lose a leap second.
func (d *Driver) inherit(c Clocks) {
	if d.config.Leap != LeapSystem || !c.Kernel.Synchronised || c.Kernel.LeapOver || c.Kernel.Leap == ntp.LeapNone {
		return
	}
	if kind, at := d.d.LeapPlan(c.System, c.Kernel.Leap, true); kind != ntp.LeapNone {
		d.arm(kind, at)
	}
}

// arm expects a leap second; none: no more.
func (d *Driver) arm(kind ntp.Leap, at int64) {
	switch {
	case kind != ntp.LeapNone:
		d.log.Warn("leap second armed", "kind", leapName(kind), "before", time.Unix(0, at).UTC().Format(time.RFC3339))
	case !d.leap.done:
		d.log.Warn("leap second disarmed: it is not announced any more")
	}
	d.leap = leapSecond{kind: kind, at: at, notBefore: d.leap.notBefore}
	d.d.ArmLeap(kind, at)
}

// plan arms and disarms. It returns what TAI-UTC should be, 0 if unknown.
func (d *Driver) plan(c Clocks, synced bool) (tai int) {
	l, table, known := &d.leap, ntp.LeapNone, false
	if d.config.LeapTable != nil {
		table, tai, known = d.config.LeapTable(time.Unix(0, c.System).UTC())
	}
	if l.kind != ntp.LeapNone && (l.done || c.System >= l.at-leapNear) {
		return 0
	}
	if !known || !synced {
		tai = 0
	}
	kind, at := d.d.LeapPlan(c.System, table, known)
	switch {
	case kind == l.kind && at == l.at:
	case !synced && !(known && d.local.active):
	case kind == ntp.LeapNone && !known && !d.any(selected): // nobody to ask: what was announced stands
	default:
		d.arm(kind, at)
	}
	return tai
}

func selected(_ *driven, st *discipline.SourceStatus) bool { return st.State == discipline.Selected }

// leapTo notices that the leap second has happened, or makes it happen. It
// returns by how much the system clock jumped, ns, and leaves its new reading
// in c.
func (d *Driver) leapTo(c *Clocks) (jumped int64, err error) {
	l := &d.leap
	if l.kind == ntp.LeapNone {
		return 0, nil
	}
	if l.done {
		if past := c.System - l.at; past > leapPast || d.config.Leap == LeapIgnore && past > leapGrace {
			d.arm(ntp.LeapNone, 0)
		}
		return 0, nil
	}
	elapsed := c.Raw - d.now.Raw
	moved := float64(c.System-d.now.System) - float64(elapsed)*(1+d.rate)
	near := c.System >= l.at-3e9 && c.System <= l.at+elapsed+leapNear
	switch {
	case near && math.Abs(moved+float64(l.by())*1e9) < leapTolerance:
		return -l.by() * 1e9, d.leapt("leap second: the system clock has had it")
	case c.System < l.due():
	case d.config.Leap == LeapStep:
		return d.leapStep(c)
	case d.config.Leap == LeapIgnore:
		l.done = true
		d.log.Warn("leap second ignored: the clock is unsynchronised until it is measured anew")
		d.doubt(c, 0, 1)
	case d.config.Leap == LeapSlew:
		d.foreign.expected = float64(l.by())
		return 0, d.leapt("leap second: the clock is slewed by a second from now on")
	case c.System >= l.at+leapGrace:
		d.foreign.expected = float64(l.by())
		return 0, d.leapt("leap second: the kernel missed it, the clock is slewed by a second")
	}
	return 0, nil
}

// leapt tells the discipline.
func (d *Driver) leapt(line string) error {
	d.log.Warn(line, "kind", leapName(d.leap.kind))
	d.d.LeapApplied()
	d.leap.done = true
	return nil
}

// leapStep has the leap second ourselves.
func (d *Driver) leapStep(c *Clocks) (jumped int64, err error) {
	jumped = -d.leap.by() * 1e9
	if err := d.system.Step(jumped); err != nil {
		return 0, d.set("leap second", err)
	}
	if *c, err = d.system.Read(); err != nil {
		return jumped, err
	}
	return jumped, d.leapt("leap second: the system clock is stepped")
}

// wake is when to wake up: at the next tick, or at a leap second that is ours
// to have.
func (d *Driver) wake(tick int64) int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.leap.kind == ntp.LeapNone || d.leap.done || d.config.Leap == LeapSystem {
		return tick
	}
	left := float64(d.leap.due()-d.now.System) / (1 + d.rate)
	if left <= 0 || left > 10e9 {
		return tick
	}
	return min(tick, d.now.Raw+int64(left)+1000)
}
