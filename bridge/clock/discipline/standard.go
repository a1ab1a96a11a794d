package discipline

import "math"

// Constants of the standard.
const (
	// standardSamples must have come before it is relied on.
	standardSamples = 8
	// standardPatience is for how many polls it may be silent, and
	// leastPatience at least, s.
	standardPatience = 8
	leastPatience    = 8.0
	// standardJump is by how much the oscillator may run away from it unseen
	// between two readings, s/s: more is a jump of the standard itself, of which
	// nothing can be learned.
	standardJump = 500e-6
	// leapTolerance is how much two readings after a leap may differ in it.
	leapTolerance = 0.5
	// forgiven is what is left of the doubt in a sudden move of the standard
	// after each sample of a source that counts and does not confirm it: that
	// misses what was expected by less than confirming of it.
	forgiven   = 0.5
	confirming = 0.25
)

// standard is a clock at this machine of which nobody knows the time, but which
// keeps its rate better than the machine's oscillator: chrony's refclock option
// local. It has no say in the selection. While it is relied on it takes the
// base's place for all that is estimated: the base that everything within the
// discipline sees is the one that it is given, less what that ran ahead of the
// standard since the standard was relied on. So the filters meet an oscillator
// as good as the standard, and find that out as they do with any other. When it
// is silent the base goes on as the last readings promised.
type standard struct {
	*source         // nil: there is none
	frame           // of its readings, in the base as it is given
	relied  bool    // it leads
	at      float64 // s: of its last reading, or when lead was last known
	lead    float64 // s: of the base before the one that is seen, then
	rate    float64 // at which lead grows, s/s
	from    float64 // s: when it was last relied on anew,
	phase   float64 // s: its lead less what its own filter said, then
	slope   float64 // s/s: the same for the rate
	missed  float64 // s: by which the last reading missed what was expected, if by too much
	doubt   float64 // s: of moves that the oscillator is not likely to have made
	obeyed  float64 // the rate when the last action was given
	readFor bool    // frame has begun
}

// is tells whether a source is the standard.
func (t *standard) is(id SourceID) bool { return t.source != nil && t.id == id }

// ahead returns by how much the base as it is given is before the one that is
// seen, s.
func (t *standard) ahead(i Instant) float64 {
	if !t.readFor {
		return 0
	}
	return t.lead + t.rate*(t.frame.seconds(i)-t.at)
}

// seen and given convert between both bases.
func (t *standard) seen(i Instant) Instant {
	return i - Instant(math.Round(t.ahead(i)*1e9))
}

func (t *standard) given(i Instant) Instant {
	return i + Instant(math.Round(t.ahead(i+Instant(t.ahead(i)*1e9))*1e9))
}

// reading converts a reading of both clocks.
func (t *standard) reading(r Reading) Reading {
	if !t.readFor {
		return r
	}
	r.Raw = t.seen(r.Raw)
	r.Rate = (1+r.Rate)/(1-t.obeyed) - 1
	return r
}

// action converts what is to be done.
func (t *standard) action(a Action) Action {
	if !t.readFor {
		return a
	}
	t.obeyed = t.rate
	a.Rate = (1+a.Rate)*(1-t.rate) - 1
	return a
}

// read takes in what the standard says. It returns by how much the base that is
// seen is set back by it, s, and whether it is relied on.
func (t *standard) read(x *Sample, c *Config) (Verdict, float64) {
	if x.T2 < -maxTime || x.T2 > maxTime || x.T1 <= t.last || x.T4 < x.T1 {
		return Disordered, 0
	}
	if !t.readFor {
		t.frame.begin(x)
		t.readFor = true
	}
	at := t.frame.seconds(x.T4)
	since := at - t.lastAt
	k := kept{at: at, path: t.path, distance: 4 * t.deviation(c), sample: sample{noise: t.variance(c), misled: leastRange,
		offset: float64(middle(int64(x.T1), int64(x.T4))-middle(x.T2, x.T3)-t.epoch) / 1e9}}
	t.last, t.header, t.verdict, t.reach = x.T1, *x, Accepted, t.reach<<1|1
	t.path.window.add(at, 0)
	t.judge(&k, c)
	odd := t.leaps(k.sample.offset, at, since, c)
	t.keep(k)
	t.learn(c)
	if odd {
		return Accepted, 0
	}
	return Accepted, t.lean(at, since, c)
}

// leaps finds leaps of the standard, of which the clock must see nothing: a
// reading that misses what was expected is of one if the next misses it as
// well, and by as much; if that misses it by more, the oscillator goes at
// another rate. It tells whether nothing is to be made of this reading yet.
func (t *standard) leaps(offset, at, since float64, c *Config) bool {
	if !t.relied || !t.veteran {
		t.missed = 0
		return false
	}
	x, _ := t.own.estimate(at)
	miss, before := offset-x, t.missed
	t.missed = 0
	switch {
	case before == 0 && math.Abs(miss) > max(certainDeviations*math.Hypot(t.own.deviation(since), t.deviation(c)), c.Drift*since,
		alarming*math.Sqrt(t.observed)):
		t.missed = miss
		return true
	case before != 0 && math.Abs(miss-before) < leapTolerance*math.Abs(before):
		t.own.shift(miss)
		t.phase -= miss
	}
	return false
}

// lean lets the base follow what is known of the standard now.
func (t *standard) lean(at, since float64, c *Config) (back float64) {
	if t.count < standardSamples {
		return 0
	}
	x, y := t.own.estimate(at)
	ahead := t.lead + t.rate*(at-t.at)
	back = x + t.phase + t.slope*(at-t.from) - ahead
	if !t.relied || math.Abs(back) > standardJump*max(since, 1) {
		// It goes on from where the base is, with the base's rate.
		t.relied, t.from, t.phase, t.slope = true, at, ahead-x, t.rate-y
		back = 0
	}
	if size := math.Abs(back); size > c.Drift*since {
		t.doubt += size
	}
	t.at, t.lead, t.rate = at, ahead+back, y+t.slope
	return back
}

// forgive lets a sample of a source count for the standard.
func (t *standard) forgive(residual float64) {
	if math.Abs(residual) < confirming*t.doubt {
		t.doubt *= forgiven
	}
}

// silent tells whether it was relied on and says nothing any more.
func (t *standard) silent(now Instant) bool {
	return t.relied && t.frame.seconds(now)-t.lastAt > max(standardPatience*math.Exp2(float64(t.config.MinPoll)), leastPatience)
}

// steady takes in a reading of the standard.
func (d *Discipline) steady(x *Sample) Verdict {
	was := d.standard.relied
	verdict, back := d.standard.read(x, &d.config)
	d.last.Raw -= Instant(math.Round(back * 1e9)) // what was moved is the base, not the clock
	if !was && d.standard.relied {
		d.event(EventStandard, d.standard.own.y)
	}
	return verdict
}

// unsteady lets the standard go: from now on the oscillator wanders as it does
// against the standard, and since its last reading it did.
func (d *Discipline) unsteady(now Instant) {
	t := &d.standard
	if !t.relied {
		return
	}
	t.relied = false
	silence := max(t.frame.seconds(now)-t.lastAt, 0)
	d.event(EventStandardLost, silence)
	q := t.own.phase.walk
	for _, s := range d.sources {
		s.own.wanderLike(t.own, q, silence)
	}
	if d.joint.started {
		d.joint.wanderLike(t.own, q, silence)
		d.joint.track()
	}
}

// wanderLike lets a bank expect of the oscillator what another one knows of it,
// and be unsure of what it did in a time in which the bank expected another's
// walk, with the square of q, s.
func (b *bank) wanderLike(o *bank, q, silence float64) {
	if !b.started {
		return
	}
	families := b.familyWeightsOf()
	best := math.Inf(-1)
	for _, m := range b.members {
		m.weight = families[m.noise] + o.weightOf(m.wander) + m.against
		best = max(best, m.weight)
	}
	for _, m := range b.members {
		m.weight -= best
	}
	b.widen(q*silence*silence*silence/3, q*silence)
}

// familyWeightsOf returns the log of how probable each family is, also that of
// members without one.
func (b *bank) familyWeightsOf() (weights [families + 1]float64) {
	for _, m := range b.members {
		weights[m.noise] += m.share
	}
	for f := range weights {
		weights[f] = max(math.Log(weights[f]), leastWeight)
	}
	return weights
}

// weightOf returns the log of how probable a wander is to the bank: that of its
// nearest one.
func (b *bank) weightOf(w wander) float64 {
	nearest, away := wander{}, math.Inf(1)
	for _, m := range b.members {
		off := math.Abs(math.Log(m.wander.frequency / w.frequency))
		if (m.wander.drift > 0) != (w.drift > 0) {
			off += 100
		} else if w.drift > 0 {
			off += math.Abs(math.Log(m.wander.drift / w.drift))
		}
		if off < away {
			nearest, away = m.wander, off
		}
	}
	sum := 0.0
	for _, m := range b.members {
		if m.wander == nearest {
			sum += m.share
		}
	}
	return max(math.Log(sum), leastWeight)
}

// standardReport is what is said of the standard.
func (d *Discipline) standardReport(now Instant) SourceStatus {
	t := &d.standard
	st := SourceStatus{ID: t.id, State: Unusable, Reach: t.reach, Poll: t.config.MinPoll, Samples: t.count}
	if t.count == 0 {
		return st
	}
	at := t.frame.seconds(now)
	if t.relied {
		st.State, st.Rule = Excluded, KeepsRate
	} else if t.reach == 0 {
		st.State = Unreachable
	}
	own, y := t.own.estimate(at)
	st.Last, st.Frequency, st.Skew, st.Deviation = t.header.T4, y, math.Sqrt(t.own.yVar), t.own.deviation(max(at-t.own.at, 0))
	st.Distance = d.config.MaxDistance // its time is anything
	st.Residuals = t.misses.report()
	if d.joint.started {
		x, _ := d.joint.estimate(d.seconds(t.seen(now)))
		st.Offset = t.ahead(now) - float64(t.epoch-d.epoch)/1e9 - own + x
	}
	return st
}

// find returns a source, or the standard.
func (d *Discipline) find(id SourceID) *source {
	if d.standard.is(id) {
		return d.standard.source
	}
	return d.roster.find(id)
}
