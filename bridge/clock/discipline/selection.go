package discipline

import (
	"math"
	"slices"

	"ntsbridge/bridge/ntp"
)

// SelectState is what selection thinks of a source.
type SelectState uint8

// The states, worst first.
const (
	Unusable     SelectState = iota // no valid sample yet, refused, or its last words disqualify it
	Unreachable                     // eight requests without an answer, or too old
	Excluded                        // by noselect, by the mode for authentication, smeared among plain ones
	Falseticker                     // outside of what the majority agrees on
	Inconsistent                    // inside, but too far from the others for its distance
	NotPreferred                    // good, but others are preferred
	Selected
)

var stateNames = [...]string{"unusable", "unreachable", "excluded", "falseticker", "inconsistent", "not preferred", "selected"}

// String returns the state in words.
func (s SelectState) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return "state?"
}

// Constants of selection.
const (
	// intervalDeviations widen a source's interval by its estimate's error.
	intervalDeviations = 3
	// staleAfter is for how many poll intervals without a sample a source
	// may vote.
	staleAfter = 8
	// gathering is how long after the first request we wait for a majority
	// of all sources, s, not only of those that have answered.
	gathering = 10.0
	// asymmetryPart is the deviation of the unknown asymmetry of a path, as a
	// part of its least delay. Half of the delay is the limit; measured paths
	// in the internet have a few percent of it.
	asymmetryPart = 0.05
	// inconsistency is how many deviations from the others' median are too
	// many.
	inconsistency = 4
	// leftDeviations is how far the joint estimate may be outside of what the
	// majority agrees on before it is started anew.
	leftDeviations = 5
)

// choose selects the sources to be followed at a time. Without a strict
// majority nothing is selected.
func (d *Discipline) choose(at float64) {
	voters := d.voters(at)
	for i := range d.selected {
		d.selected[i] = nil
	}
	d.selected = d.selected[:0]
	lo, hi, agree := intersection(voters, d.trusted(voters))
	needed := d.electorate(voters, at)/2 + 1
	if agree < needed {
		d.held = true
		for _, s := range voters {
			s.state = Falseticker
		}
		return
	}
	for _, s := range voters {
		s.state = Falseticker
		if s.interval.lo <= hi && s.interval.hi >= lo {
			s.state = Selected
			d.selected = append(d.selected, s)
		}
	}
	d.dropInconsistent(at)
	d.dropNotPreferred()
	if len(d.selected) < d.config.MinSources || !d.requirementsMet() {
		d.selected = d.selected[:0]
	}
	d.held = len(d.selected) == 0
	if d.joint.started && !d.held {
		d.confine(at, lo, hi)
	}
}

// voters returns the sources that may vote, with their intervals.
func (d *Discipline) voters(at float64) []*source {
	d.scratch = d.scratch[:0]
	authenticated, plain := false, false
	for _, s := range d.sources {
		s.state = d.usable(s, at)
		if s.state == Selected {
			authenticated = authenticated || s.config.Authenticated
			plain = plain || !s.header.Smeared
		}
	}
	for _, s := range d.sources {
		if s.state != Selected {
			continue
		}
		mode := d.config.Mode
		if !s.config.Authenticated && (mode == AuthRequire || mode == AuthPrefer && authenticated) || plain && s.header.Smeared {
			s.state = Excluded
			continue
		}
		x, _ := s.own.estimate(at)
		half := intervalDeviations*s.own.deviation(-1, at-s.own.at) + d.reach(s, at)
		s.interval.lo, s.interval.hi = x-half, x+half
		d.scratch = append(d.scratch, s)
	}
	return d.scratch
}

// reach is how far from the truth a source's estimate may be, beside its
// deviation.
func (d *Discipline) reach(s *source, at float64) float64 {
	return s.floor()/2 + s.upstream() + d.config.Drift*max(at-s.lastAt, 0)
}

// usable returns Selected for a source that may vote.
func (d *Discipline) usable(s *source, at float64) SelectState {
	switch {
	case s.refused || s.count == 0 || s.verdict != Accepted:
		return Unusable
	case s.reach == 0 || at-s.lastAt > staleAfter*math.Exp2(float64(d.pollOf(s))):
		return Unreachable
	case s.config.NoSelect:
		return Excluded
	case d.reach(s, at) > d.config.MaxDistance:
		return Unusable
	}
	return Selected
}

// trusted tells whether only trusted voters count: some are configured so, or
// authenticated ones have unauthenticated ones beside them (AuthMix).
func (d *Discipline) trusted(voters []*source) func(*source) bool {
	trust, authenticated, other := false, false, false
	for _, s := range voters {
		trust = trust || s.config.Trust
		authenticated = authenticated || s.config.Authenticated
		other = other || !s.config.Authenticated
	}
	mix := d.config.Mode == AuthMix && authenticated && other
	if !trust && !mix {
		return func(*source) bool { return true }
	}
	return func(s *source) bool { return trust && s.config.Trust || mix && s.config.Authenticated }
}

// electorate returns of how many voices a majority is needed: those of the
// voters that count, and at the start of all that may still answer.
func (d *Discipline) electorate(voters []*source, at float64) int {
	counts := d.trusted(voters)
	n := 0
	for _, s := range voters {
		if counts(s) {
			n++
		}
	}
	if d.joint.started || at > gathering {
		return n
	}
	waiting := 0
	for _, s := range d.sources {
		if s.state == Unusable && !s.refused && !s.config.NoSelect && s.verdict == Accepted {
			waiting++
		}
	}
	return n + waiting
}

// intersection returns the interval in which most of the counting voters'
// intervals overlap, and how many do.
func intersection(voters []*source, counts func(*source) bool) (lo, hi float64, most int) {
	for _, s := range voters { // the best overlap begins at some lower edge
		if !counts(s) {
			continue
		}
		depth, upper := 0, math.Inf(1)
		for _, o := range voters {
			if counts(o) && o.interval.lo <= s.interval.lo && o.interval.hi >= s.interval.lo {
				depth++
				upper = min(upper, o.interval.hi)
			}
		}
		if depth > most || depth == most && upper-s.interval.lo < hi-lo {
			lo, hi, most = s.interval.lo, upper, depth
		}
	}
	return lo, hi, most
}

// dropInconsistent drops sources whose estimate is farther from the median of
// the others than asymmetry and noise explain. It needs four, so that those
// who judge are three.
func (d *Discipline) dropInconsistent(at float64) {
	if len(d.selected) < 4 {
		return
	}
	var xs []float64
	d.selected = slices.DeleteFunc(d.selected, func(s *source) bool {
		xs = xs[:0]
		least := math.Inf(1)
		for _, o := range d.selected {
			if o != nil && o != s {
				x, _ := o.own.estimate(at)
				xs = append(xs, x)
				least = min(least, d.scatter(o, at))
			}
		}
		if len(xs) < 3 {
			return false
		}
		slices.Sort(xs)
		x, _ := s.own.estimate(at)
		median := (xs[len(xs)/2] + xs[(len(xs)-1)/2]) / 2
		if math.Abs(x-median) <= inconsistency*math.Hypot(d.scatter(s, at), least) {
			return false
		}
		s.state = Inconsistent
		return true
	})
}

// scatter is the deviation of a source's estimate from the truth.
func (d *Discipline) scatter(s *source, at float64) float64 {
	return math.Hypot(s.own.deviation(-1, at-s.own.at), asymmetryPart*s.floor()) + s.upstream()
}

// dropNotPreferred keeps preferred sources alone if there are any.
func (d *Discipline) dropNotPreferred() {
	if !slices.ContainsFunc(d.selected, func(s *source) bool { return s.config.Prefer }) {
		return
	}
	d.selected = slices.DeleteFunc(d.selected, func(s *source) bool {
		if !s.config.Prefer {
			s.state = NotPreferred
		}
		return !s.config.Prefer
	})
}

// requirementsMet tells whether a required source agrees, if any is required;
// beside authenticated sources AuthMix requires one of them.
func (d *Discipline) requirementsMet() bool {
	required, met := false, false
	for _, s := range d.sources {
		must := s.config.Require || d.config.Mode == AuthMix && s.config.Authenticated
		if must && !s.config.NoSelect {
			required = true
			met = met || s.state == Selected || s.state == NotPreferred
		}
	}
	return met || !required
}

// confine starts the joint filter anew when it has left what the majority
// agrees on: it then follows something that is gone.
func (d *Discipline) confine(at, lo, hi float64) {
	x, _ := d.joint.estimate(at)
	margin := leftDeviations*d.joint.deviation(-1, max(at-d.joint.at, 0)) + d.config.MinDispersion
	if x+margin >= lo && x-margin <= hi {
		return
	}
	d.event(EventEstimateLeft, max(lo-x, x-hi))
	d.restartJoint()
}

// leapVote returns what a strict majority of the selected sources announces.
func (d *Discipline) leapVote() ntp.Leap {
	var votes [4]int
	for _, s := range d.selected {
		votes[s.leap()&3]++
	}
	for _, l := range []ntp.Leap{ntp.LeapInsert, ntp.LeapDelete} {
		if 2*votes[l] > len(d.selected) {
			return l
		}
	}
	return ntp.LeapNone
}
