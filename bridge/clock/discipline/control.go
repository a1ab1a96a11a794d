package discipline

import (
	"math"
)

// Reading is both clocks at one instant, with what is in force.
type Reading struct {
	Raw    Instant
	System int64   // Unix time of the system clock, ns
	Rate   float64 // frequency correction in force, s/s, as read back
}

// Action is what is to be done to the system clock now.
type Action struct {
	Rate float64 // total rate correction until the next action, s/s
	Step int64   // to be added to the clock at once, ns; 0: nothing
}

// Constants of the controller.
const (
	// correctionTime is the time constant in which an offset is slewed away,
	// in poll intervals: shorter ones improve the offset by less than 1 % and
	// double the error of the frequency.
	correctionTime = 0.75
	// longestCorrection bounds it, s.
	longestCorrection = 256.0
	// noiseCorrection bounds it by what is known: deviation of the phase by
	// that of the frequency is the time in which the oscillator spoils as much
	// as is known of it; an offset must not stand longer than some of that.
	// It matters where each sample brings much news, after a jump of the
	// frequency or with a wander of 1e-7.
	noiseCorrection = 0.3
	// certainDeviations is from how many deviations of the estimate on an
	// offset is no noise: there is nothing to average, and it is corrected
	// faster in proportion, but not within less than certainCorrection, s.
	certainDeviations = 8
	certainCorrection = 4.0
	// startCorrection is the same at the start, as a part of the time since
	// then: what is known at first is worth little.
	startCorrection = 0.25
	// startPhase bounds the time of large slews after the start, s. They end
	// earlier where the offset is below startDone, s, but not before
	// startLeast, s: the first answers may have been delayed.
	startLeast = 30.0
	startPhase = 300.0
	startDone  = 1e-4
	// frequencyDeviations bounds a change of the frequency.
	frequencyDeviations = 5
	// frequencyLimit is what we correct of the oscillator, s/s (adjtimex).
	frequencyLimit = 500e-6
)

// controller is the state of the control loop.
type controller struct {
	running   bool
	last      Reading // at the last tick
	command   Action  // of the last tick
	y         float64 // frequency applied
	yBound    float64 // its deviation then
	began     float64 // s: when the first offset was known
	started   bool
	starting  bool // large slews are allowed
	stepAsked bool // by MakeStep
	updates   int  // with new samples, since the start
	foreign   int  // times that somebody else was at the clock
	steps     int
	large     persistence
}

// persistence follows an offset above the step threshold.
type persistence struct {
	since   float64
	samples int
	sources map[SourceID]bool
}

// Tick is to be called once a second, and says what to do to the clock. Where
// it says to step, publish Status first: it is unsynchronised. The
// correction is recomputed at each tick from the clock that exists, so that
// nothing depends on a command having been carried out exactly.
func (d *Discipline) Tick(r Reading) Action {
	d.watch(r)
	d.excuse(r)
	d.expire(r)
	a := d.decide(r)
	if math.IsNaN(a.Rate) || math.IsInf(a.Rate, 0) {
		d.event(EventNumeric, 0)
		d.reset()
		a = Action{Rate: d.command.Rate}
	}
	d.last, d.command, d.running = r, a, true
	return a
}

// excuse remembers for all sources that we were not running.
func (d *Discipline) excuse(r Reading) {
	if !d.begun {
		return
	}
	at := d.seconds(r.Raw)
	idle := d.stall(at)
	if idle == 0 {
		return
	}
	for _, s := range d.sources {
		s.excused += max(min(idle, at-s.lastAt), 0)
	}
}

// decide computes the action.
func (d *Discipline) decide(r Reading) Action {
	if !d.joint.started {
		return Action{Rate: d.idleRate(r)}
	}
	e, at := d.offsetAt(r), d.seconds(r.Raw)
	if !d.started {
		d.started, d.starting, d.began = true, true, at
		d.y, d.yBound = d.joint.y, math.Inf(1)
	}
	if d.panic(e) {
		return Action{Rate: d.baseRate()}
	}
	d.follow(at)
	d.persist(e, at)
	if d.fresh {
		d.updates++
		d.trustworthy = true
	}
	step := d.mayStep(e, at) || d.mustStep(e)
	d.fresh = false
	if step {
		return d.step(e)
	}
	return Action{Rate: d.baseRate() - d.slew(e, at)}
}

// idleRate is the rate before anything is known: the one saved, or that
// found.
func (d *Discipline) idleRate(r Reading) float64 {
	switch {
	case d.startYVar < startFrequency*startFrequency:
		return -min(max(d.startY, -frequencyLimit), frequencyLimit)
	case d.running:
		return d.command.Rate
	}
	return min(max(r.Rate, -frequencyLimit), frequencyLimit)
}

// baseRate is the rate that stops the system clock from drifting. The
// frequency is in error per second of the base, not of true time, so no
// quotient 1/(1+y) enters: at 450 ppm it would be wrong by 0.2 ppm.
func (d *Discipline) baseRate() float64 {
	return -min(max(d.y, -frequencyLimit), frequencyLimit)
}

// follow takes over the estimate's frequency, but not by more than was
// thought possible before.
func (d *Discipline) follow(at float64) {
	_, y := d.joint.estimate(at)
	limit := frequencyDeviations * d.yBound
	d.y += min(max(y-d.y, -limit), limit)
	d.yBound = math.Sqrt(d.joint.yVar)
}

// slew returns the rate at which an offset is corrected.
func (d *Discipline) slew(e, at float64) float64 {
	noise := math.Sqrt(d.tracked.now / max(d.joint.yVar, 1e-24))
	t := min(correctionTime*d.interval(), longestCorrection, noiseCorrection*noise, startCorrection*(at-d.began))
	if known := certainDeviations * d.tracking(max(at-d.joint.at, 0)); math.Abs(e) > known {
		t = min(t, max(t*known/math.Abs(e), certainCorrection))
	}
	limit := d.config.MaxSlew
	if d.starting {
		if at-d.began > startLeast && math.Abs(e) < startDone || at-d.began > startPhase {
			d.starting = false
		}
		limit = max(limit, d.config.StartSlew)
	}
	return min(max(e/max(t, 1), -limit), limit)
}

// interval is the shortest poll interval of the selected sources, s.
func (d *Discipline) interval() float64 {
	least := mostPoll
	for _, s := range d.selected {
		least = min(least, d.pollOf(s))
	}
	return math.Exp2(float64(least))
}

// panic tells whether an offset is beyond what we may touch. It ends when the
// offset is gone.
func (d *Discipline) panic(e float64) bool {
	beyond := math.Abs(e) > d.config.Panic
	if beyond && d.updates == 0 && d.config.PanicOnce && !d.panicSpent {
		return false
	}
	if beyond && !d.panicked {
		d.event(EventPanic, e)
	}
	d.panicked = beyond
	return beyond
}

// persist follows how long the offset has been large, and by whom.
func (d *Discipline) persist(e, at float64) {
	p := &d.large
	if d.config.StepThreshold == 0 || math.Abs(e) <= d.config.StepThreshold {
		p.samples = 0
		clear(p.sources)
		return
	}
	if p.samples == 0 {
		p.since = at
	}
	if d.fresh {
		p.samples++
		if p.sources == nil {
			p.sources = map[SourceID]bool{}
		}
		p.sources[d.fedBy] = true
	}
}

// mayStep tells whether the policy allows to step now.
func (d *Discipline) mayStep(e, at float64) bool {
	c := &d.config
	if c.StepThreshold == 0 || math.Abs(e) <= c.StepThreshold || !d.fresh {
		return false
	}
	if d.updates <= c.StepUpdates {
		return true
	}
	witnesses := 1
	if len(d.sources) >= 3 {
		witnesses = 2
	}
	return c.StepAnyTime && at-d.large.since >= c.StepOut && d.large.samples >= 3 && len(d.large.sources) >= witnesses
}

// step steps an offset away. What is served after it must wait for another
// sample.
func (d *Discipline) step(e float64) Action {
	d.event(EventStep, -e)
	d.steps++
	d.trustworthy, d.panicSpent = false, true
	d.large = persistence{}
	return Action{Rate: d.baseRate(), Step: -int64(math.Round(e * 1e9))}
}

// Exit returns what to leave behind: the frequency, and no slew.
func (d *Discipline) Exit() Action {
	if !d.started {
		return Action{Rate: min(max(d.command.Rate, -frequencyLimit), frequencyLimit)}
	}
	return Action{Rate: d.baseRate()}
}

// watch compares the system clock with what our commands should have made of
// it.
func (d *Discipline) watch(r Reading) {
	if !d.running {
		return
	}
	elapsed := r.Raw.since(d.last.Raw)
	moved := float64(r.System-d.last.System-int64(r.Raw-d.last.Raw))/1e9 - d.command.Rate*elapsed - float64(d.command.Step)/1e9
	tolerance := d.config.ForeignTolerance + 1e-6*math.Abs(elapsed)
	if math.Abs(moved) > tolerance {
		d.foreign++
		d.event(EventForeignChange, moved)
	} else if math.Abs(r.Rate-d.command.Rate) > 1e-9 {
		d.foreign++
		d.event(EventForeignRate, r.Rate-d.command.Rate)
	}
}
