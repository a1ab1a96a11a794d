package discipline

import (
	"fmt"
	"math"

	"ntsbridge/bridge/ntp"
)

// Discipline follows sources and says how to correct the clock. It is not for
// concurrent use. All Instants given to it must be of one base.
type Discipline struct {
	config  Config
	sources []*source
	begun   bool
	origin  Instant // of all seconds within
	epoch   int64   // base minus Unix time that counts as phase 0, ns

	// The estimator.
	joint     *bank
	slots     []*path // which path each bias state belongs to
	startY    float64 // frequency to start the joint filter with
	startYVar float64
	priors    []float64 // weights of the wanders to start with; nil: equal
	fresh     bool      // fed since the last tick
	fedAt     float64   // s
	fedBy     SourceID
	residual  float64 // last innovation, s
	tracked   growth  // of the estimate's variance, unknown asymmetry aside

	// Selection.
	selected []*source
	trustees []*source // the last sources that were selected
	voices   int       // of how many a majority is needed
	awaiting int       // the same when the jury was sworn in: some may not have answered yet
	jury     []*source // those on whose words the bound of the error rests
	gather   float64   // s: until when a majority of all sources is awaited
	held     bool      // answers, but no majority
	leap     ntp.Leap
	leaps    leapGuard

	// What may be said and done.
	trustworthy bool // a selected sample has come since start, step or gap
	panicked    bool
	panicSpent  bool
	poll        int // log2 s, before each source's limits
	patience    int // samples in a row that allow a longer poll
	polls       int
	wander      float64 // log of the square of the oscillator's, averaged
	controller

	stats  statistics
	events []Event

	// Scratch space, so that nothing is allocated per sample.
	voting   []*source
	replay   []keptOf
	bounds   []float64
	opinions []opinion
	leanings []leaning
}

// New returns a discipline without sources.
func New(c Config) (*Discipline, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	return &Discipline{config: c, joint: newJointBank(), startYVar: startFrequency * startFrequency, gather: gathering}, nil
}

// AddSource adds a source.
func (d *Discipline) AddSource(id SourceID, c SourceConfig) error {
	if err := c.check(); err != nil {
		return fmt.Errorf("source %d: %w", id, err)
	}
	if d.find(id) != nil {
		return fmt.Errorf("discipline: source %d is there already", id)
	}
	if len(d.sources) == 0 {
		d.poll = c.MinPoll
	}
	d.poll = min(d.poll, c.MinPoll)
	d.sources = append(d.sources, newSource(id, c))
	return nil
}

// RemoveSource forgets a source. The clock does not move: what the source
// taught stays.
func (d *Discipline) RemoveSource(id SourceID) {
	keep := func(list []*source) []*source {
		n := 0
		for _, s := range list {
			if s.id != id {
				list[n] = s
				n++
			}
		}
		clear(list[n:])
		return list[:n]
	}
	d.sources, d.selected = keep(d.sources), keep(d.selected)
	if len(d.trustees) > 1 { // what is claimed rests on the last one
		d.trustees = keep(d.trustees)
	}
	if len(d.jury) > 1 {
		d.jury = keep(d.jury)
	}
}

func (d *Discipline) find(id SourceID) *source {
	for _, s := range d.sources {
		if s.id == id {
			return s
		}
	}
	return nil
}

// seconds and instant convert between the base and seconds since the origin.
func (d *Discipline) seconds(t Instant) float64 { return t.since(d.origin) }
func (d *Discipline) instant(s float64) Instant { return d.origin + Instant(s*1e9) }

// begin fixes the frame by the first sample: its own offset is phase 0, so
// that differences of integers become small floating-point numbers.
func (d *Discipline) begin(s *Sample) {
	d.begun, d.origin = true, s.T1
	d.epoch = middle(int64(s.T1), int64(s.T4)) - middle(s.T2, s.T3)
}

func middle(a, b int64) int64 { return a + (b-a)/2 }

// offsetAt is the system clock minus the estimate of true time, s.
func (d *Discipline) offsetAt(r Reading) float64 {
	x, _ := d.joint.estimate(d.seconds(r.Raw))
	return float64(r.System-int64(r.Raw)+d.epoch)/1e9 + x
}

// Sample takes in an exchange. What it means for the clock shows at the next
// Tick.
func (d *Discipline) Sample(x Sample) Verdict {
	s := d.find(x.Source)
	if s == nil || s.refused {
		return UnknownSource
	}
	verdict := x.examine(s.last, &d.config, s.deviation(&d.config))
	if verdict == Disordered || verdict == NegativeDelay {
		return verdict
	}
	s.last = x.T1
	s.reach = s.reach<<1 | 1
	s.replies++
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
	delay := x.T4.since(x.T1)*(1-d.frequencyNow(s)) - float64(x.T3-x.T2)/1e9
	offset := float64(middle(int64(x.T1), int64(x.T4))-middle(x.T2, x.T3)-d.epoch)/1e9 -
		s.config.Asymmetry*delay - s.config.Offset.Seconds()
	s.header = *x

	c := s.route(at, delay, s.deviation(&d.config))
	if c != nil {
		d.event(EventRouteChanged, s.path.window.floor()-c.from.window.floor())
		d.rerouted(s, c)
	}
	k := kept{
		at: at, delay: delay, path: s.path, distance: max(delay, 0)/2 + s.upstream() + 4*s.deviation(&d.config),
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
	d.trustees = append(d.trustees[:0], d.selected...)
	d.swearIn()
	d.leap = d.leapVote()
	switch {
	case !d.joint.started || d.allYoung():
		d.startJoint(recentSamples)
	case s.state == Selected:
		d.feed(s, k)
	default:
		return
	}
	d.fedBy = s.id
	d.adaptPoll()
	d.stats.update(d, k.at)
}

// allYoung tells whether nothing but young sources has been used.
func (d *Discipline) allYoung() bool {
	for _, s := range d.sources {
		if s.veteran {
			return false
		}
	}
	return true
}

// frequencyNow is the best estimate of the frequency for a source's delays.
func (d *Discipline) frequencyNow(s *source) float64 {
	if d.joint.started {
		return d.joint.y
	}
	return s.own.y
}

func (s *source) deviation(c *Config) float64 { return math.Sqrt(s.variance(c)) }

// Missed says that a request found no answer.
func (d *Discipline) Missed(id SourceID, now Instant) {
	s := d.find(id)
	if s == nil {
		return
	}
	s.reach <<= 1
	if d.begun {
		d.choose(d.seconds(now))
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
		if d.usable(s, at) != Selected {
			d.choose(at)
			return
		}
	}
}

// reset forgets every estimate after a numeric accident; the frequency in
// force stays.
func (d *Discipline) reset() {
	for _, s := range d.sources {
		s.forget()
		s.state = Unusable
	}
	d.joint, d.slots = newJointBank(), d.slots[:0]
	d.selected, d.trustees, d.jury = d.selected[:0], d.trustees[:0], d.jury[:0]
	d.begun, d.trustworthy, d.started, d.fresh = false, false, false, false
	d.gather = gathering
	d.startY, d.startYVar = d.y, 1e-12
}
