package discipline

import (
	"math"
	"slices"

	"ntsbridge/bridge/ntp"
)

// recentSamples is how many accepted samples of a source are kept: for the
// bound of the error, and to start the joint filter with.
const recentSamples = 8

// kept is an accepted sample with what bounds its truth.
type kept struct {
	at       float64 // s of the base
	round    float64 // s of the base: from sending to arrival
	turn     float64 // s: of it at the source
	delay    float64 // s
	sample   sample
	path     *path
	distance float64 // half of the delay and the source's own root distance, s
	stray    bool    // the source's own filter did not believe it
}

// path is a route to a source.
type path struct {
	window delayWindow
	slot   int        // of its bias in the joint filter, -1: none
	short  [2]float64 // mean excess of the short way of families upward and downward, s; 0: not known
	learnt [2]int     // samples it was learned from
}

// Learning of the short way's excess.
const (
	// shortStart is what is assumed of it first, as a part of the jitter.
	shortStart = 0.2
	// shortFar is from how many of it on the half width of a sample is so large
	// that the sample tells it, shortClip how much of it one sample may tell.
	shortFar  = 3
	shortClip = 5
	// shortRate is the weight of a sample, in the end, and shortFirst of how
	// many it is the mean at first.
	shortRate  = 1.0 / 64
	shortFirst = 8
)

// shorts returns the mean excess of the short ways, within what is possible.
func (p *path) shorts(noise float64) (short [2]float64) {
	most := max(p.window.jitter(), noise)
	for i, s := range p.short {
		if s == 0 {
			s = shortStart * most
		}
		short[i] = min(max(s, noise), most)
	}
	return short
}

// teach learns the short ways' excess from a sample, by where the members of
// each family put the clock: near the edge of the interval, whatever they
// thought of that excess.
func (s *source) teach(k *kept, noise float64) {
	p := k.path
	short := p.shorts(noise)
	for i, side := range [...]float64{1, -1} {
		x, ok := s.own.phaseOf(upward + family(i))
		if h := k.sample.half; ok && h >= shortFar*short[i] {
			found := min(max(side*(k.sample.offset-x)+h, 0), shortClip*short[i])
			p.short[i] = short[i] + max(shortRate, 1/float64(p.learnt[i]+shortFirst))*(found-short[i])
			p.learnt[i]++
		}
	}
}

// Route changes.
const (
	// riseScale is by how many scales of jitter all recent delays must
	// exceed the floor before the route is believed to have changed.
	riseScale = 6
	// riseSpread is how much larger than their own spread that rise must be:
	// congestion raises delays too, but spreads them.
	riseSpread = 3
)

// source is what is known of a source.
type source struct {
	id     SourceID
	config SourceConfig

	own      *bank
	startY   float64 // frequency that the bank was started with
	path     *path   // the route in use
	former   *path   // the one before
	observed float64 // variance of the innovations of its own bank, s^2
	against  float64 // variance between it and the others, s^2
	misses   residuals

	reach    uint8   // RFC 5905's shift register
	granted  float64 // s: until the next request, as told by Asked
	refused  bool    // it told us to go away
	leastNow int     // log2 s: minimum poll, raised by RATE

	last     Instant // T1 of the last sample
	lastAt   float64
	excused  float64 // s since the last sample in which nobody could be asked
	awaited  float64 // s: until when its first answer after a gap is waited for
	header   Sample  // of the last accepted sample
	recent   [recentSamples]kept
	count    int     // accepted samples since the last reset
	veteran  bool    // not young any more
	strikes  int     // contradictions to the joint filter in a row
	missed   float64 // s: the last of them
	verdict  Verdict
	state    SelectState
	rule     Rule    // by which it is
	counts   bool    // its voice, in the selection under way
	offset   float64 // last innovation
	interval struct{ lo, hi float64 }
}

func newSource(id SourceID, c SourceConfig, maxDrift float64) *source {
	s := &source{id: id, config: c, leastNow: c.MinPoll, last: math.MinInt64}
	s.forget(maxDrift)
	return s
}

// forget drops all that was measured.
func (s *source) forget(maxDrift float64) {
	s.own, s.path, s.former, s.startY = newOwnBank(maxDrift), &path{slot: -1}, nil, 0
	s.count, s.strikes, s.observed, s.against, s.veteran = 0, 0, 0, 0, false
}

// variance is of the source's and our timestamps.
func (s *source) variance(c *Config) float64 {
	return c.StampNoise*c.StampNoise + s.config.Noise*s.config.Noise
}

func (s *source) deviation(c *Config) float64 { return math.Sqrt(s.variance(c)) }

// change is a route change that a sample revealed.
type change struct {
	from, to *path
	by       float64 // of the delay, s
}

// route enters a delay and follows changes of the route. The old route stays
// known: many changes are of minutes.
func (s *source) route(at, delay, noise float64) *change {
	w := &s.path.window
	if w.len() >= recentLen {
		fall := w.floor() - delay
		if fall > riseScale*w.jitter()+3*noise {
			return s.fall(at, delay, noise)
		}
		if s.returned(delay, noise) {
			return s.fall(at, delay, noise)
		}
	}
	w.add(at, delay)
	if w.len() >= 2*recentLen {
		return s.rise(noise)
	}
	return nil
}

// Returns to the former route.
const (
	// third is the order, from 0, of the delay that stands for the floor of the
	// present route: two strays do not count.
	third = 2
	// returnAbove is by how many of what the least delays may be above their
	// floor a delay must be below it.
	returnAbove = 5
)

// returned tells whether a delay is one of the former route and not of this
// one, also where it is less far below than a new route's must be. Else the
// first of them would count as a new floor of the wrong route.
func (s *source) returned(delay, noise float64) bool {
	w, f := &s.path.window, s.former
	if f == nil || f.window.len() < recentLen {
		return false
	}
	here, back := w.sorted[third], &f.window
	beyond := delay - back.floor()
	return delay < here-returnAbove*aboveOf(w.sorted[third:], w.jitter())-3*noise &&
		beyond > -riseScale*back.above()-3*noise && beyond < riseScale*back.jitter()+3*noise &&
		math.Abs(beyond) < math.Abs(delay-here)
}

// fall follows a delay far below the floor: back to the former route if that
// is possible on it, else to a new one.
func (s *source) fall(at, delay, noise float64) *change {
	c := &change{from: s.path, by: s.path.window.floor() - delay}
	if f := s.former; f != nil && f.window.len() > 0 && delay > f.window.floor()-riseScale*f.window.jitter()-3*noise {
		s.path, s.former = f, s.path
	} else {
		s.former, s.path = s.path, &path{slot: -1}
	}
	s.path.window.add(at, delay)
	c.to = s.path
	return c
}

// rise looks whether all recent delays lie above the floor.
func (s *source) rise(noise float64) *change {
	w := &s.path.window
	least, median, ok := w.recent()
	by := least - w.floor()
	if !ok || by < riseScale*w.jitter()+3*noise || by < riseSpread*(median-least) {
		return nil
	}
	fresh := w.splitRecent()
	if w.len() == 0 {
		return nil
	}
	s.former, s.path = s.path, &path{window: fresh, slot: -1}
	return &change{from: s.former, to: s.path, by: by}
}

// young tells whether the source has so few samples that all are kept. Until
// then all are judged anew by each: the first answers may be the delayed ones,
// and what is least is not known before.
func (s *source) young() bool { return !s.veteran }

// judge computes what the filters see of a kept sample by what is known of its
// path now.
func (s *source) judge(k *kept, c *Config) {
	w := &k.path.window
	unusual := w.unusual(k.delay)
	k.sample.half = max(w.halfWidth(k.delay), s.deviation(c))
	k.sample.spread = w.spread() + unusual
	k.sample.observed = s.observed + unusual
	if k.sample.short = [2]float64{}; w.len() > recentSamples {
		k.sample.short = k.path.shorts(s.deviation(c))
	}
}

// learn feeds the source's own bank with the last sample, or anew with all of
// a young source.
func (s *source) learn(c *Config) {
	if !s.young() {
		s.observe(s.latest())
		s.teach(s.latest(), s.deviation(c))
		return
	}
	y := s.farFrequency()
	for range mostStarts {
		s.remeasure(y)
		s.replay(c)
		if y = s.own.y; math.Abs(y-s.startY) < startAgain*startFrequency {
			return
		}
	}
}

// A young source's filter is started anew from the frequency that it found
// where that is so far from the one before that the prior drew it there too
// slowly: startAgain of the prior's deviations. The oscillators of boards and
// virtual machines are up to 2000 ppm off.
const (
	startAgain = 2
	mostStarts = 3
)

// replay feeds the source's own bank with all that is kept.
func (s *source) replay(c *Config) {
	s.own.started = false
	for i := range s.count {
		k := &s.recent[i]
		s.judge(k, c)
		s.observe(k)
	}
}

// slope is the frequency that the kept samples of a young source show, and how
// far it may be wrong by what bounds each: false with fewer than two, and where
// they are on no line, for then a clock jumped.
func (s *source) slope() (y, bound float64, ok bool) {
	if s.count < 2 || s.veteran {
		return 0, 0, false
	}
	first, last := &s.recent[0], s.latest()
	t := last.at - first.at
	y, bound = (last.sample.offset-first.sample.offset)/t, (first.distance+last.distance)/t
	for i := range s.count {
		k := &s.recent[i]
		if off := k.sample.offset - first.sample.offset - y*(k.at-first.at); math.Abs(off) > k.distance+first.distance+last.distance {
			return 0, 0, false
		}
	}
	return y, bound, true
}

// farFrequency is the frequency of an oscillator that is certainly beyond what
// the prior expects; else 0.
func (s *source) farFrequency() float64 {
	if y, bound, ok := s.slope(); ok && math.Abs(y) > bound+startAgain*startFrequency {
		return min(max(y, -s.own.limit), s.own.limit)
	}
	return 0
}

// remeasure computes all delays anew for another frequency.
func (s *source) remeasure(y float64) {
	if y == s.startY || s.former != nil {
		return
	}
	s.startY, s.path.window = y, delayWindow{}
	for i := range s.count {
		k := &s.recent[i]
		k.delay = k.round*(1-s.startY) - k.turn
		s.path.window.add(k.at, k.delay)
	}
}

// latest is the last kept sample.
func (s *source) latest() *kept { return &s.recent[(s.count-1)%recentSamples] }

// observe feeds a sample to the source's own bank.
func (s *source) observe(k *kept) {
	z := &k.sample
	if !s.own.started {
		s.own.start(k.at, z.offset, math.Sqrt(z.half*z.half+z.noise), s.startY, startFrequency*startFrequency)
		s.observed = z.spread
		s.misses.begin(k.at)
		return
	}
	innovation, contradicts := s.own.observe(k.at, *z, -1, nil)
	s.offset, k.stray = innovation, contradicts
	s.misses.add(k.at, innovation)
	if contradicts && s.own.strike(innovation, z.misled) {
		s.own.jump(innovation)
		s.own.observe(k.at, *z, -1, nil)
		k.stray = false
	}
	s.notice(innovation)
}

// noticeRate is the weight of a new innovation in the observed variance: about
// 32 samples decide, half a bank's memory, so that it follows the noise and
// not the single sample.
const noticeRate = 1.0 / 32

// notice follows the variance of innovations, clipped at three deviations
// against spikes.
func (s *source) notice(innovation float64) {
	square := innovation * innovation
	if s.count > recentSamples {
		square = min(square, 9*s.observed+1e-18)
	}
	s.observed += max(noticeRate, 1/float64(s.count+1)) * (square - s.observed)
}

// keep remembers an accepted sample.
func (s *source) keep(k kept) {
	s.recent[s.count%recentSamples] = k
	s.count++
	s.veteran = s.veteran || s.count > recentSamples
	s.lastAt, s.excused = k.at, 0
}

// keptSamples appends the last remembered samples, at most recentSamples, oldest
// first; strays only where they are asked for.
func (s *source) keptSamples(dst []keptOf, last int, strays bool) []keptOf {
	from := len(dst)
	for i := s.count - 1; i >= max(0, s.count-recentSamples) && len(dst)-from < last; i-- {
		if k := &s.recent[i%recentSamples]; strays || !k.stray {
			dst = append(dst, keptOf{s, *k})
		}
	}
	slices.Reverse(dst[from:])
	return dst
}

type keptOf struct {
	source *source
	kept
}

// open tells whether the source is a server of the network without
// authentication.
func (s *source) open() bool { return !s.config.Authenticated && !s.config.RefClock }

// upstream is the source's own root distance, s.
func (s *source) upstream() float64 { return s.header.RootDelay/2 + s.header.RootDispersion }

// floor is the least delay of the route in use.
func (s *source) floor() float64 {
	if s.path.window.len() == 0 {
		return 0
	}
	return max(s.path.window.floor(), 0)
}

// leap is the source's announcement.
func (s *source) leap() ntp.Leap { return s.header.Leap }

// roster are the sources there are, and those that are followed now.
type roster struct {
	sources  []*source
	selected []*source
}

func (r *roster) find(id SourceID) *source {
	for _, s := range r.sources {
		if s.id == id {
			return s
		}
	}
	return nil
}

// without returns a list without a source, in its place.
func without(list []*source, id SourceID) []*source {
	return slices.DeleteFunc(list, func(s *source) bool { return s.id == id })
}

// asymmetryPart is the deviation of the unknown asymmetry of a path, as a part
// of its least delay. Half of the delay is the limit; measured paths in the
// internet have a few percent of it.
const asymmetryPart = 0.05

// asymmetry is the deviation of what a source's path, and those above it, add
// to its offset unseen.
func (s *source) asymmetry() float64 {
	return asymmetryPart*(s.floor()+2*s.upstream()) + 1e-9
}

// leapVote returns what a strict majority of the selected sources announces.
func (r *roster) leapVote() ntp.Leap {
	var votes [4]int
	for _, s := range r.selected {
		votes[s.leap()&3]++
	}
	for _, l := range []ntp.Leap{ntp.LeapInsert, ntp.LeapDelete} {
		if 2*votes[l] > len(r.selected) {
			return l
		}
	}
	return ntp.LeapNone
}
