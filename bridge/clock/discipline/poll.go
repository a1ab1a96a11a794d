package discipline

import (
	"math"
	"time"
)

// Polling.
const (
	// burst requests come burstInterval seconds apart at the start; then
	// intervals double up to the poll interval.
	burst         = 4
	burstInterval = 2.05
	// leastInterval is what no two requests to a source are closer than, s.
	leastInterval = 2.0
	// spreadPolls is the part by which intervals vary, so that clients do not
	// fall into step.
	spreadPolls = 0.04
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

// Next says that a request was just sent to a source, and returns when to
// send the next one. random is uniform in [0, 1).
func (d *Discipline) Next(id SourceID, random float64) time.Duration {
	s := d.find(id)
	if s == nil || s.refused {
		return time.Duration(math.MaxInt64)
	}
	s.sent++
	interval := math.Exp2(float64(d.pollOf(s)))
	switch {
	case s.paused:
		s.paused = false
		interval *= 2
	case s.sent < burst:
		interval = min(interval, burstInterval)
	case s.replies > 0 && s.sent < mostPoll:
		interval = min(interval, math.Exp2(float64(s.sent-2)))
	}
	interval *= 1 - spreadPolls/2 + spreadPolls*min(max(random, 0), 1)
	s.granted = max(interval, leastInterval)
	return time.Duration(s.granted * 1e9)
}

// pollOf returns a source's poll interval, log2 s.
func (d *Discipline) pollOf(s *source) int {
	least := max(s.config.MinPoll, s.leastNow)
	return min(max(d.poll, least), max(s.config.MaxPoll, least))
}

// adaptPoll chooses the longest interval after which the estimate is hardly
// worse than after a sample. How the present estimate's error will grow would
// say it too, but that differs from sample to sample, and leads itself astray:
// after some long intervals longer ones look harmless. So the wander and the
// noise decide, which are averages. Down at once, up slowly.
func (d *Discipline) adaptPoll() {
	least, most := mostPoll, leastPoll
	for _, s := range d.selected {
		least, most = min(least, s.config.MinPoll), max(most, s.config.MaxPoll)
	}
	if least >= most {
		d.poll = least
		return
	}
	d.restless()
	if math.Abs(d.residual) > alarming*math.Hypot(d.tracking(d.interval()), d.residualDeviation()) {
		d.poll, d.patience = max(d.poll-1, least), 0
		return
	}
	allowed := least
	if longest := math.Round(math.Log2(d.longest())); longest > float64(least) {
		allowed = int(min(longest, float64(most)))
	}
	switch {
	case allowed < d.poll:
		d.poll, d.patience = allowed, 0
	case allowed == d.poll:
		d.patience = 0
	default:
		if d.patience++; d.patience >= pollPatience {
			d.poll, d.patience = d.poll+1, 0
		}
	}
}

// restless follows how much the oscillator wanders, on the average of what the
// hypotheses say, in logarithms.
func (d *Discipline) restless() {
	sum := 0.0
	for _, m := range d.joint.members {
		w, drift := m.wander.frequency, m.wander.drift*driftTime
		sum += m.share * math.Log(w*w+drift*drift/8)
	}
	if d.polls++; d.polls > wanderMemory {
		d.polls = wanderMemory
	}
	d.wander += (sum - d.wander) / float64(d.polls)
}

// longest is the interval after which the error of a stationary filter is by
// the allowed factor larger than after a sample, s. It depends on one number,
// wander*interval^1.5/noise, by the theory of two states at small gain.
func (d *Discipline) longest() float64 {
	gain := (1 - 1/(d.config.PollGrowth*d.config.PollGrowth)) / math.Sqrt2
	information := 0.0
	for _, s := range d.selected {
		weights := s.own.familyWeights()
		v := weights[bounded]*boundedWorth*s.observed + weights[scaled]*scaledWorth*s.observed + (weights[spread]+weights[observed])*s.observed
		information += 1 / (v + 1e-20)
	}
	return math.Cbrt(gain * gain * gain * gain / (information * math.Exp(d.wander)))
}

// residualDeviation is the usual size of the innovations of the source fed
// last.
func (d *Discipline) residualDeviation() float64 {
	if s := d.find(d.fedBy); s != nil {
		return math.Sqrt(s.observed)
	}
	return 0
}

// RateLimited obeys a kiss-o'-death RATE, verified by the caller: at least one
// step longer intervals for the rest of the run, and a pause now.
func (d *Discipline) RateLimited(id SourceID) {
	if s := d.find(id); s != nil {
		s.leastNow = min(d.pollOf(s)+1, mostPoll)
		s.paused = true
		s.sent = mostPoll // no burst
	}
}

// Denied obeys a kiss-o'-death DENY or RSTR: the source is not asked again.
func (d *Discipline) Denied(id SourceID, now Instant) {
	if s := d.find(id); s != nil {
		s.refused = true
		s.state = Unusable
		if d.begun {
			d.choose(d.seconds(now))
		}
	}
}
