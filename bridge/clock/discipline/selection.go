package discipline

import (
	"cmp"
	"math"
	"slices"
)

// Constants of selection.
const (
	// intervalDeviations widen a source's interval by its estimate's error.
	intervalDeviations = 3
	// staleAfter is for how many poll intervals without a sample a source
	// may vote: of the interval it is really asked in, too. Where intervals
	// have just become shorter, those who were not asked since are not silent.
	staleAfter = 8
	// longestTick is after how long without a tick we were not running, s.
	longestTick = 5.0
	// gathering is how long after the first answer we wait for a majority of
	// all sources, s, not only of those that have answered.
	gathering = 10.0
	// inconsistency is how many deviations from the others' median are too
	// many.
	inconsistency = 4
)

// selection decides which sources are followed.
type selection struct {
	config  *Config
	roster  *roster
	polling *polling
	joint   *jointFilter

	ticking    bool      // there was a tick
	ticked     float64   // s: when
	gather     float64   // s: until when a majority of all sources is awaited
	held       bool      // answers, but no majority
	counted    int       // of how many a majority is needed
	candidates []*source // that may be selected now
	opinions   []opinion // scratch
}

// choose selects the sources to be followed at a time, and returns what they
// agree on. Without a strict majority nothing is selected.
func (c *selection) choose(at float64) (lo, hi float64) {
	c.admit(at)
	for i := range c.roster.selected {
		c.roster.selected[i] = nil
	}
	c.roster.selected = c.roster.selected[:0]
	c.weigh()
	lo, hi, agree := c.intersection(at)
	c.counted = c.expected(at)
	if 2*agree <= c.counted {
		c.held = true
		for _, s := range c.candidates {
			s.state = Falseticker
		}
		return lo, hi
	}
	for _, s := range c.candidates {
		s.state = Falseticker
		if s.interval.lo <= hi && s.interval.hi >= lo {
			s.state = Selected
			c.roster.selected = append(c.roster.selected, s)
		}
	}
	c.dropInconsistent(at)
	c.dropNotPreferred()
	if len(c.roster.selected) < c.config.MinSources || !c.requirementsMet() {
		c.roster.selected = c.roster.selected[:0]
	}
	c.held = len(c.roster.selected) == 0
	return lo, hi
}

// admit finds the candidates, with their intervals.
func (c *selection) admit(at float64) {
	c.candidates = c.candidates[:0]
	authenticated, plain := false, false
	for _, s := range c.roster.sources {
		s.state = c.usable(s, at)
		if s.state == Selected {
			authenticated = authenticated || s.config.Authenticated
			plain = plain || !s.header.Smeared
		}
	}
	for _, s := range c.roster.sources {
		if s.state != Selected {
			continue
		}
		mode := c.config.Mode
		if !s.config.Authenticated && (mode == AuthRequire || mode == AuthPrefer && authenticated) || plain && s.header.Smeared {
			s.state = Excluded
			continue
		}
		x, _ := s.own.estimate(at)
		half := intervalDeviations*s.own.deviation(at-s.own.at) + c.reach(s, at)
		s.interval.lo, s.interval.hi = x-half, x+half
		c.candidates = append(c.candidates, s)
	}
}

// reach is how far from the truth a source's estimate may be, beside its
// deviation.
func (c *selection) reach(s *source, at float64) float64 {
	return s.floor()/2 + s.upstream() + c.config.Drift*max(at-s.lastAt, 0)
}

// usable returns Selected for a source that may vote.
func (c *selection) usable(s *source, at float64) SelectState {
	switch {
	case s.refused || s.count == 0 || s.verdict != Accepted:
		return Unusable
	case s.reach == 0 || at-s.lastAt-s.excused-c.stall(at) > staleAfter*max(math.Exp2(float64(c.polling.pollOf(s))), s.granted):
		return Unreachable
	case s.config.NoSelect:
		return Excluded
	case c.reach(s, at) > c.config.MaxDistance:
		return Unusable
	}
	return Selected
}

// stall is for how long the caller has not run: there is a tick each second.
// Sources that could not be asked in that time are not silent, and who is asked
// first after it is no majority.
func (c *selection) stall(at float64) float64 {
	if idle := at - c.ticked; c.ticking && idle > longestTick {
		return idle
	}
	return 0
}

// weigh decides which candidates count for the majority: all, or where some are
// trusted only they, or where authenticated ones stand beside others (AuthMix)
// only they.
func (c *selection) weigh() {
	trust, authenticated, other := false, false, false
	for _, s := range c.candidates {
		trust = trust || s.config.Trust
		authenticated = authenticated || s.config.Authenticated
		other = other || !s.config.Authenticated
	}
	mix := c.config.Mode == AuthMix && authenticated && other
	for _, s := range c.candidates {
		s.counts = !trust && !mix || trust && s.config.Trust || mix && s.config.Authenticated
	}
}

// expected returns of how many a majority is needed: of the candidates that
// count, and after a start or gap of all that may still answer.
func (c *selection) expected(at float64) int {
	n := 0
	for _, s := range c.candidates {
		if s.counts {
			n++
		}
	}
	for _, s := range c.roster.sources {
		if s.state == Unusable && !s.refused && !s.config.NoSelect && s.verdict == Accepted && at <= max(c.gather, s.awaited) {
			n++
		}
	}
	return n
}

// intersection returns the interval in which most of the counting candidates'
// intervals overlap, and how many do. Of several such intervals it takes the
// one nearest to where we are: a selection that could as well be another must
// not move the clock.
func (c *selection) intersection(at float64) (lo, hi float64, most int) {
	here, nearest := 0.0, 0.0
	if c.joint.started {
		here, _ = c.joint.estimate(at)
	}
	for _, s := range c.candidates { // the best overlap begins at some lower edge
		if !s.counts {
			continue
		}
		from, upTo, depth := s.interval.lo, math.Inf(1), 0
		for _, o := range c.candidates {
			if o.counts && o.interval.lo <= from && o.interval.hi >= from {
				depth++
				upTo = min(upTo, o.interval.hi)
			}
		}
		away := upTo - from
		if c.joint.started {
			away = max(from-here, here-upTo, 0)
		}
		if depth > most || depth == most && away < nearest {
			lo, hi, most, nearest = from, upTo, depth, away
		}
	}
	return lo, hi, most
}

// dropInconsistent drops sources whose estimate is farther from the median of
// the others than asymmetry and noise explain, the worst first. Those who
// judge are at least three, and most of those that agreed stay.
func (c *selection) dropInconsistent(at float64) {
	for most := (len(c.roster.selected) - 1) / 2; most > 0 && len(c.roster.selected) > 3; most-- {
		worst, excess := -1, float64(inconsistency)
		for i := range c.roster.selected {
			if e := c.disagreement(i, at); e > excess {
				worst, excess = i, e
			}
		}
		if worst < 0 {
			return
		}
		c.roster.selected[worst].state = Inconsistent
		c.roster.selected = slices.Delete(c.roster.selected, worst, worst+1)
	}
}

// disagreement returns how many deviations a selected source is from the
// median of the others.
func (c *selection) disagreement(i int, at float64) float64 {
	s := c.roster.selected[i]
	c.opinions = c.opinions[:0]
	for _, o := range c.roster.selected {
		if o != s {
			x, _ := o.own.estimate(at)
			c.opinions = append(c.opinions, opinion{x, c.scatter(o, at)})
		}
	}
	slices.SortFunc(c.opinions, func(a, b opinion) int { return cmp.Compare(a.x, b.x) })
	low, high := c.opinions[(len(c.opinions)-1)/2], c.opinions[len(c.opinions)/2]
	x, _ := s.own.estimate(at)
	return math.Abs(x-(low.x+high.x)/2) / math.Hypot(c.scatter(s, at), max(low.scatter, high.scatter))
}

// scatter is the deviation of a source's estimate from the truth.
func (c *selection) scatter(s *source, at float64) float64 {
	return math.Hypot(s.own.deviation(at-s.own.at), s.asymmetry())
}

// dropNotPreferred keeps preferred sources alone if there are any.
func (c *selection) dropNotPreferred() {
	if !slices.ContainsFunc(c.roster.selected, func(s *source) bool { return s.config.Prefer }) {
		return
	}
	c.roster.selected = slices.DeleteFunc(c.roster.selected, func(s *source) bool {
		if !s.config.Prefer {
			s.state = NotPreferred
		}
		return !s.config.Prefer
	})
}

// requirementsMet tells whether a required source agrees, if any is required;
// beside authenticated sources AuthMix requires one of them.
func (c *selection) requirementsMet() bool {
	required, met := false, false
	for _, s := range c.roster.sources {
		must := s.config.Require || c.config.Mode == AuthMix && s.config.Authenticated
		if must && !s.config.NoSelect {
			required = true
			met = met || s.state == Selected || s.state == NotPreferred
		}
	}
	return met || !required
}
