package discipline

import (
	"cmp"
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
	// may vote: of the interval it is really asked in, too. Where intervals
	// have just become shorter, those who were not asked since are not silent.
	staleAfter = 8
	// longestTick is after how long without a tick we were not running, s.
	longestTick = 5.0
	// gathering is how long after the first answer we wait for a majority of
	// all sources, s, not only of those that have answered.
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
	d.enfranchise(voters)
	lo, hi, agree := d.intersection(voters, at)
	all := d.electorate(voters, at)
	d.voices = all
	needed := all/2 + 1
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
	d.voting = d.voting[:0]
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
		half := intervalDeviations*s.own.deviation(at-s.own.at) + d.reach(s, at)
		s.interval.lo, s.interval.hi = x-half, x+half
		d.voting = append(d.voting, s)
	}
	return d.voting
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
	case s.reach == 0 || at-s.lastAt-s.excused-d.stall(at) > staleAfter*max(math.Exp2(float64(d.pollOf(s))), s.granted):
		return Unreachable
	case s.config.NoSelect:
		return Excluded
	case d.reach(s, at) > d.config.MaxDistance:
		return Unusable
	}
	return Selected
}

// stall is for how long the caller has not run: there is a tick each second.
// Sources that could not be asked in that time are not silent, and who is asked
// first after it is no majority.
func (d *Discipline) stall(at float64) float64 {
	if idle := at - d.seconds(d.last.Raw); d.running && idle > longestTick {
		return idle
	}
	return 0
}

// enfranchise decides whose voices count: all voters', or where some are
// trusted only theirs, or where authenticated ones stand beside others
// (AuthMix) only theirs.
func (d *Discipline) enfranchise(voters []*source) {
	trust, authenticated, other := false, false, false
	for _, s := range voters {
		trust = trust || s.config.Trust
		authenticated = authenticated || s.config.Authenticated
		other = other || !s.config.Authenticated
	}
	mix := d.config.Mode == AuthMix && authenticated && other
	for _, s := range voters {
		s.counts = !trust && !mix || trust && s.config.Trust || mix && s.config.Authenticated
	}
}

// electorate returns of how many voices a majority is needed: those of the
// voters that count, and after a start or gap of all that may still answer.
func (d *Discipline) electorate(voters []*source, at float64) int {
	n := 0
	for _, s := range voters {
		if s.counts {
			n++
		}
	}
	for _, s := range d.sources {
		if s.state == Unusable && !s.refused && !s.config.NoSelect && s.verdict == Accepted && at <= max(d.gather, s.awaited) {
			n++
		}
	}
	return n
}

// intersection returns the interval in which most of the counting voters'
// intervals overlap, and how many do. Of several such intervals it takes the
// one nearest to where we are: a selection that could as well be another must
// not move the clock.
func (d *Discipline) intersection(voters []*source, at float64) (lo, hi float64, most int) {
	here, nearest := 0.0, 0.0
	if d.joint.started {
		here, _ = d.joint.estimate(at)
	}
	for _, s := range voters { // the best overlap begins at some lower edge
		if !s.counts {
			continue
		}
		from, upTo, depth := s.interval.lo, math.Inf(1), 0
		for _, o := range voters {
			if o.counts && o.interval.lo <= from && o.interval.hi >= from {
				depth++
				upTo = min(upTo, o.interval.hi)
			}
		}
		away := upTo - from
		if d.joint.started {
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
func (d *Discipline) dropInconsistent(at float64) {
	for most := (len(d.selected) - 1) / 2; most > 0 && len(d.selected) > 3; most-- {
		worst, excess := -1, float64(inconsistency)
		for i := range d.selected {
			if e := d.disagreement(i, at); e > excess {
				worst, excess = i, e
			}
		}
		if worst < 0 {
			return
		}
		d.selected[worst].state = Inconsistent
		d.selected = slices.Delete(d.selected, worst, worst+1)
	}
}

// disagreement returns how many deviations a selected source is from the
// median of the others.
func (d *Discipline) disagreement(i int, at float64) float64 {
	s := d.selected[i]
	d.opinions = d.opinions[:0]
	for _, o := range d.selected {
		if o != s {
			x, _ := o.own.estimate(at)
			d.opinions = append(d.opinions, opinion{x, d.scatter(o, at)})
		}
	}
	slices.SortFunc(d.opinions, func(a, b opinion) int { return cmp.Compare(a.x, b.x) })
	low, high := d.opinions[(len(d.opinions)-1)/2], d.opinions[len(d.opinions)/2]
	x, _ := s.own.estimate(at)
	return math.Abs(x-(low.x+high.x)/2) / math.Hypot(d.scatter(s, at), max(low.scatter, high.scatter))
}

// opinion is a source's estimate with its deviation from the truth.
type opinion struct{ x, scatter float64 }

// scatter is the deviation of a source's estimate from the truth.
func (d *Discipline) scatter(s *source, at float64) float64 {
	return math.Hypot(s.own.deviation(at-s.own.at), s.asymmetry())
}

// asymmetry is the deviation of what a source's path, and those above it, add
// to its offset unseen.
func (s *source) asymmetry() float64 {
	return asymmetryPart*(s.floor()+2*s.upstream()) + 1e-9
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
	margin := leftDeviations*d.joint.deviation(max(at-d.joint.at, 0)) + d.config.MinDispersion
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
