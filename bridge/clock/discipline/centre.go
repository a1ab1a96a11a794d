package discipline

import "math"

// What all paths' biases have in common no sample can tell from the clock's own
// error. The filter leaves it where it started, at the mean of its first
// sources; sources that come, go, change their routes or lie for a while leave
// their marks on it. This file leads it back, slowly, to where the biases of
// the paths in use are most plausible together.

const (
	// centreTime is the time in which the common part is led back, s: an error
	// of 1 ms goes at 0.3 ppm, and no source that comes or goes is felt.
	centreTime = 3600.0
	// doubtful is from how many deviations on a bias counts linearly and no
	// longer with its square. Most paths are far more symmetric than the few
	// that are not, so that of three sources two that agree are right.
	doubtful = 0.3
)

// recentre moves phase and biases against each other, so that every path
// measures what it measured before.
func (j *jointFilter) recentre(at float64) {
	dt := at - j.at
	if !(dt > 0) || len(j.slots) < 2 {
		return
	}
	shift := j.centre() * (1 - math.Exp(-dt/centreTime))
	if shift == 0 {
		return
	}
	for _, m := range j.members {
		m.mean[phase] += shift
		for i := range j.slots {
			m.mean[clockLen+i] -= shift
		}
	}
	j.x += shift
}

// centre returns where the biases of the paths in use are centred: their mean,
// weighted by how symmetric each is thought to be, or with three sources and
// more a mean that single large ones hardly move.
func (j *jointFilter) centre() float64 {
	j.leanings = j.leanings[:0]
	for _, s := range j.roster.sources {
		if s.state != Selected && s.state != NotPreferred && s.state != Unreachable {
			continue
		}
		if l := j.leaning(s); l.weight > 0 {
			j.leanings = append(j.leanings, l)
		}
	}
	return centreOf(j.leanings)
}

// leaning returns that of a source's path of which more is thought to be known:
// after a change of the route that is usually the one before it.
func (j *jointFilter) leaning(s *source) (best leaning) {
	for _, p := range []*path{s.path, s.former} {
		if p == nil || p.slot < 0 {
			continue
		}
		if w := 1 / j.members[0].prior[p.slot]; w > best.weight {
			best = leaning{j.bias(p.slot), w}
		}
	}
	return best
}

// leaning is a path's bias with the inverse of its variance as far as one knows
// without samples.
type leaning struct{ bias, weight float64 }

// Steps of centreOf: some to the minimum of Huber's function, which is convex
// and so leaves no choice, then a few more for which what is far away counts
// less and less.
const (
	convexSteps = 8
	laterSteps  = 3
)

// centreOf returns the weighted mean of one or two, and a robust one of more.
func centreOf(list []leaning) float64 {
	c := 0.0
	for i := range 1 + convexSteps + laterSteps {
		sum, total := 0.0, 0.0
		for _, l := range list {
			w := l.weight
			switch away := math.Abs(l.bias-c) * math.Sqrt(l.weight) / doubtful; {
			case i > convexSteps:
				w /= 1 + away*away
			case i > 0 && away > 1:
				w /= away
			}
			sum += w * l.bias
			total += w
		}
		if total == 0 {
			return 0
		}
		if c = sum / total; len(list) < 3 {
			break
		}
	}
	return c
}
