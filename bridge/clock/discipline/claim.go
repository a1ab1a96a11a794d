package discipline

import (
	"math"
	"slices"
)

// driftDeviations is how many deviations of the frequency the error may grow
// by unseen, if that is more than Config.Drift.
const driftDeviations = 4

// claim is what the bound of the error that is served rests on.
type claim struct {
	config     *Config
	joint      *jointFilter
	survivors  []*source // the sources last selected
	candidates []*source // that counted then
	counted    int       // of how many a majority was needed: some may not have answered yet
	bounds     []float64 // scratch
}

// growth is how fast the error may grow without our seeing it.
func (c *claim) growth() float64 {
	return max(c.config.Drift, driftDeviations*math.Sqrt(c.joint.yVar), c.youngGrowth())
}

// youngGrowth is what the first samples leave open of an oscillator of which
// nothing was known before: the prior is for usual ones. What bounds the error
// at two times bounds the frequency between them.
func (c *claim) youngGrowth() float64 {
	if c.joint.restored {
		return 0
	}
	least := c.config.MaxDrift
	for _, s := range c.survivors {
		if s.veteran {
			return 0
		}
		if y, bound, ok := s.slope(); ok {
			least = min(least, math.Abs(y-c.joint.y)+bound)
		}
	}
	return least
}

// bound returns how far the joint estimate may be from the truth by one
// source: each of its samples puts the truth into an interval of half the
// delay and the source's own distance, whatever the asymmetry. Its own idea of
// the frequency counts too: where liars drag the estimate along, that of a
// source that tells the truth is the right one.
func (c *claim) bound(s *source, at, x, y float64) float64 {
	growth := max(c.growth(), c.config.Drift+math.Abs(s.own.y-y))
	least := math.Inf(1)
	for i := max(0, s.count-recentSamples); i < s.count; i++ {
		k := &s.recent[i%recentSamples]
		age := max(at-k.at, 0)
		least = min(least, math.Abs(x-y*age-k.sample.offset)+k.distance+growth*age)
	}
	return max(least, s.floor()/2+s.upstream())
}

// renew lets the claim rest on those who count now: also on the ones that did
// not agree. Where some are preferred the operator wants it to be theirs: but
// not before they have said enough, not where they have no say themselves, and
// not where another majority is against them, for theirs is made of those whose
// word is wide then.
func (c *claim) renew(selected, candidates []*source, counted int) {
	c.survivors, c.candidates, c.counted = append(c.survivors[:0], selected...), c.candidates[:0], counted
	preferred := slices.ContainsFunc(selected, func(s *source) bool { return s.config.Prefer && s.counts && s.veteran }) &&
		!disputed(candidates, counted)
	for _, s := range candidates {
		if s.counts && (!preferred || s.config.Prefer && s.state == Selected) {
			c.candidates = append(c.candidates, s)
		}
	}
	if len(c.candidates) == 0 {
		c.candidates = append(c.candidates, selected...)
	}
}

// disputed tells whether one that disagrees has a majority on its side as well.
func disputed(candidates []*source, counted int) bool {
	for _, s := range candidates {
		if s.state != Falseticker || !s.counts {
			continue
		}
		n := 0
		for _, o := range candidates {
			if o.counts && o.interval.lo <= s.interval.hi && o.interval.hi >= s.interval.lo {
				n++
			}
		}
		if 2*n > counted {
			return true
		}
	}
	return false
}

// forget drops a source, but not the last one: what is claimed rests on it.
func (c *claim) forget(id SourceID) {
	if len(c.survivors) > 1 {
		c.survivors = without(c.survivors, id)
	}
	if len(c.candidates) > 1 {
		c.candidates = without(c.candidates, id)
	}
}

// error returns how far the estimate may be from the truth if up to half of the
// candidates lie, near enough to the others not to be found out: of the half+1
// smallest bounds the greatest is at least that of one that tells the truth.
func (c *claim) error(at, x, y float64) float64 {
	c.bounds = c.bounds[:0]
	for _, s := range c.candidates {
		c.bounds = append(c.bounds, c.bound(s, at, x, y))
	}
	slices.Sort(c.bounds)
	return c.bounds[min(max(c.counted, len(c.bounds))/2, len(c.bounds)-1)]
}
