package discipline

import (
	"math"
)

// Polling.
const (
	// pollPatience is how many samples in a row must allow a longer interval.
	pollPatience = 8
	// alarming is how many deviations of surprise shorten the interval.
	alarming = 4
	// wanderMemory is over how many samples the wander is averaged.
	wanderMemory = 64
	// boundedWorth and scaledWorth are what part of the variance of offsets a
	// filter has to do with that uses the delay as a bound, or as a scale.
	boundedWorth = 0.05
	scaledWorth  = 0.15
)

// polling decides when sources are asked.
type polling struct {
	config   *Config
	roster   *roster
	joint    *jointFilter
	poll     int     // log2 s, before each source's limits
	patience int     // samples in a row that allow a longer poll
	polls    int     // averaged
	wander   float64 // log of the square of the oscillator's, averaged
	past     [pastFrequencies]pastFrequency
}

// pastFrequency is what the joint filter knew of the frequency after a sample.
type pastFrequency struct{ at, y, variance float64 }

// pastFrequencies are remembered: a jump may be believed bit by bit.
const pastFrequencies = 4

// wanted returns the poll exponent that suits a source, log2 s.
func (p *polling) wanted(s *source) int {
	return min(max(p.poll, s.config.MinPoll), s.config.MaxPoll)
}

// pollOf returns the poll exponent that is in force for a source, log2 s.
func (p *polling) pollOf(s *source) int { return max(p.wanted(s), s.leastNow) }

// adapt chooses the longest interval after which the estimate is hardly
// worse than after a sample. How the present estimate's error will grow would
// say it too, but that differs from sample to sample, and leads itself astray:
// after some long intervals longer ones look harmless. So the wander and the
// noise decide, which are averages. Down at once: by a step where one sample
// surprises, to the shortest where a jump is believed or seen that no delay
// explains. Up slowly.
func (p *polling) adapt() {
	least, most := mostPoll, leastPoll
	for _, s := range p.roster.selected {
		least, most = min(least, s.config.MinPoll), max(most, s.config.MaxPoll)
	}
	if least >= most {
		p.poll = least
		return
	}
	p.restless()
	if p.moved() || p.joint.jumped || p.joint.beyond {
		p.poll, p.patience, p.joint.jumped = least, 0, false
		return
	}
	if math.Abs(p.joint.residual) > alarming*math.Hypot(p.joint.tracked.deviation(p.interval()), p.residualDeviation()) {
		p.poll, p.patience = max(p.poll-1, least), 0
		return
	}
	allowed := least
	if longest := math.Round(math.Log2(p.longest())); longest > float64(least) {
		allowed = int(min(longest, float64(most)))
	}
	switch {
	case allowed < p.poll:
		p.poll, p.patience = allowed, 0
	case allowed == p.poll:
		p.patience = 0
	default:
		if p.patience++; p.patience >= pollPatience {
			p.poll, p.patience = p.poll+1, 0
		}
	}
}

// moved tells whether the frequency is no longer where the oscillator's walk can
// have led it from where it was known to be some samples ago: whichever members
// of the filter believe it, it jumped.
func (p *polling) moved() bool {
	now, then := pastFrequency{p.joint.at, p.joint.y, p.joint.yVar}, p.past[len(p.past)-1]
	copy(p.past[1:], p.past[:])
	p.past[0] = now
	expected := then.variance + math.Exp(p.wander)*(now.at-then.at)
	jumped := then.variance > 0 && math.Abs(now.y-then.y) > frequencyDeviations*math.Sqrt(expected)
	if jumped || then.at > now.at {
		p.past = [pastFrequencies]pastFrequency{now}
	}
	return jumped
}

// restless follows how much the oscillator wanders, on the average of what the
// hypotheses say, in logarithms.
func (p *polling) restless() {
	sum := 0.0
	for _, m := range p.joint.members {
		w, drift := m.wander.frequency, m.wander.drift*driftTime
		sum += m.share * math.Log(w*w+drift*drift/8)
	}
	if p.polls++; p.polls > wanderMemory {
		p.polls = wanderMemory
	}
	p.wander += (sum - p.wander) / float64(p.polls)
}

// longest is the interval after which the error of a stationary filter is by
// the allowed factor larger than after a sample, s. It depends on one number,
// wander*interval^1.5/noise, by the theory of two states at small gain.
func (p *polling) longest() float64 {
	gain := (1 - 1/(p.config.PollGrowth*p.config.PollGrowth)) / math.Sqrt2
	information := 0.0
	for _, s := range p.roster.selected {
		weights := s.own.familyWeights()
		v := (weights[bounded]+weights[upward]+weights[downward])*boundedWorth*s.observed + weights[scaled]*scaledWorth*s.observed +
			(weights[spread]+weights[observed])*s.observed
		information += 1 / (v + 1e-20)
	}
	return math.Cbrt(gain * gain * gain * gain / (information * math.Exp(p.wander)))
}

// residualDeviation is the usual size of the innovations of the source fed
// last.
func (p *polling) residualDeviation() float64 {
	if s := p.roster.find(p.joint.fedBy); s != nil {
		return math.Sqrt(s.observed)
	}
	return 0
}

// interval is the shortest poll interval of the selected sources, s.
func (p *polling) interval() float64 {
	least := mostPoll
	for _, s := range p.roster.selected {
		least = min(least, p.pollOf(s))
	}
	return math.Exp2(float64(least))
}
