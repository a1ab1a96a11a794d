package discipline

import (
	"cmp"
	"math"
	"slices"
)

// maxSlots bounds the bias states of the joint filter, whose work grows with
// their square. Where more sources agree, those of least asymmetry and noise
// feed it; the others are measured, vote, and say so (EnoughBetter).
const maxSlots = 32

// muchBetter is by which factor the variance that a source adds must be less
// than that of one that feeds the filter, to take its place.
const muchBetter = 4

// biasStrikes is how many samples in a row one source must contradict the
// others before its bias is believed to have changed.
const biasStrikes = 4

// alike is the least part of a source's contradiction that another's must be to
// tell of the same thing.
const alike = 0.5

// frequencyDeviations bounds a change of the frequency.
const frequencyDeviations = 5

// quarrelsome is by how much the variance between a source and the others must
// exceed what their own banks expect before it counts.
const quarrelsome = 4

// reconciled is the weight of a smaller difference in that variance: what is
// over need not be remembered for long.
const reconciled = 1.0 / 8

// jointFilter is the filter that all selected sources feed.
type jointFilter struct {
	*bank
	config    *Config
	roster    *roster
	journal   *journal
	slots     []*path // which path each bias state belongs to
	startY    float64 // frequency to start with
	startYVar float64
	restored  bool      // they are of the last run, or of a past that counts
	corrected bool      // startY, of an oscillator beyond what was expected: the last estimate was worth nothing
	priors    []float64 // weights of the wanders to start with; nil: equal
	fresh     bool      // fed since the last tick
	fedAt     float64   // s
	fedBy     SourceID
	residual  float64 // last innovation, s
	beyond    bool    // no delay explains it
	tracked   growth  // of the estimate's variance, unknown asymmetry aside
	lean      float64 // s: deviation that floors which are not known exactly make on one-sided paths

	// Scratch space, so that nothing is allocated per sample.
	replay   []keptOf
	opinions []opinion
	leanings []leaning
}

// opinion is a source's estimate with its deviation from the truth.
type opinion struct{ x, scatter float64 }

// begin starts the filter from the last samples of each selected source,
// in the order of time.
func (j *jointFilter) begin(each int) {
	j.replay = j.replay[:0]
	strays := j.strays()
	for _, s := range j.roster.selected {
		j.replay = s.keptSamples(j.replay, each, strays)
	}
	slices.SortFunc(j.replay, func(a, b keptOf) int { return cmp.Compare(a.at, b.at) })
	j.bank, j.slots = newJointBank(j.config.MaxDrift), j.slots[:0]
	for _, s := range j.roster.sources {
		s.path.slot, s.strikes, s.against = -1, 0, 0
		if s.former != nil {
			s.former.slot = -1
		}
	}
	first := &j.replay[0]
	if j.refuted(first.source) {
		j.restored, j.corrected, j.startY, j.startYVar, j.priors = false, true, 0, startFrequency*startFrequency, nil
	}
	if y := first.source.startY; !j.restored && y != j.startY {
		j.startY, j.corrected = y, true
	}
	j.bank.start(first.at, first.sample.offset, math.Sqrt(first.sample.half*first.sample.half+first.sample.noise), j.startY, j.startYVar)
	for i, w := range j.priors {
		j.members[i].weight = max(w/2, leastWeight) // half believed: the machine may have changed
	}
	if slot := j.newSlot(first.path, first.source.asymmetry()); slot >= 0 {
		for _, m := range j.members {
			m.confound(slot)
		}
	}
	j.fresh, j.fedAt = true, first.at
	j.average()
	j.track()
	for i := range j.replay[1:] {
		j.feed(j.replay[i+1].source, &j.replay[i+1].kept)
	}
}

// strays tells whether samples count that their sources' own filters did not
// believe: where most have said such a thing last, the clock jumped, and filters
// wait for more. One alone was selected by what its filter says, and not by that.
func (j *jointFilter) strays() bool {
	n, young := 0, true
	for _, s := range j.roster.selected {
		if young = young && s.young(); s.latest().stray {
			n++
		}
	}
	return young || 2*n > len(j.roster.selected)
}

// refuted tells whether the first samples of a source show that the frequency
// of the last run is not that of this one: another machine, or another host of
// a virtual one.
func (j *jointFilter) refuted(s *source) bool {
	y, bound, ok := s.slope()
	return j.restored && ok && math.Abs(y-j.startY) > bound+frequencyDeviations*math.Sqrt(j.startYVar)
}

// restart starts the filter anew from what the selected sources say
// now: from the frequency of the one whose own filter knows it best, and from
// one sample each, because those before may be of another world.
func (j *jointFilter) restart() {
	best := j.roster.selected[0]
	for _, s := range j.roster.selected {
		if s.own.yVar < best.own.yVar {
			best = s
		}
	}
	if !best.veteran { // there is no other world yet
		j.begin(recentSamples)
		return
	}
	j.restored = true
	j.startY, j.startYVar = best.own.y, best.own.yVar+1e-14
	j.begin(1)
	j.jumped = true
}

// feed gives a sample of a selected source to the joint filter.
func (j *jointFilter) feed(s *source, k *kept) {
	slot := k.path.slot
	if slot < 0 {
		if slot = j.newSlot(k.path, s.asymmetry()); slot < 0 {
			if slot = j.displace(s); slot < 0 {
				return
			}
		}
	}
	weights := s.own.familyWeights()
	z := k.sample
	z.noise += j.quarrel(s, k.at)
	j.recentre(k.at)
	innovation, contradicts := j.observe(k.at, z, slot, &weights)
	if !contradicts {
		s.strikes = 0
	} else {
		j.contradicted(s, k, innovation, &weights)
	}
	j.residual, j.beyond, j.fresh, j.fedAt = innovation, contradicts && math.Abs(innovation) > k.sample.misled, true, k.at
	j.track()
}

// quarrel follows, and returns where it counts, the variance of a source's time
// that its own history does not show but the others' words do: servers of
// lower strata wander by more than their paths' jitter, and the clock must not
// follow each in turn. To the source's own bank that is the oscillator's
// wander; for the joint filter it is noise. It is measured between the sources'
// own banks, so that nothing of it depends on what is then done with it.
func (j *jointFilter) quarrel(s *source, at float64) float64 {
	j.opinions = j.opinions[:0]
	if !s.veteran || s.path.slot < 0 {
		return 0
	}
	own := j.unbiased(s, at)
	for _, o := range j.roster.selected {
		if o != s && o.veteran && o.path.slot >= 0 {
			other := j.unbiased(o, at)
			j.opinions = append(j.opinions, opinion{math.Abs(own.x - other.x), math.Hypot(own.scatter, other.scatter)})
		}
	}
	if len(j.opinions) == 0 {
		s.against = 0
		return 0
	}
	slices.SortFunc(j.opinions, func(a, b opinion) int { return cmp.Compare(a.x, b.x) })
	// It and those nearer than this one are a majority of all.
	nearest := j.opinions[(len(j.opinions)-1)/2]
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
func (j *jointFilter) unbiased(s *source, at float64) opinion {
	x, _ := s.own.estimate(at)
	return opinion{x - j.bias(s.path.slot), s.own.deviation(max(at-s.own.at, 0))}
}

// contradicted decides what a contradiction means: that the clock jumped, if
// nobody agrees any more and a majority of those that count has contradicted by
// much the same; that the source's path did, if it is alone.
func (j *jointFilter) contradicted(s *source, k *kept, innovation float64, weights *[families]float64) {
	out := j.strike(innovation, k.sample.misled)
	side := 1
	if innovation < 0 {
		side = -1
	}
	if s.strikes*side < 0 {
		s.strikes = 0
	}
	s.strikes += side
	s.missed = innovation
	switch {
	case out && j.most(innovation) && !j.unheard():
		j.journal.event(EventClockJumped, innovation)
		j.jump(innovation)
		j.jumped = true
		j.observe(k.at, k.sample, k.path.slot, weights)
	case s.strikes*side >= biasStrikes:
		j.journal.event(EventPathChanged, innovation)
		j.widenBias(k.path.slot, innovation*innovation)
	default:
		return
	}
	for _, o := range j.roster.selected {
		o.strikes = 0
	}
}

// most tells whether most of those that are followed and count have contradicted
// by at least half as much, on the same side. One that is some microseconds off
// is no witness of another's milliseconds.
func (j *jointFilter) most(innovation float64) bool {
	against, all := 0, 0
	for _, s := range j.roster.selected {
		if !s.counts {
			continue
		}
		all++
		if s.strikes != 0 && s.missed/innovation >= alike {
			against++
		}
	}
	return 2*against > all
}

// unheard tells whether those that are followed are no majority of those that
// count and agree: others are preferred to these, which were not heard. That the
// clock jumped is for all to say: selection sees it in their own filters.
func (j *jointFilter) unheard() bool {
	heard, all := 0, 0
	for _, s := range j.roster.sources {
		if s.counts && (s.state == Selected || s.state == NotPreferred || s.state == Inconsistent) {
			all++
			if s.state == Selected {
				heard++
			}
		}
	}
	return all > 0 && 2*heard <= all
}

func (j *jointFilter) widenBias(slot int, variance float64) {
	for _, m := range j.members {
		*m.at(clockLen+slot, clockLen+slot) += variance
		m.prior[slot] += variance
	}
}

// newSlot finds a bias state for a path. Where the path's asymmetry is
// unknown nothing favours either direction, so the mean is 0: together, all
// biases pin the clock to their sources' mean, weighted by distance.
func (j *jointFilter) newSlot(p *path, asymmetry float64) int {
	variance := asymmetry * asymmetry
	slot := j.freeSlot()
	switch {
	case slot < 0:
		return -1
	case slot == len(j.slots):
		j.slots = append(j.slots, nil)
		for _, m := range j.members {
			m.addBias(variance)
		}
	default:
		for _, m := range j.members {
			m.resetBias(slot, variance)
		}
	}
	j.slots[slot], p.slot = p, slot
	return slot
}

// displace gives a source the place of the worst that feeds the filter, if that
// is much worse; else -1.
func (j *jointFilter) displace(s *source) int {
	var worst *source
	for _, o := range j.roster.sources {
		if o.path.slot >= 0 && (worst == nil || o.burden() > worst.burden()) {
			worst = o
		}
	}
	if worst == nil || worst.burden() < muchBetter*s.burden() {
		return -1
	}
	worst.path.slot = -1
	if worst.former != nil {
		worst.former.slot = -1
	}
	return j.newSlot(s.path, s.asymmetry())
}

// burden is the variance that a source adds to what it says.
func (s *source) burden() float64 {
	a := s.asymmetry()
	return a*a + s.observed
}

// freeSlot returns a slot that no path uses, len(j.slots) for a new one, or
// -1.
func (j *jointFilter) freeSlot() int {
	for i, p := range j.slots {
		used := slices.ContainsFunc(j.roster.sources, func(s *source) bool { return (s.path == p || s.former == p) && p.slot == i })
		if !used {
			return i
		}
	}
	if len(j.slots) == maxSlots {
		return -1
	}
	return len(j.slots)
}

// rerouted tells the filters that a source's route changed. One direction is
// likely to have changed alone, so its bias may be off by half of it.
func (j *jointFilter) rerouted(s *source, c *change) {
	half := c.by / 2
	s.own.widen(half*half, 0)
	if !j.started || c.from.slot < 0 || c.to.slot >= 0 {
		return
	}
	if slot := j.newSlot(c.to, s.asymmetry()); slot >= 0 {
		for _, m := range j.members {
			m.copyBias(c.from.slot, slot, half*half)
		}
	}
}

// track finds the path whose measurements are known best: its growth is the
// joint estimate's, without what no source can know, the asymmetry that all
// paths have in common.
func (j *jointFilter) track() {
	j.doubtFloors()
	j.tracked = j.phase
	for _, s := range j.roster.selected {
		if s.path.slot < 0 {
			continue
		}
		if g := j.growth(s.path.slot); g.now < j.tracked.now {
			j.tracked = g
		}
	}
}

// floorDoubt is the deviation of a floor in what the least delay is thought to
// lie above it. Theory for the sum of two delays says 0.26; queues have others.
const floorDoubt = 0.4

// doubtFloors finds what the floors' errors make of the estimate on one-sided
// paths: half of it goes into each sample alike, so it is no noise, and the
// filter cannot see it.
func (j *jointFilter) doubtFloors() {
	sum, square := 0.0, 0.0
	for _, s := range j.roster.selected {
		a := s.asymmetry()
		g := 1 / (a * a)
		weights := s.own.familyWeights()
		doubt := floorDoubt * s.path.window.above()
		sum += g
		square += g * g * (weights[upward] + weights[downward]) * doubt * doubt
	}
	j.lean = 0
	if sum > 0 {
		j.lean = math.Sqrt(square) / sum
	}
}

// tracking returns the deviation of the joint estimate, unknown asymmetry
// aside, tau seconds after the last sample.
func (j *jointFilter) tracking(tau float64) float64 {
	return math.Hypot(j.tracked.deviation(tau), j.lean)
}
