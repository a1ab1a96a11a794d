package discipline

import "math"

// family is an idea of how the offsets of a source are distributed around
// the clock. Which of them fits is learned for each source.
type family uint8

const (
	// bounded: the offset lies within half of the delay's excess over the
	// path's floor of the truth, anywhere. Right where small delays cluster
	// at a floor, as queues make them; it uses the delay to the full.
	bounded family = iota
	// scaled: normal, with a deviation that grows with the delay's excess.
	scaled
	// spread: normal, with the deviation that the spread of delays suggests.
	// Right where delays are bell-shaped or timestamps noisy.
	spread
	// observed: normal, with the deviation that offsets were seen to have.
	// Right where noise does not show in the delay: a server with a
	// wandering clock, a reference clock without any delay.
	observed
	// upward: as bounded, but the delay's excess is mostly of the way to the
	// source, and what is left for the way back has a mean that is learned.
	// Right where one direction has the queue: cable, DSL and radio uplinks.
	upward
	// downward: the same for the way back.
	downward
	families
)

// Constants of the families.
const (
	// edge softens the edges of the interval of family bounded, as a part of
	// its half width: the floor is estimated, the queue's shape not exact.
	edge = 0.1
	// scaledDeviation is the deviation of family scaled in half widths. A
	// uniform distribution has 0.58; delays of two directions that are not
	// quite alike make it larger.
	scaledDeviation = 0.7
	// lopsided is the weight of each one-sided component within family bounded: a
	// delay far beyond the usual is mostly of one direction.
	lopsided = 0.05
	// shortToo is how much more often than its shape says the long way of a
	// one-sided family is as short as the other: radios that sleep sometimes
	// do not.
	shortToo = 30
	// tail is the weight of a component of tailFactor times the deviation
	// that stands for the heavy tails of real networks.
	tail       = 0.05
	tailFactor = 5
	// wild is the probability that a sample says nothing at all.
	wild = 0.01
	// leastRange is the least half of the range of a wild sample, s, for
	// sources without a delay.
	leastRange = 1e-4
)

// sample is what the filters see of an exchange.
type sample struct {
	offset   float64 // of the base from the server, s
	half     float64 // half width, s
	noise    float64 // variance of timestamps, s^2
	spread   float64 // variance by delays, s^2
	observed float64 // variance by offsets, s^2
	misled   float64 // half of the whole delay, s: how far a wild sample may mislead
	// short is the mean excess of the way that is not the long one, s: back for
	// family upward, there for family downward. 0: too little is known.
	short [2]float64
}

// verdict is what a sample says of the scalar that it measures, given a
// normal prior of mean m and variance a: the posterior mean is m + a*shift and
// the posterior variance a - a*a*shrink.
type verdict struct {
	density float64 // of the sample under the prior, 1/s
	shift   float64
	shrink  float64
	wild    float64 // probability that the sample said nothing
}

// judge returns the verdict under one family.
func (s *sample) judge(f family, m, a float64) verdict {
	v := s.offset - m
	var c mixture
	switch f {
	case bounded:
		d, shift, shrink := s.truncated(v, a)
		c.add((1-tail-wild-2*s.lopsided())*d, shift, shrink)
		s.tilted(&c, s.lopsided(), upward, v, a)
		s.tilted(&c, s.lopsided(), downward, v, a)
		c.normal(tail, v, a, tailFactor*s.half*s.half+s.noise)
	case upward, downward:
		s.oneSided(&c, f, v, a)
		c.normal(tail, v, a, tailFactor*s.half*s.half+s.noise)
	case scaled:
		c.heavy(v, a, scaledDeviation*scaledDeviation*s.half*s.half+s.noise)
	case spread:
		c.heavy(v, a, s.spread+s.noise)
	case observed:
		c.heavy(v, a, s.observed+s.noise)
	}
	// A vague prior spreads what a wild sample may be, too.
	return c.verdict(wild / max(2*s.misled, math.Sqrt(2*math.Pi*a)))
}

// judgeAll returns the verdict of the families together, weighted.
func (s *sample) judgeAll(weights *[families]float64, m, a float64) verdict {
	var c mixture
	flat := 0.0
	for f, weight := range weights {
		if weight == 0 {
			continue
		}
		v := s.judge(family(f), m, a)
		c.add(weight*v.density, v.shift, v.shrink)
		flat += weight * v.density * v.wild
	}
	out := c.verdict(0)
	if out.density > 0 {
		out.wild = flat / out.density
	}
	return out
}

// truncated returns density, shift and shrink of an interval with soft edges.
// The moments are those of a normal distribution cut at both edges.
func (s *sample) truncated(v, a float64) (density, shift, shrink float64) {
	soft := edge * s.half
	variance := a + soft*soft + s.noise
	deviation := math.Sqrt(variance)
	lo, hi := (v-s.half)/deviation, (v+s.half)/deviation
	z, p, q := interval(lo, hi)
	if z < 1e-12 {
		return 0, 0, 0
	}
	d := (p - q) / z
	ratio := 1 + (lo*p-hi*q)/z - d*d
	ratio = min(max(ratio, 1e-6), 1)
	return z / (2 * s.half), d / deviation, (1 - ratio) / variance
}

// oneSided adds the interval of a one-sided family: a mixture of one in which the
// long way has all of the excess but what the other's mean allows, and of one
// in which it has anything.
func (s *sample) oneSided(c *mixture, f family, v, a float64) {
	short := s.shortOf(f)
	if short == 0 {
		d, shift, shrink := s.truncated(v, a)
		c.add((1-tail-wild)*d, shift, shrink)
		return
	}
	flat := math.Exp(-2 * s.half / short)
	even, tilt := shortToo*flat*2*s.half, short*(1-flat)
	if part := even / (even + tilt); part > 1e-9 {
		d, shift, shrink := s.truncated(v, a)
		c.add((1-tail-wild)*part*d, shift, shrink)
	}
	s.tilted(c, (1-tail-wild)*tilt/(even+tilt), f, v, a)
}

// lopsided is the weight of each one-sided component within family bounded.
func (s *sample) lopsided() float64 {
	if s.short == ([2]float64{}) {
		return 0
	}
	return lopsided
}

func (s *sample) shortOf(f family) float64 { return s.short[f-upward] }

// tilted adds an interval with soft edges in which the density falls from the
// edge where the short way had no excess, by its mean: what is left of two
// exponential delays of different means when their sum is known.
func (s *sample) tilted(c *mixture, weight float64, f family, v, a float64) {
	if weight == 0 {
		return
	}
	side := 1.0
	if f == downward {
		side = -1
	}
	short, h := s.shortOf(f), s.half
	v *= side
	soft := edge * min(h, short)
	variance := a + soft*soft + s.noise
	deviation := math.Sqrt(variance)
	pull := deviation / short
	lo, hi := (v-h)/deviation-pull, (v+h)/deviation-pull
	var z, p, q, density float64 // z: probability; p, q: densities at lo and hi
	if hi < 0 {                  // all divided by exp(-hi^2/2), which may be 0
		r := math.Exp((hi*hi - lo*lo) / 2)
		z = (scaledErfc(-hi/math.Sqrt2) - r*scaledErfc(-lo/math.Sqrt2)) / 2
		p, q = r*invSqrt2Pi, invSqrt2Pi
		density = math.Exp(-(v + h) * (v + h) / (2 * variance))
	} else {
		z, p, q = interval(lo, hi)
		density = math.Exp(-(v+h)/short + pull*pull/2)
	}
	if !(z > 1e-200) {
		return
	}
	density *= z / (short * -math.Expm1(-2*h/short))
	d := (p - q) / z
	ratio := min(max(1+(lo*p-hi*q)/z-d*d, 1e-6), 1)
	c.add(weight*density, side*(pull+d)/deviation, (1-ratio)/variance)
}

// mixture collects components and matches the moments of their posterior.
type mixture struct {
	density, shift, square, shrink float64
}

func (c *mixture) add(density, shift, shrink float64) {
	c.density += density
	c.shift += density * shift
	c.square += density * shift * shift
	c.shrink += density * shrink
}

// normal adds a normal component.
func (c *mixture) normal(weight, v, a, variance float64) {
	s := a + variance
	c.add(weight*invSqrt2Pi*math.Exp(-v*v/(2*s))/math.Sqrt(s), v/s, 1/s)
}

// heavy adds a normal component with its tail.
func (c *mixture) heavy(v, a, variance float64) {
	c.normal(1-tail-wild, v, a, variance)
	c.normal(tail, v, a, tailFactor*tailFactor*variance)
}

// verdict closes the mixture with a flat component that leaves the prior as
// it is.
func (c *mixture) verdict(flat float64) verdict {
	total := c.density + flat
	if !(total > 0) {
		return verdict{}
	}
	shift := c.shift / total
	return verdict{
		density: total,
		shift:   shift,
		shrink:  c.shrink/total - (c.square/total - shift*shift),
		wild:    flat / total,
	}
}
