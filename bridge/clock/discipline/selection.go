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
	// agreedDrift widens it with the time since its last sample, s/s, beside
	// what its own filter expects (chrony's maxclockerror). The drift that a
	// claim must allow for is no measure here: after a poll of 1024 s the
	// words of all would hold for 15 ms, and the few who were asked since
	// would be right whatever they say.
	agreedDrift = 1e-6
	// vague is by which factor what is unknown of a source's estimate must exceed
	// that of the median one for it to be no judge of the others.
	vague = 10
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
	held       bool      // nobody may be followed
	why        Rule      // then
	counted    int       // of how many a majority is needed
	candidates []*source // that may be selected now
	borders    []border  // scratch
	views      []view    // scratch
}

// choose selects the sources to be followed at a time. Without a strict
// majority nothing is selected.
func (c *selection) choose(at float64) {
	c.admit(at)
	for i := range c.roster.selected {
		c.roster.selected[i] = nil
	}
	c.roster.selected = c.roster.selected[:0]
	outvoted := c.weigh()
	lo, hi, agree := c.intersection(at)
	c.counted = c.expected(at)
	if 2*agree <= c.counted {
		c.hold(NoMajority)
		for _, s := range c.candidates {
			s.state, s.rule = Falseticker, NoMajority
		}
		return
	}
	for _, s := range c.candidates {
		s.state, s.rule = Falseticker, outvoted
		if s.interval.lo <= hi && s.interval.hi >= lo {
			s.state, s.rule = Selected, NoRule
			c.roster.selected = append(c.roster.selected, s)
		}
	}
	c.dropInconsistent(at)
	c.dropNotPreferred(at, lo, hi)
	c.held, c.why = false, NoRule
	switch {
	case !c.requirementsMet():
		c.hold(RequiredMissing)
	case len(c.roster.selected) < c.config.MinSources:
		c.hold(TooFew)
	}
}

// support returns how many candidates that count have x in their intervals,
// more or less a margin.
func (c *selection) support(x, margin float64) int {
	n := 0
	for _, s := range c.candidates {
		if s.counts && x+margin >= s.interval.lo && x-margin <= s.interval.hi {
			n++
		}
	}
	return n
}

// hold selects nobody.
func (c *selection) hold(why Rule) {
	c.held, c.why = true, why
	if len(c.candidates) == 0 {
		c.why = NobodyUsable
	}
	c.roster.selected = c.roster.selected[:0]
}

// admit finds the candidates, with their intervals.
func (c *selection) admit(at float64) {
	c.candidates = c.candidates[:0]
	authenticated, _ := c.kinds()
	plain := false
	for _, s := range c.roster.sources {
		if s.state, s.rule = c.usable(s, at); s.state == Selected {
			plain = plain || !s.header.Smeared
		}
	}
	for _, s := range c.roster.sources {
		if s.state != Selected {
			continue
		}
		if s.rule = c.excluded(s, authenticated, plain); s.rule != NoRule {
			s.state = Excluded
			continue
		}
		x, _ := s.own.estimate(at)
		half := intervalDeviations*s.own.deviation(at-s.own.at) + s.floor()/2 + s.upstream() + agreedDrift*max(at-s.lastAt, 0)
		s.interval.lo, s.interval.hi = x-half, x+half
		c.candidates = append(c.candidates, s)
	}
}

// excluded returns the rule by which a usable source is no candidate, beside
// configured ones that are authenticated, or usable ones that do not smear. As
// chronyd has it those that are authenticated need not answer: who can keep
// them from it must not choose whom we follow.
func (c *selection) excluded(s *source, authenticated, plain bool) Rule {
	mode := c.config.Mode
	switch {
	case s.open() && (mode == AuthRequire || mode == AuthPrefer && authenticated):
		return ByMode
	case plain && s.header.Smeared:
		return BySmear
	}
	return NoRule
}

// reach is how far from the truth a source's estimate may be, beside its
// deviation.
func (c *selection) reach(s *source, at float64) float64 {
	return s.floor()/2 + s.upstream() + c.config.Drift*max(at-s.lastAt, 0)
}

// usable returns Selected for a source that may be a candidate.
func (c *selection) usable(s *source, at float64) (SelectState, Rule) {
	switch {
	case s.refused || s.count == 0 || s.verdict != Accepted:
		return Unusable, NoRule
	case s.reach == 0 || at-s.lastAt-s.excused-c.stall(at) > staleAfter*max(math.Exp2(float64(c.polling.pollOf(s))), s.granted):
		return Unreachable, NoRule
	case s.config.NoSelect:
		return Excluded, ByOption
	case c.reach(s, at) > c.config.MaxDistance:
		return Unusable, NoRule
	}
	return Selected, NoRule
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

// kinds tells whether servers of the network with and without authentication
// are configured.
func (c *selection) kinds() (authenticated, open bool) {
	for _, s := range c.roster.sources {
		if !s.config.NoSelect {
			authenticated, open = authenticated || s.config.Authenticated, open || s.open()
		}
	}
	return authenticated, open
}

// mixed tells whether there are both, and AuthMix has to keep the one from the
// other.
func (c *selection) mixed() bool {
	authenticated, open := c.kinds()
	return c.config.Mode == AuthMix && authenticated && open
}

// trusted tells whether a source counts before others, where AuthMix has
// servers of both kinds.
func (s *source) trusted(mixed bool) bool { return s.config.Trust || mixed && !s.open() }

// weigh decides which candidates count for the majority: all, or where some are
// trusted only they. It returns the rule by which the others are outvoted.
func (c *selection) weigh() Rule {
	mixed := c.mixed()
	any, named := false, false
	for _, s := range c.candidates {
		any, named = any || s.trusted(mixed), named || s.config.Trust
	}
	for _, s := range c.candidates {
		s.counts = !any || s.trusted(mixed)
	}
	switch {
	case named:
		return ByTrusted
	case any:
		return ByAuthenticated
	}
	return ByMajority
}

// expected returns of how many a majority is needed: of the candidates that
// count, and of those that would and have just no word that holds: after a start
// or gap all that may still answer, and those whose last answer is old, but one
// of the last eight.
func (c *selection) expected(at float64) int {
	n := 0
	for _, s := range c.candidates {
		if s.counts {
			n++
		}
	}
	for _, s := range c.roster.sources {
		awaited := s.state == Unusable && !s.refused && s.verdict == Accepted && at <= max(c.gather, s.awaited)
		late := s.state == Unreachable && s.reach != 0
		if (awaited || late) && !s.config.NoSelect {
			n++
		}
	}
	return n
}

// border is an edge of a candidate's interval.
type border struct {
	x    float64
	ends bool
}

// intersection returns the interval in which most of the counting candidates'
// intervals overlap, and how many do. Of several such intervals it takes the
// one nearest to where we are: a selection that could as well be another must
// not move the clock. Before anything is known it takes the narrowest.
func (c *selection) intersection(at float64) (lo, hi float64, most int) {
	here, nearest := 0.0, 0.0
	if c.joint.started {
		here, _ = c.joint.estimate(at)
	}
	c.borders = c.borders[:0]
	for _, s := range c.candidates {
		if s.counts {
			c.borders = append(c.borders, border{s.interval.lo, false}, border{s.interval.hi, true})
		}
	}
	slices.SortFunc(c.borders, func(a, b border) int {
		if a.x == b.x && a.ends != b.ends { // intervals that touch overlap
			if b.ends {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.x, b.x)
	})
	depth, from := 0, 0.0
	for i, b := range c.borders {
		if !b.ends {
			depth, from = depth+1, b.x
			continue
		}
		if depth >= most && i > 0 && !c.borders[i-1].ends { // the end of an overlap that began last
			away := b.x - from
			if c.joint.started {
				away = max(from-here, here-b.x, 0)
			}
			if depth > most || away < nearest {
				lo, hi, most, nearest = from, b.x, depth, away
			}
		}
		depth--
	}
	return lo, hi, most
}

// dropInconsistent drops sources whose estimate is farther from the median of
// the others than asymmetry and noise explain, the worst first. Those who
// judge are at least three, and most of those that agreed stay. Those who know
// far less than most are no judges: they are only judged.
func (c *selection) dropInconsistent(at float64) {
	if len(c.roster.selected) <= 3 {
		return
	}
	c.views = c.views[:0]
	for _, s := range c.roster.selected {
		x, _ := s.own.estimate(at)
		c.views = append(c.views, view{s, opinion{x, c.scatter(s, at)}})
	}
	slices.SortFunc(c.views, func(a, b view) int { return cmp.Compare(a.scatter, b.scatter) })
	judges := len(c.views)
	for limit := vague * c.views[(judges-1)/2].scatter; c.views[judges-1].scatter > limit; {
		judges--
	}
	vagueOnes := c.views[judges:]
	if c.views = c.views[:judges]; judges >= 3 {
		c.dropWorst()
		for i := range vagueOnes {
			if s := vagueOnes[i].source; c.alien(&vagueOnes[i]) {
				s.state, s.rule = Inconsistent, ByMajority
			}
		}
	}
	c.roster.selected = slices.DeleteFunc(c.roster.selected, func(s *source) bool { return s.state != Selected })
}

// alien tells whether a source that is no judge is too far from their median.
func (c *selection) alien(v *view) bool {
	n := len(c.views)
	low, high := c.views[(n-1)/2], c.views[n/2]
	return math.Abs(v.x-(low.x+high.x)/2) > inconsistency*math.Hypot(v.scatter, max(low.scatter, high.scatter))
}

// dropWorst drops those of the judges that are farther from the others than
// what is unknown of both explains.
func (c *selection) dropWorst() {
	most := (len(c.views) - 1) / 2
	slices.SortFunc(c.views, func(a, b view) int { return cmp.Compare(a.x, b.x) })
	for ; most > 0 && len(c.views) > 3; most-- {
		worst, excess := -1, float64(inconsistency)
		for i := range c.views {
			if e := disagreement(c.views, i); e > excess {
				worst, excess = i, e
			}
		}
		if worst < 0 {
			break
		}
		s := c.views[worst].source
		s.state, s.rule = Inconsistent, ByMajority
		c.views = slices.Delete(c.views, worst, worst+1)
	}
}

// view is the opinion of a source.
type view struct {
	source *source
	opinion
}

// disagreement returns how many deviations a source is from the median of the
// others, of views in order.
func disagreement(views []view, i int) float64 {
	n := len(views) - 1
	other := func(k int) opinion { // the k-th without the i-th
		if k >= i {
			k++
		}
		return views[k].opinion
	}
	low, high := other((n-1)/2), other(n/2)
	return math.Abs(views[i].x-(low.x+high.x)/2) / math.Hypot(views[i].scatter, max(low.scatter, high.scatter))
}

// scatter is the deviation of a source's estimate from the truth.
func (c *selection) scatter(s *source, at float64) float64 {
	return math.Hypot(s.own.deviation(at-s.own.at), s.asymmetry())
}

// dropNotPreferred keeps preferred sources alone if there are any. Beside those
// that are trusted one that is not must say more than that it does not
// contradict them: all of its interval is within theirs (as chrony has it). And
// what it says itself must be what most could say: one that only knows that it
// may be far off is not followed alone to where nobody else is.
func (c *selection) dropNotPreferred(at, lo, hi float64) {
	preferred := func(s *source) bool {
		if !s.config.Prefer || !s.counts && !(s.interval.lo >= lo && s.interval.hi <= hi) {
			return false
		}
		x, _ := s.own.estimate(at)
		return 2*c.support(x, leftDeviations*s.own.deviation(at-s.own.at)+c.config.MinDispersion) > c.counted
	}
	if !slices.ContainsFunc(c.roster.selected, preferred) {
		return
	}
	c.roster.selected = slices.DeleteFunc(c.roster.selected, func(s *source) bool {
		if !preferred(s) {
			s.state = NotPreferred
			return true
		}
		return false
	})
}

// requirementsMet tells whether a required source agrees, if any is required:
// where AuthMix has servers of both kinds, one of those it trusts.
func (c *selection) requirementsMet() bool {
	mixed := c.mixed()
	required, met := false, false
	for _, s := range c.roster.sources {
		if must := s.config.Require || mixed && !s.open(); must && !s.config.NoSelect {
			required = true
			met = met || s.state == Selected || s.state == NotPreferred
		}
	}
	return met || !required
}
