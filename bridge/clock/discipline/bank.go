package discipline

import "math"

// Constants of the averaging over hypotheses.
const (
	// forgetting is the power to which probabilities are raised at each
	// sample: about 200 samples decide. Between 0.995 and 1 little changes;
	// 0.95 is at the mercy of single samples.
	forgetting = 0.995
	// leastWeight bounds the log of a hypothesis' probability against the
	// best one's, so that it comes back within some samples when the world
	// changes. A hypothesis there has no say (its state may be anywhere) and
	// is given the best one's state every reviveAfter samples, so that what
	// comes back is one that knows the present.
	leastWeight = -12
	reviveAfter = 8
	// leastFamily is the same bound for a family of noise. What a network's
	// noise is like changes rarely, and a queue that stands for half an hour
	// must not pass for a clock that moves.
	leastFamily = -40
	// oneSidedOdds is the log of the odds of a one-sided family against each of
	// the others, at the start and for ever: it must win by that.
	oneSidedOdds = -4
	// possible is the least probability of a family that the joint filter
	// looks at: each has a tail for what does not fit.
	possible = 1e-4
	// startFrequency is the deviation of an unknown oscillator's frequency,
	// s/s: data sheets promise 100 ppm and less.
	startFrequency = 100e-6
	// beyondDrift and beyondPart are by how much a hypothesis may be beyond the
	// largest frequency that is corrected, s/s and as a part of it: the
	// estimate is to pass over it, or one could not tell.
	beyondDrift = 50e-6
	beyondPart  = 0.1
	// strikesOut is how many samples in a row must contradict all hypotheses
	// on the same side before the clock is believed to have jumped. One may
	// be an accident, two a coincidence.
	strikesOut = 3
)

// hypothesis is a filter with what it believes of the noise.
type hypothesis struct {
	*kalman
	noise family  // families: what the source's own bank learned
	share float64 // probability: 0 for those that have no say
	// Of branches: the size of the jump looked for, s/s, and the log of the
	// odds against it.
	jump, against float64
}

// odds is the log of those of the hypothesis before any sample.
func (h *hypothesis) odds() float64 {
	if h.noise == upward || h.noise == downward {
		return oneSidedOdds
	}
	return h.against
}

// bank is a set of hypotheses, averaged by how well they predicted.
type bank struct {
	members []*hypothesis
	started bool
	at      float64 // time of all states, s of the base
	// averages over the hypotheses
	x, y, d float64
	yVar    float64
	phase   growth  // of the phase's variance, biases' included
	strikes int     // contradicting samples in a row, signed by their side
	agreed  float64 // time of the last sample that did not contradict
	samples int
	limit   float64 // of any hypothesis' frequency, s/s
	// permanent is how many members are no branches. jumped says that a branch
	// was believed since somebody asked.
	permanent int
	jumped    bool
}

// newBank returns a bank for oscillators whose frequency is corrected up to a
// limit, s/s.
func newBank(maxDrift float64) *bank { return &bank{limit: maxDrift*(1+beyondPart) + beyondDrift} }

// newOwnBank returns the bank of one source: each wander with each family.
// Each hypothesis must live through the past on its own: were the families
// mixed in each filter, a wrong one could spoil the state by which the right
// one is judged.
func newOwnBank(maxDrift float64) *bank {
	b := newBank(maxDrift)
	for _, w := range ownWanders {
		for f := range families {
			b.members = append(b.members, &hypothesis{kalman: newKalman(w), noise: f})
		}
	}
	b.permanent = len(b.members)
	return b
}

// newJointBank returns the bank which all selected sources feed.
func newJointBank(maxDrift float64) *bank {
	b := newBank(maxDrift)
	for _, w := range wanders {
		b.members = append(b.members, &hypothesis{kalman: newKalman(w), noise: families})
	}
	b.addBranches()
	return b
}

// start begins near an offset that is known to a deviation only.
func (b *bank) start(at, offset, deviation, y, yVar float64) {
	for _, m := range b.members {
		m.start(offset, deviation*deviation, y, yVar)
		m.weight = m.odds()
	}
	b.started, b.at, b.agreed, b.strikes = true, at, at, 0
	b.average()
}

// advance brings all states to a time.
func (b *bank) advance(at float64) {
	if dt := at - b.at; dt > 0 {
		for _, m := range b.members {
			m.predict(dt)
		}
		b.at = at
	}
}

// observe feeds a sample taken at a time through a path with the given bias.
// It returns by how much the sample missed what was expected, and whether it
// contradicted.
func (b *bank) observe(at float64, s sample, bias int, weights *[families]float64) (innovation float64, contradicts bool) {
	s.offset += b.y * max(b.at-at, 0) // a late sample
	b.advance(at)
	innovation, wild := b.weigh(&s, bias, weights)
	b.average()
	if contradicts = wild > 0.5; !contradicts {
		b.strikes, b.agreed = 0, at
	}
	return innovation, contradicts
}

// weigh updates all members and their weights.
func (b *bank) weigh(s *sample, bias int, weights *[families]float64) (innovation, wild float64) {
	best := math.Inf(-1)
	total := 0.0
	for _, m := range b.members {
		prior := m.share
		mean, variance := m.measured(bias)
		var v verdict
		if m.noise == families {
			v = s.judgeAll(weights, mean, variance)
		} else {
			v = s.judge(m.noise, mean, variance)
		}
		m.update(bias, v)
		innovation += prior * (s.offset - mean)
		total += prior * v.density
		wild += prior * v.density * v.wild
		m.weight = forgetting*m.weight + (1-forgetting)*(m.odds()-m.against) + math.Log(v.density+1e-300)
		best = max(best, m.weight)
	}
	b.samples++
	for _, m := range b.members {
		m.weight -= best
	}
	if b.samples%reviveAfter == 0 {
		b.revive()
	}
	b.branch()
	return innovation, wild / max(total, 1e-300)
}

// revive gives hypotheses that are hopeless within their family the state of
// the family's best.
func (b *bank) revive() {
	for f := range families + 1 {
		best := -1
		for i, m := range b.members[:b.permanent] {
			if m.noise == f && (best < 0 || m.weight > b.members[best].weight) {
				best = i
			}
		}
		if best < 0 {
			continue
		}
		top := b.members[best]
		top.weight = max(top.weight, leastFamily)
		for _, m := range b.members[:b.permanent] {
			if m.noise == f && m.weight <= top.weight+leastWeight {
				m.adopt(top.kalman)
				m.weight = top.weight + leastWeight
			}
		}
	}
}

// strike counts a contradicting sample and tells whether the clock is to be
// believed to have jumped. reach is how far a delay can mislead.
func (b *bank) strike(innovation, reach float64) bool {
	side := 1
	if innovation < 0 {
		side = -1
	}
	if b.strikes*side < 0 {
		b.strikes = 0
	}
	b.strikes += side
	if math.Abs(innovation) > reach {
		b.strikes += side
	}
	return b.strikes*side >= strikesOut
}

// jump makes the clock's state uncertain by what was missed.
func (b *bank) jump(innovation float64) {
	elapsed := max(b.at-b.agreed, 1)
	slope := min(math.Abs(innovation)/elapsed, startFrequency)
	b.widen(innovation*innovation, slope*slope)
	b.strikes = 0
}

func (b *bank) widen(phaseVariance, frequencyVariance float64) {
	for _, m := range b.members {
		m.widen(phaseVariance, frequencyVariance)
	}
	b.average()
}

// shift moves the phase of all members.
func (b *bank) shift(by float64) {
	for _, m := range b.members {
		m.mean[phase] += by
	}
	b.x += by
}

// average computes the averages and mends what went wrong.
func (b *bank) average() {
	sum, best := 0.0, b.bestWeight()
	for _, m := range b.members {
		m.share = 0
		if !m.sound() {
			m.weight = math.Inf(-1)
			continue
		}
		m.mean[frequency] = min(max(m.mean[frequency], -b.limit), b.limit)
		if m.weight > leastWeight && !m.voiceless(best) {
			m.share = math.Exp(m.weight)
			sum += m.share
		}
	}
	if sum > 0 { // else nothing is left: hold the last averages
		b.weighted(sum)
	}
	b.mend()
}

// weighted computes the averages from shares of the given sum.
func (b *bank) weighted(sum float64) {
	var x, y, d, yy float64
	for _, m := range b.members {
		m.share /= sum
		x += m.share * m.mean[phase]
		y += m.share * m.mean[frequency]
		d += m.share * m.mean[drift]
	}
	for _, m := range b.members {
		dy := m.mean[frequency] - y
		yy += m.share * (*m.at(frequency, frequency) + dy*dy)
	}
	b.x, b.y, b.d, b.yVar = x, y, d, yy
	b.phase = b.growth(-1)
}

// mend starts members anew that are no longer possible.
func (b *bank) mend() {
	for _, m := range b.members {
		if math.IsInf(m.weight, -1) {
			m.start(b.x, max(b.phase.now, 1e-12), b.y, max(b.yVar, 1e-14))
			m.weight = leastWeight
		}
	}
}

// estimate returns error and frequency of the base at a time not before the
// states'.
func (b *bank) estimate(at float64) (x, y float64) {
	dt := at - b.at
	toPhase, toFrequency, _ := transition(dt)
	return b.x + b.y*dt + b.d*toPhase, b.y + b.d*toFrequency
}

// deviation returns that of the phase, tau seconds after the last sample.
func (b *bank) deviation(tau float64) float64 { return b.phase.deviation(tau) }

// growth returns how the variance of what a path measures grows.
func (b *bank) growth(bias int) growth {
	var g growth
	var mean, square float64
	for _, m := range b.members {
		if m.share == 0 {
			continue
		}
		u, _ := m.measured(bias)
		mean += m.share * (u - b.x)
		square += m.share * (u - b.x) * (u - b.x)
		g.add(m.share, m.kalman, bias)
	}
	g.now += max(square-mean*mean, 0)
	return g
}

// familyWeights returns how probable each family of noise is.
func (b *bank) familyWeights() (weights [families]float64) {
	for _, m := range b.members {
		weights[m.noise] += m.share
	}
	for f, w := range weights {
		if w < possible { // what has no say costs time
			weights[f] = 0
		}
	}
	return weights
}

// phaseOf returns the phase by the members of one family alone, and false if it
// has none.
func (b *bank) phaseOf(f family) (x float64, ok bool) {
	best := math.Inf(-1)
	for _, m := range b.members {
		if m.noise == f {
			best = max(best, m.weight)
		}
	}
	sum := 0.0
	for _, m := range b.members {
		if m.noise == f && m.weight > best+leastWeight {
			w := math.Exp(m.weight - best)
			sum += w
			x += w * m.mean[phase]
		}
	}
	return x / sum, sum > 0
}

// bias is the average of a bias state.
func (b *bank) bias(slot int) float64 {
	bias := 0.0
	for _, m := range b.members {
		bias += m.share * m.mean[clockLen+slot]
	}
	return bias
}
