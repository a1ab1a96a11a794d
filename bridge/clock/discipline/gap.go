package discipline

import "math"

// Gap says that until now the base stood still or lost count for about lost
// seconds, uncertain seconds more or less: the machine slept, or a hypervisor
// paused it. The base's phase is unknown by that much, its frequency is not
// touched. Nothing is called synchronised until a majority has answered anew:
// of all sources that answered before, so the caller does well to ask all of
// them at once.
func (d *Discipline) Gap(now Instant, lost, uncertain float64) {
	d.event(EventGap, lost)
	d.trustworthy, d.running, d.ticking, d.joint.fresh = false, false, false, false
	d.hurry = true
	d.unsteady(now)
	if d.standard.source != nil {
		d.standard.forget(d.config.MaxDrift)
		d.standard.last = now
	}
	now = d.standard.seen(now)
	at := 0.0
	if d.begun { // else the frame, and its zero, come with the first answer
		at = d.seconds(now)
		d.gather = at + gathering
	}
	variance := uncertain*uncertain + 1e-6*lost*lost
	for _, s := range d.sources {
		if s.own.started {
			s.own.shift(-lost)
			s.own.widen(variance, 1e-14)
		}
		if s.awaited = at; s.reach != 0 && s.count > 0 {
			s.awaited = at + gathering + math.Exp2(float64(d.pollOf(s)))
		}
		s.count, s.strikes = 0, 0
		s.last = now
		s.state = Unusable
	}
	if d.joint.started {
		d.joint.shift(-lost)
		d.joint.widen(variance, 1e-14)
		d.joint.tracked = d.joint.phase
	}
	d.selected = d.selected[:0]
}
