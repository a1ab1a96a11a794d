package discipline

import (
	"fmt"
	"math"
	"time"

	"ntsbridge/bridge/ntp"
)

// leftDeviations is how far the joint estimate may be outside of what the
// majority agrees on before it is started anew.
const leftDeviations = 5

// Discipline follows sources and says how to correct the clock. It is not for
// concurrent use. All Instants given to it must be of one base.
type Discipline struct {
	config Config
	frame
	journal
	roster
	joint jointFilter
	polling
	selection
	claim claim
	controller
	leaps    leapGuard
	standard standard
	leap     ntp.Leap // announced by a majority of those selected
	stats    statistics
}

// New returns a discipline without sources.
func New(c Config) (*Discipline, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	d := &Discipline{config: c}
	d.joint = jointFilter{bank: newJointBank(c.MaxDrift), config: &d.config, roster: &d.roster, journal: &d.journal,
		startYVar: startFrequency * startFrequency}
	d.polling = polling{config: &d.config, roster: &d.roster, joint: &d.joint}
	d.selection = selection{config: &d.config, roster: &d.roster, polling: &d.polling, joint: &d.joint, gather: gathering, held: true,
		why: NobodyUsable}
	d.claim = claim{config: &d.config, joint: &d.joint}
	d.controller = controller{config: &d.config, frame: &d.frame, roster: &d.roster, joint: &d.joint, polling: &d.polling,
		journal: &d.journal}
	return d, nil
}

// AddSource adds a source.
func (d *Discipline) AddSource(id SourceID, c SourceConfig) error {
	if err := c.check(); err != nil {
		return fmt.Errorf("source %d: %w", id, err)
	}
	if d.find(id) != nil {
		return fmt.Errorf("discipline: source %d is there already", id)
	}
	if c.Local {
		if d.standard.source != nil { // there is one, the newest
			d.RemoveSource(d.standard.id)
		}
		d.standard.source = newSource(id, c, d.config.MaxDrift)
		return nil
	}
	if len(d.sources) == 0 {
		d.poll = c.MinPoll
	}
	d.poll = min(d.poll, c.MinPoll)
	d.sources = append(d.sources, newSource(id, c, d.config.MaxDrift))
	return nil
}

// RemoveSource forgets a source. The clock does not move: what the source
// taught stays.
func (d *Discipline) RemoveSource(id SourceID) {
	if d.standard.is(id) {
		d.unsteady(d.standard.header.T4)
		d.standard.source = nil
		return
	}
	d.sources, d.selected = without(d.sources, id), without(d.selected, id)
	d.claim.forget(id)
}

// Sample takes in an exchange. What it means for the clock shows at the next
// Tick.
func (d *Discipline) Sample(x Sample) Verdict {
	s := d.find(x.Source)
	if s == nil || s.refused {
		return UnknownSource
	}
	if s.config.Local {
		return d.steady(&x)
	}
	x.T1, x.T4 = d.standard.seen(x.T1), d.standard.seen(x.T4)
	verdict := x.examine(s.last, &d.config, s.deviation(&d.config), d.mostFrequency(s))
	if verdict == Disordered || verdict == NegativeDelay {
		return verdict
	}
	s.last = x.T1
	s.reach = s.reach<<1 | 1
	if verdict == Accepted && d.leaps.touches(&x) {
		return AcrossLeap
	}
	s.verdict = verdict
	if verdict != Accepted {
		d.choose(d.seconds(x.T4))
		return verdict
	}
	d.take(s, &x)
	return Accepted
}

// take measures with a good sample.
func (d *Discipline) take(s *source, x *Sample) {
	if !d.begun {
		d.begin(x)
	}
	at := d.seconds(x.T1) + x.T4.since(x.T1)/2
	round, turn := x.T4.since(x.T1), float64(x.T3-x.T2)/1e9
	delay := round*(1-d.frequencyNow(s)) - turn
	offset := float64(middle(int64(x.T1), int64(x.T4))-middle(x.T2, x.T3)-d.epoch)/1e9 -
		s.config.Asymmetry*delay - s.config.Offset.Seconds()
	s.header = *x

	c := s.route(at, delay, s.deviation(&d.config))
	if c != nil {
		d.event(EventRouteChanged, s.path.window.floor()-c.from.window.floor())
		d.joint.rerouted(s, c)
	}
	k := kept{
		at: at, round: round, turn: turn, delay: delay, path: s.path, distance: max(delay, 0)/2 + s.upstream() + 4*s.deviation(&d.config),
		sample: sample{offset: offset, noise: s.variance(&d.config), misled: max(delay/2, leastRange) + s.upstream()},
	}
	s.judge(&k, &d.config)
	s.keep(k)
	s.learn(&d.config)
	d.choose(at)
	d.fuse(s, s.latest())
}

// fuse lets a sample count for the clock if its source is selected.
func (d *Discipline) fuse(s *source, k *kept) {
	if len(d.selected) == 0 {
		return
	}
	d.claim.renew(d.selected, d.candidates, d.counted)
	d.leap = d.leapVote()
	switch {
	case !d.joint.started || d.allYoung():
		d.joint.begin(recentSamples)
	case s.state == Selected:
		d.joint.feed(s, k)
	default:
		return
	}
	d.joint.fedBy = s.id
	d.standard.forgive(d.joint.residual)
	d.polling.adapt()
	d.stats.update(k.at, d.joint.residual)
}

// mostReplayed bounds the samples of which the joint filter is made anew at each
// sample while all sources are young: with many sources the first samples of
// one matter less.
const mostReplayed = 64

// allYoung tells whether nothing but young sources has been used, and not many.
func (d *Discipline) allYoung() bool {
	samples := 0
	for _, s := range d.sources {
		if samples += s.count; s.veteran || samples > mostReplayed {
			return false
		}
	}
	return true
}

// mostFrequency bounds what the oscillator's frequency can be.
func (d *Discipline) mostFrequency(s *source) float64 {
	if d.joint.started || s.veteran {
		return math.Abs(d.frequencyNow(s)) + startFrequency
	}
	return d.config.MaxDrift + startFrequency
}

// frequencyNow is the best estimate of the frequency for a source's delays.
func (d *Discipline) frequencyNow(s *source) float64 {
	if d.joint.started {
		return d.joint.y
	}
	return s.own.y
}

// choose selects, and starts the joint filter anew when the majority does not
// support its estimate any more: it then follows something that is gone. What
// all agree on is no measure: a few who are sure of themselves make it narrow.
func (d *Discipline) choose(at float64) {
	d.selection.choose(at)
	if !d.joint.started || d.held {
		return
	}
	x, _ := d.joint.estimate(at)
	margin := leftDeviations*d.joint.deviation(max(at-d.joint.at, 0)) + d.config.MinDispersion
	if 2*d.support(x, margin) > d.counted {
		return
	}
	d.joint.restart()
	now, _ := d.joint.estimate(at)
	d.event(EventEstimateLeft, now-x)
}

// Tick is to be called once a second, and says what to do to the clock. Where
// it says to step, publish Status first: it is unsynchronised. The
// correction is recomputed at each tick from the clock that exists, so that
// nothing depends on a command having been carried out exactly.
func (d *Discipline) Tick(r Reading) Action {
	if d.standard.silent(r.Raw) {
		d.unsteady(r.Raw)
	}
	r = d.standard.reading(r)
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
	d.ticking, d.ticked = true, d.seconds(r.Raw)
	return d.standard.action(a)
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

// Missed says that a request found no answer.
func (d *Discipline) Missed(id SourceID, now Instant) {
	s := d.find(id)
	if s == nil {
		return
	}
	s.reach <<= 1
	if d.begun {
		d.choose(d.seconds(d.standard.seen(now)))
	}
}

// Unsynchronised says that a source answered that it has no time: it does not
// vote until it has.
func (d *Discipline) Unsynchronised(id SourceID, now Instant) {
	if s := d.find(id); s != nil {
		s.verdict = NotSynchronised
		d.Missed(id, now)
	}
}

// expire lets sources go that have been silent for too long.
func (d *Discipline) expire(r Reading) {
	if !d.begun {
		return
	}
	at := d.seconds(r.Raw)
	for _, s := range d.selected {
		if state, _ := d.usable(s, at); state != Selected {
			d.choose(at)
			return
		}
	}
}

// reset forgets every estimate after a numeric accident; the frequency in
// force stays.
func (d *Discipline) reset() {
	for _, s := range d.sources {
		s.forget(d.config.MaxDrift)
		s.state = Unusable
	}
	d.joint.bank, d.joint.slots = newJointBank(d.config.MaxDrift), d.joint.slots[:0]
	d.selected, d.claim.survivors, d.claim.candidates = d.selected[:0], d.claim.survivors[:0], d.claim.candidates[:0]
	d.begun, d.trustworthy, d.started, d.joint.fresh = false, false, false, false
	d.gather = gathering
	d.joint.startY, d.joint.startYVar, d.joint.restored = d.y, 1e-12, true
}

// Poll returns the poll exponent that suits a source now, log2 s, within its
// limits.
func (d *Discipline) Poll(id SourceID) int {
	if s := d.find(id); s != nil {
		return d.polling.wanted(s)
	}
	return 0
}

// Asked says that a request was just sent to a source, and that the next one
// comes after an interval. least is the least poll exponent, log2 s, where the
// server asked for less than Poll says.
func (d *Discipline) Asked(id SourceID, least int, interval time.Duration) {
	if s := d.find(id); s != nil {
		s.leastNow, s.granted = least, interval.Seconds()
	}
}

// Denied obeys a kiss-o'-death DENY or RSTR: the source is not asked again.
func (d *Discipline) Denied(id SourceID, now Instant) {
	if s := d.find(id); s != nil {
		s.refused = true
		s.state = Unusable
		if d.begun {
			d.choose(d.seconds(d.standard.seen(now)))
		}
	}
}

// Exit returns what to leave behind: the frequency, and no slew.
func (d *Discipline) Exit() Action { return d.standard.action(d.controller.exit()) }

// Events appends what happened since the last call to dst.
func (d *Discipline) Events(dst []Event) []Event { return d.journal.take(dst) }
