package clock

import (
	"fmt"
	"math"

	"ntsbridge/bridge/clock/discipline"
)

// report logs what happened. It returns by how much others moved the clock.
func (d *Driver) report(c Clocks) (moved int64, err error) {
	for _, e := range d.events {
		switch e.Kind {
		case discipline.EventForeignChange:
			if !d.mine(e.Value, c) {
				d.intruded(c, "the system clock was changed by another program", "seconds", e.Value)
				if math.Abs(e.Value) >= leastJump {
					moved += int64(e.Value * 1e9)
				}
			}
		case discipline.EventForeignRate:
			if !d.config.Measure && !d.foreign.overridden {
				d.intruded(c, "the system clock's rate was changed by another program: it is set again", "ppm", e.Value*1e6)
			}
		case discipline.EventPanic:
			err = d.panics(e.Value)
		default:
			d.explain(e, c)
		}
	}
	if moved != 0 || d.synced && !c.Kernel.Synchronised { // who sets the clock makes the kernel forget
		d.leap.hold(c.Raw)
	}
	d.foreign.expected = 0
	d.calm(c.Raw)
	return moved, err
}

// mine tells whether a change of the clock is what we did ourselves, or what
// the readings cannot tell from it.
func (d *Driver) mine(by float64, c Clocks) bool {
	f := &d.foreign
	tolerance := d.config.Discipline.ForeignTolerance + f.slack + float64(c.Spread)/2e9
	return d.config.Measure || f.overridden || math.Abs(by-f.expected) <= tolerance
}

// intruded counts an intervention, and raises the alarm at repeated ones.
func (d *Driver) intruded(c Clocks, what, unit string, by float64) {
	f := &d.foreign
	f.count++
	if d.limits.allow(what, c.Raw) {
		d.log.Warn(what, unit, by, "times", f.count)
	}
	copy(f.times[:], f.times[1:])
	f.times[foreignAlarm-1] = c.Raw
	often := f.count >= foreignAlarm && f.times[foreignAlarm-1]-f.times[0] <= foreignTime
	if !often || f.alarm && c.Raw-f.alarmed < alarmTime {
		return
	}
	f.alarm, f.alarmed = true, c.Raw
	who := "not found; a virtual machine's guest tools, or a container, may be it"
	if d.config.Suspect != nil {
		if err := d.config.Suspect(); err != nil {
			who = err.Error()
		}
	}
	d.log.Error("another program steers the system clock too: stop it, or set clock.mode: observe", "suspect", who, "times", f.count)
}

// calm ends the alarm.
func (d *Driver) calm(now int64) {
	if f := &d.foreign; f.alarm && now-f.times[foreignAlarm-1] > foreignEnd {
		f.alarm = false
		d.log.Info("nobody else has steered the system clock for some minutes")
	}
}

// panics logs a panic.
func (d *Driver) panics(offset float64) error {
	threshold := d.config.Discipline.Panic
	if d.config.PanicExit {
		return fmt.Errorf("%w: by sources it is %.3f s wrong, the threshold is %g s; see that they are right, "+
			"and set the clock by hand or allow one large step at the start", ErrPanic, offset, threshold)
	}
	d.log.Error("the system clock is left alone and not served: by its sources it is wrong by more than the panic threshold; "+
		"see that they are right, and set the clock by hand or restart with one large step allowed", "seconds", offset, "threshold",
		threshold)
	return nil
}

// explain logs an event that nothing else follows from.
func (d *Driver) explain(e discipline.Event, c Clocks) {
	switch e.Kind {
	case discipline.EventStep:
		if !d.refusal.active {
			d.log.Warn("the system clock is stepped; it is served as unsynchronised until an answer confirms it", "seconds", e.Value)
		}
	case discipline.EventClockJumped:
		d.log.Warn("all sources say that the clock jumped: it follows them", "seconds", e.Value)
	case discipline.EventPathChanged:
		if d.limits.allow("path", c.Raw) {
			d.log.Info("a source moved against the others: its path is measured anew", "seconds", e.Value)
		}
	case discipline.EventRouteChanged:
		if d.limits.allow("route", c.Raw) {
			d.log.Debug("the route to a source changed its least delay", "seconds", e.Value)
		}
	case discipline.EventEstimateLeft:
		d.log.Warn("the estimate of the clock's error left what the sources agree on: it is made anew", "seconds", e.Value)
	case discipline.EventGap:
		d.log.Warn("the machine slept or was paused: sources are asked anew", "seconds", e.Value)
	case discipline.EventFastSlew:
		d.log.Warn("the system clock is far off: it is slewed fast, and served as unsynchronised meanwhile", "seconds", e.Value)
	case discipline.EventDriftLimit:
		if d.limits.allow("drift", c.Raw) {
			d.log.Error("the oscillator is off by more than is corrected: the clock runs away and is served as unsynchronised; "+
				"raise clock.max_drift_ppm, or find out what is wrong with the machine", "ppm", e.Value*1e6,
				"max_drift_ppm", d.config.Discipline.MaxDrift*1e6)
		}
	case discipline.EventStandard:
		d.log.Info("the local reference clock keeps the rate of the system clock from now on", "oscillator_ppm", e.Value*1e6)
	case discipline.EventStandardLost:
		d.log.Warn("the local reference clock keeps the rate of the system clock no longer", "silent_seconds", e.Value)
	case discipline.EventNumeric:
		d.log.Error("an estimate of the clock's error was no number: all estimates are made anew, the rate stays")
	default:
		d.log.Info("event of the clock discipline", "kind", int(e.Kind), "value", e.Value)
	}
}
