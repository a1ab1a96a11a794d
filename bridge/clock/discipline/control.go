package discipline

import (
	"math"
)

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
	// hurriedCorrection is the same for an offset that is slewed fast, s.
	hurriedCorrection = 2.0
	// startCorrection is the same at the start, as a part of the time since
	// then: what is known at first is worth little.
	startCorrection = 0.25
	// farAfter is what at the usual rate would take longer counts as far off, s:
	// then the clock is slewed as fast as at the start, and called
	// unsynchronised meanwhile.
	farAfter = 60.0
	// farSamples must say so, of two sources where two are followed. One alone
	// may be the one that jumped, and a machine that stood still is behind: if
	// the source is ahead, its word must stand for loneIntervals (after the two
	// samples that it takes to move the estimate), else for farAlone, s. The
	// time that the slew will take counts, for it can be undone.
	farSamples    = 3
	loneIntervals = 2
	farAlone      = 900.0
	// A source that within farMemory, s, comes back to where it was when it
	// was believed to be right did jump itself: by as much but for
	// farTolerance of it.
	farMemory    = 86400.0
	farTolerance = 0.1
	// startPhase bounds the time of large slews after the start, s. They end
	// earlier where the offset is below startDone, s, but not before
	// startLeast, s: the first answers may have been delayed.
	startLeast = 30.0
	startPhase = 300.0
	startDone  = 1e-4
)

// controller is the control loop.
type controller struct {
	config  *Config
	frame   *frame
	roster  *roster
	joint   *jointFilter
	polling *polling
	journal *journal

	trustworthy bool // a selected sample has come since start, step or gap
	panicked    bool
	beyond      bool // the oscillator is beyond MaxDrift
	panicSpent  bool

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
	large     persistence // above the step threshold
	far       persistence // so large that it would be slewed for minutes
	hurry     bool        // slews may be as fast as at the start
	hurrying  bool        // and one is
	word      loneWord
}

// persistence follows an offset above the step threshold.
type persistence struct {
	since   float64
	first   float64 // the offset then, s
	samples int
	sources map[SourceID]bool
}

// loneWord is what was believed of a source that was followed alone.
type loneWord struct {
	offset float64 // by which it had jumped, or we, s; 0: nothing
	at     float64
	broken bool // it came back: its word is not believed so fast again
}

// decide computes the action.
func (c *controller) decide(r Reading) Action {
	slewing := c.hurrying
	c.hurrying = false
	if !c.joint.started {
		return Action{Rate: c.idleRate(r)}
	}
	e, at := c.offset(r), c.frame.seconds(r.Raw)
	if !c.started {
		c.started, c.starting, c.began = true, true, at
		c.y, c.yBound = c.joint.y, math.Inf(1)
	}
	if c.panic(e) {
		return Action{Rate: c.baseRate()}
	}
	c.follow(at)
	c.limited()
	c.large.follow(c.config.StepThreshold > 0 && math.Abs(e) > c.config.StepThreshold, e, at, c.joint)
	c.hasten(e, at)
	if c.joint.fresh {
		c.updates++
		c.trustworthy = true
	}
	step := c.mayStep(e, at) || c.mustStep(e)
	c.joint.fresh = false
	if step {
		return c.step(e)
	}
	return Action{Rate: c.baseRate() - c.slew(e, at, slewing)}
}

// idleRate is the rate before anything is known: the one saved, or that
// found.
func (c *controller) idleRate(r Reading) float64 {
	switch {
	case c.joint.startYVar < startFrequency*startFrequency:
		return -c.within(c.joint.startY)
	case c.running:
		return c.command.Rate
	}
	return c.within(r.Rate)
}

// within bounds a frequency by what is corrected.
func (c *controller) within(y float64) float64 {
	return min(max(y, -c.config.MaxDrift), c.config.MaxDrift)
}

// limited notes whether the oscillator is beyond what is corrected: then the
// clock drifts away from us, whatever we know of it.
func (c *controller) limited() {
	beyond := c.joint.started && math.Abs(c.joint.y) > c.config.MaxDrift
	if beyond && !c.beyond {
		c.journal.event(EventDriftLimit, c.joint.y)
	}
	c.beyond = beyond
}

// baseRate is the rate that stops the system clock from drifting. The
// frequency is in error per second of the base, not of true time, so no
// quotient 1/(1+y) enters: at 450 ppm it would be wrong by 0.2 ppm.
func (c *controller) baseRate() float64 {
	return -c.within(c.y)
}

// follow takes over the estimate's frequency, but not by more than was
// thought possible before.
func (c *controller) follow(at float64) {
	_, y := c.joint.estimate(at)
	limit := frequencyDeviations * c.yBound
	if c.joint.corrected {
		limit, c.joint.corrected = math.Inf(1), false
	}
	c.y += min(max(y-c.y, -limit), limit)
	c.yBound = math.Sqrt(c.joint.yVar)
}

// slew returns the rate at which an offset is corrected. hurrying says that it
// was a fast one until now.
func (c *controller) slew(e, at float64, hurrying bool) float64 {
	noise := math.Sqrt(c.joint.tracked.now / max(c.joint.yVar, 1e-24))
	t := min(correctionTime*c.polling.interval(), longestCorrection, noiseCorrection*noise, startCorrection*(at-c.began))
	if known := certainDeviations * c.joint.tracking(max(at-c.joint.at, 0)); math.Abs(e) > known {
		t = min(t, max(t*known/math.Abs(e), c.leastCorrection()))
	}
	limit := c.config.MaxSlew
	if c.starting {
		if at-c.began > startLeast && math.Abs(e) < startDone || at-c.began > startPhase {
			c.starting = false
		}
		limit = max(limit, c.config.StartSlew)
	}
	usual := limit
	if c.hurry {
		limit = max(limit, c.config.StartSlew)
	}
	limit = min(limit, maxTickRate-math.Abs(c.baseRate()))
	rate := min(max(e/max(t, 1), -limit), limit)
	if c.hurrying = math.Abs(rate) > usual; c.hurrying && !hurrying {
		c.journal.event(EventFastSlew, e)
	}
	return rate
}

// panic tells whether an offset is beyond what we may touch. It ends when the
// offset is gone.
func (c *controller) panic(e float64) bool {
	beyond := math.Abs(e) > c.config.Panic
	if beyond && c.updates == 0 && c.config.PanicOnce && !c.panicSpent {
		return false
	}
	if beyond && !c.panicked {
		c.journal.event(EventPanic, e)
	}
	c.panicked = beyond
	return beyond
}

// follow notes whether an offset is large, and by whom.
func (p *persistence) follow(large bool, e, at float64, j *jointFilter) {
	if !large || e*p.first < 0 { // or large the other way: it is another one
		p.samples, p.first = 0, 0
		clear(p.sources)
	}
	if !large {
		return
	}
	if p.samples == 0 {
		p.since, p.first = at, e
	}
	if j.fresh {
		p.samples++
		if p.sources == nil {
			p.sources = map[SourceID]bool{}
		}
		p.sources[j.fedBy] = true
	}
}

// hasten decides whether an offset may be slewed as fast as at the start: it is
// far beyond what is known, and either not of the sources' making (somebody set
// the clock, or it slept), or witnessed.
func (c *controller) hasten(e, at float64) {
	usual := c.config.MaxSlew * farAfter
	certain := certainDeviations * c.joint.tracking(max(at-c.joint.at, 0))
	c.far.follow(math.Abs(e) > max(usual, certain), e, at, c.joint)
	switch {
	case math.Abs(e) < c.config.MaxSlew*certainCorrection && c.joint.fresh:
		c.hurry = false
	case c.hurry || c.far.samples == 0:
	case len(c.far.sources) >= 2:
		c.hurry = c.far.samples >= farSamples
	case c.cameBack(at):
		c.hurry, c.word = true, loneWord{broken: true}
	case c.believed(at):
		c.hurry, c.word.offset, c.word.at = true, c.far.first, at
	}
}

// believed tells whether the word of one source alone counts: that it jumped
// itself is not likely. It must just have said it again.
func (c *controller) believed(at float64) bool {
	if !c.joint.fresh {
		return false
	}
	if c.far.first < 0 && !c.word.broken {
		slew := -c.far.first / max(c.config.StartSlew, c.config.MaxSlew)
		return at-c.far.since+slew >= loneIntervals*c.polling.interval()
	}
	return c.far.samples >= farSamples && at-c.far.since >= farAlone
}

// cameBack tells whether the source undid the jump that was believed.
func (c *controller) cameBack(at float64) bool {
	jumped := c.word.offset
	return jumped != 0 && at-c.word.at < farMemory && math.Abs(c.far.first+jumped) < farTolerance*math.Abs(jumped)
}

// leastCorrection is the least time in which an offset is corrected, s.
func (c *controller) leastCorrection() float64 {
	if c.hurry {
		return hurriedCorrection
	}
	return certainCorrection
}

// mayStep tells whether the policy allows to step now.
func (c *controller) mayStep(e, at float64) bool {
	if c.config.StepThreshold == 0 || math.Abs(e) <= c.config.StepThreshold || !c.joint.fresh {
		return false
	}
	if c.updates <= c.config.StepUpdates {
		return true
	}
	// Of those that are followed: who is measured only, silent, or not
	// preferred cannot confirm anything.
	witnesses := 1
	if len(c.roster.selected) >= 3 {
		witnesses = 2
	}
	return c.config.StepAnyTime && at-c.large.since >= c.config.StepOut && c.large.samples >= 3 && len(c.large.sources) >= witnesses
}

// step steps an offset away. What is served after it must wait for another
// sample.
func (c *controller) step(e float64) Action {
	c.journal.event(EventStep, -e)
	c.steps++
	c.trustworthy, c.panicSpent = false, true
	c.large = persistence{}
	return Action{Rate: c.baseRate(), Step: -int64(math.Round(e * 1e9))}
}

// exit returns what to leave behind: the frequency, and no slew.
func (c *controller) exit() Action {
	if !c.started {
		return Action{Rate: c.within(c.command.Rate)}
	}
	return Action{Rate: c.baseRate()}
}

// watch compares the system clock with what our commands should have made of
// it.
func (c *controller) watch(r Reading) {
	if !c.running {
		return
	}
	elapsed := r.Raw.since(c.last.Raw)
	moved := float64(r.System-c.last.System-int64(r.Raw-c.last.Raw))/1e9 - c.command.Rate*elapsed - float64(c.command.Step)/1e9
	tolerance := c.config.ForeignTolerance + 1e-6*math.Abs(elapsed)
	if math.Abs(moved) > tolerance {
		c.foreign++
		c.hurry = true
		c.journal.event(EventForeignChange, moved)
	} else if math.Abs(r.Rate-c.command.Rate) > 1e-9 {
		c.foreign++
		c.journal.event(EventForeignRate, r.Rate-c.command.Rate)
	}
}

// offset is the system clock minus the estimate of true time, s.
func (c *controller) offset(r Reading) float64 {
	x, _ := c.joint.estimate(c.frame.seconds(r.Raw))
	return c.frame.system(r, x)
}

// mustStep reports whether a step was asked for.
func (c *controller) mustStep(e float64) bool {
	asked := c.stepAsked
	c.stepAsked = false
	return asked && math.Abs(e) >= 1e-9
}
