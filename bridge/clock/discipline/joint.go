package discipline

import (
	"cmp"
	"math"
	"slices"
)

// maxSlots bounds the bias states of the joint filter. Paths beyond it are
// measured and vote, but do not feed the filter.
const maxSlots = 32

// biasStrikes is how many samples in a row one source must contradict the
// others before its bias is believed to have changed.
const biasStrikes = 4

// quarrelsome is by how much the variance between a source and the others must
// exceed what their own banks expect before it counts.
const quarrelsome = 4

// reconciled is the weight of a smaller difference in that variance: what is
// over need not be remembered for long.
const reconciled = 1.0 / 8

// startJoint starts the joint filter from the last samples of each selected
// source, in the order of time.
func (d *Discipline) startJoint(each int) {
	d.replay = d.replay[:0]
	for _, s := range d.selected {
		d.replay = s.keptSamples(d.replay, each)
	}
	slices.SortFunc(d.replay, func(a, b keptOf) int { return cmp.Compare(a.at, b.at) })
	d.joint, d.slots = newJointBank(), d.slots[:0]
	for _, s := range d.sources {
		s.path.slot, s.strikes, s.against = -1, 0, 0
		if s.former != nil {
			s.former.slot = -1
		}
	}
	first := &d.replay[0]
	d.joint.start(first.at, first.sample.offset, math.Sqrt(first.sample.half*first.sample.half+first.sample.noise), d.startY, d.startYVar)
	for i, w := range d.priors {
		d.joint.members[i].weight = max(w/2, leastWeight) // half believed: the machine may have changed
	}
	if slot := d.newSlot(first.path, first.source.asymmetry()); slot >= 0 {
		for _, m := range d.joint.members {
			m.confound(slot)
		}
	}
	d.fresh, d.fedAt = true, first.at
	d.joint.average()
	d.track()
	for i := range d.replay[1:] {
		d.feed(d.replay[i+1].source, &d.replay[i+1].kept)
	}
}

// restartJoint starts the joint filter anew from what the selected sources say
// now: from the frequency of the one whose own filter knows it best, and from
// one sample each, because those before may be of another world.
func (d *Discipline) restartJoint() {
	best := d.selected[0]
	for _, s := range d.selected {
		if s.own.yVar < best.own.yVar {
			best = s
		}
	}
	d.startY, d.startYVar = best.own.y, best.own.yVar+1e-14
	d.startJoint(1)
}

// feed gives a sample of a selected source to the joint filter.
func (d *Discipline) feed(s *source, k *kept) {
	slot := k.path.slot
	if slot < 0 {
		if slot = d.newSlot(k.path, s.asymmetry()); slot < 0 {
			return
		}
	}
	weights := s.own.familyWeights()
	z := k.sample
	z.noise += d.quarrel(s, k.at)
	d.recentre(k.at)
	innovation, contradicts := d.joint.observe(k.at, z, slot, &weights)
	if !contradicts {
		s.strikes = 0
	} else {
		d.contradicted(s, k, innovation, &weights)
	}
	d.residual, d.fresh, d.fedAt = innovation, true, k.at
	d.track()
}

// quarrel follows, and returns where it counts, the variance of a source's time
// that its own history does not show but the others' words do: servers of
// lower strata wander by more than their paths' jitter, and the clock must not
// follow each in turn. To the source's own bank that is the oscillator's
// wander; for the joint filter it is noise. It is measured between the sources'
// own banks, so that nothing of it depends on what is then done with it.
func (d *Discipline) quarrel(s *source, at float64) float64 {
	d.opinions = d.opinions[:0]
	if !s.veteran || s.path.slot < 0 {
		return 0
	}
	own := d.unbiased(s, at)
	for _, o := range d.selected {
		if o != s && o.veteran && o.path.slot >= 0 {
			other := d.unbiased(o, at)
			d.opinions = append(d.opinions, opinion{math.Abs(own.x - other.x), math.Hypot(own.scatter, other.scatter)})
		}
	}
	if len(d.opinions) == 0 {
		s.against = 0
		return 0
	}
	slices.SortFunc(d.opinions, func(a, b opinion) int { return cmp.Compare(a.x, b.x) })
	// It and those nearer than this one are a majority of all.
	nearest := d.opinions[(len(d.opinions)-1)/2]
	apart, expected := nearest.x, nearest.scatter*nearest.scatter
	limit := s.floor()/2 + s.upstream() // more is no wander but a lie, which selection deals with
	square := min(apart*apart, 9*max(s.against, expected), limit*limit)
	rate := noticeRate
	if square < s.against {
		rate = reconciled
	}
	s.against += rate * (square - s.against)
	if s.against < quarrelsome*expected {
		return 0
	}
	return s.against
}

// unbiased is what a source's own bank says, less what is known of its path.
func (d *Discipline) unbiased(s *source, at float64) opinion {
	x, _ := s.own.estimate(at)
	return opinion{x - d.joint.bias(s.path.slot), s.own.deviation(max(at-s.own.at, 0))}
}

// contradicted decides what a contradiction means: that the clock jumped, if
// nobody agrees any more and a majority has contradicted on the same side;
// that the source's path did, if it is alone.
func (d *Discipline) contradicted(s *source, k *kept, innovation float64, weights *[families]float64) {
	out := d.joint.strike(innovation, k.sample.misled)
	side := 1
	if innovation < 0 {
		side = -1
	}
	if s.strikes*side < 0 {
		s.strikes = 0
	}
	s.strikes += side
	against := 0
	for _, o := range d.selected {
		if o.strikes*side > 0 {
			against++
		}
	}
	switch {
	case out && 2*against > len(d.selected):
		d.event(EventClockJumped, innovation)
		d.joint.jump(innovation)
		d.joint.observe(k.at, k.sample, k.path.slot, weights)
	case s.strikes*side >= biasStrikes:
		d.event(EventPathChanged, innovation)
		d.widenBias(k.path.slot, innovation*innovation)
	default:
		return
	}
	for _, o := range d.selected {
		o.strikes = 0
	}
}

func (d *Discipline) widenBias(slot int, variance float64) {
	for _, m := range d.joint.members {
		*m.at(clockLen+slot, clockLen+slot) += variance
		m.prior[slot] += variance
	}
}

// newSlot finds a bias state for a path. Where the path's asymmetry is
// unknown nothing favours either direction, so the mean is 0: together, all
// biases pin the clock to their sources' mean, weighted by distance.
func (d *Discipline) newSlot(p *path, asymmetry float64) int {
	variance := asymmetry * asymmetry
	slot := d.freeSlot()
	switch {
	case slot < 0:
		return -1
	case slot == len(d.slots):
		d.slots = append(d.slots, nil)
		for _, m := range d.joint.members {
			m.addBias(variance)
		}
	default:
		for _, m := range d.joint.members {
			m.resetBias(slot, variance)
		}
	}
	d.slots[slot], p.slot = p, slot
	return slot
}

// freeSlot returns a slot that no path uses, len(d.slots) for a new one, or
// -1.
func (d *Discipline) freeSlot() int {
	for i, p := range d.slots {
		used := slices.ContainsFunc(d.sources, func(s *source) bool { return (s.path == p || s.former == p) && p.slot == i })
		if !used {
			return i
		}
	}
	if len(d.slots) == maxSlots {
		return -1
	}
	return len(d.slots)
}

// rerouted tells the filters that a source's route changed. One direction is
// likely to have changed alone, so its bias may be off by half of it.
func (d *Discipline) rerouted(s *source, c *change) {
	half := c.by / 2
	s.own.widen(half*half, 0)
	if !d.joint.started || c.from.slot < 0 || c.to.slot >= 0 {
		return
	}
	if slot := d.newSlot(c.to, s.asymmetry()); slot >= 0 {
		for _, m := range d.joint.members {
			m.copyBias(c.from.slot, slot, half*half)
		}
	}
}

// track finds the path whose measurements are known best: its growth is the
// joint estimate's, without what no source can know, the asymmetry that all
// paths have in common.
func (d *Discipline) track() {
	d.tracked = d.joint.phase
	for _, s := range d.selected {
		if s.path.slot < 0 {
			continue
		}
		if g := d.joint.growth(s.path.slot); g.now < d.tracked.now {
			d.tracked = g
		}
	}
}

// tracking returns the deviation of the joint estimate, unknown asymmetry
// aside, tau seconds after the last sample.
func (d *Discipline) tracking(tau float64) float64 { return d.tracked.deviation(tau) }
