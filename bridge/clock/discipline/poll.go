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
// worse than now: the filter knows how its error will grow. Down at once, up
// slowly.
func (d *Discipline) adaptPoll() {
	least, most := mostPoll, leastPoll
	for _, s := range d.selected {
		least, most = min(least, s.config.MinPoll), max(most, s.config.MaxPoll)
	}
	if least >= most {
		d.poll = least
		return
	}
	now := d.tracking(0)
	if math.Abs(d.residual) > alarming*math.Hypot(d.tracking(d.interval()), d.residualDeviation()) {
		d.poll, d.patience = max(d.poll-1, least), 0
		return
	}
	allowed := least
	for allowed < most && d.tracking(math.Exp2(float64(allowed+1))) <= d.config.PollGrowth*now {
		allowed++
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
