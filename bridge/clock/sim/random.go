package sim

import (
	"math"
	"math/rand/v2"
)

// Random returns a scenario drawn from the seed: any clock, any network, any
// behaviour of servers, and accidents, as long as at any time the truth can
// be known: liars are a minority of those that answer, and the oscillator
// stays within what the assumed drift of 15 ppm allows between samples.
func Random(seed uint64) *Scenario {
	g := &generator{stream(seed, 77)}
	s := &Scenario{
		Name:   "random",
		Offset: g.sign() * g.scale(1e-6, 900),
		Oscillator: Oscillator{
			Frequency: g.uniform(-300e-6, 300e-6),
			Wander:    g.scale(1e-11, 3e-8),
			Trend:     g.trend(),
		},
		MinPoll: 3 + g.IntN(6),
	}
	s.MaxPoll = s.MinPoll
	if g.chance(0.4) {
		s.MaxPoll = min(10, s.MinPoll+1+g.IntN(5))
	}
	if g.chance(0.3) {
		s.StampNoise = g.scale(1e-8, 3e-5)
	}
	if g.chance(0.3) {
		s.Granularity = int64(g.scale(10, 20_000))
	}
	s.Length = 6000 + g.IntN(6000) + 100<<s.MinPoll
	s.WarmUp = s.Length / 2
	s.Servers = g.servers(float64(s.Length))
	s.Events = g.events(s.Length)
	return s
}

// generator draws what scenarios are made of.
type generator struct{ *rand.Rand }

func (g *generator) chance(p float64) bool          { return g.Float64() < p }
func (g *generator) uniform(lo, hi float64) float64 { return lo + (hi-lo)*g.Float64() }

// scale draws so that each order of magnitude is as likely.
func (g *generator) scale(lo, hi float64) float64 {
	return math.Exp(g.uniform(math.Log(lo), math.Log(hi)))
}

func (g *generator) sign() float64 {
	if g.chance(0.5) {
		return -1
	}
	return 1
}

func (g *generator) trend() func(float64) float64 {
	amplitude, period := g.scale(1e-8, 3e-6), g.scale(600, 86400)
	switch g.IntN(4) {
	case 0:
		return func(t float64) float64 { return amplitude * math.Sin(2*math.Pi*t/period) }
	case 1:
		return func(t float64) float64 {
			if math.Mod(t, period) < period/2 {
				return amplitude
			}
			return -amplitude
		}
	}
	return nil
}

// servers draws one to seven servers, of which less than half lie. Where some
// lie the others always answer.
func (g *generator) servers(length float64) []Server {
	n := 1 + g.IntN(7)
	liars := 0
	if n >= 3 && g.chance(0.5) {
		liars = 1 + g.IntN((n-1)/2)
	}
	servers := make([]Server, n)
	for i := range servers {
		servers[i] = g.server()
		switch {
		case i < liars:
			servers[i].Offset = g.lie(length)
		case liars == 0:
			g.trouble(&servers[i], length)
		}
		if liars > 0 {
			servers[i].Up.Loss, servers[i].Down.Loss = min(servers[i].Up.Loss, 0.1), 0
		}
	}
	g.Shuffle(n, func(i, j int) { servers[i], servers[j] = servers[j], servers[i] })
	return servers
}

func (g *generator) server() Server {
	base := g.scale(20e-6, 0.15)
	jitter := base * g.scale(0.01, 1)
	shape := Shape(g.IntN(int(Queue) + 1))
	s := Server{
		Up:   Path{Base: base, Jitter: jitter, Shape: shape},
		Down: Path{Base: base, Jitter: jitter * g.scale(0.1, 1), Shape: shape},
	}
	if g.chance(0.5) { // any asymmetry is possible
		shift := g.uniform(-0.9, 0.9) * base
		s.Up.Base += shift
		s.Down.Base -= shift
	}
	if g.chance(0.4) {
		s.Up.Loss = g.uniform(0, 0.5)
	}
	if g.chance(0.1) {
		s.Repeat = 0.3
	}
	return s
}

// lie draws a wrong clock: always, from some moment, now and then, or one
// that drifts away.
func (g *generator) lie(length float64) func(float64) float64 {
	size, from := g.sign()*g.scale(1e-4, 1e5), g.uniform(0, length)
	switch g.IntN(4) {
	case 0:
		return func(float64) float64 { return size }
	case 1:
		return func(t float64) float64 { return size * step(t-from) }
	case 2:
		return func(t float64) float64 { return size * step(math.Sin(2*math.Pi*t/from)) }
	}
	rate := g.sign() * g.scale(1e-7, 1e-3)
	return func(t float64) float64 { return rate * max(0, t-from) }
}

// step is 0 before 0 and 1 after it.
func step(t float64) float64 {
	if t < 0 {
		return 0
	}
	return 1
}

// trouble draws what happens to an honest server and its path.
func (g *generator) trouble(s *Server, length float64) {
	from := g.uniform(0.1, 0.6) * length
	until := from + g.uniform(0.01, 0.3)*length
	during := func(t float64) bool { return t >= from && t < until }
	size := g.scale(0.1, 10) * s.Up.Base
	switch g.IntN(6) {
	case 0: // gone for a while
		s.Up.Extra = func(t float64, _ *rand.Rand) float64 {
			if during(t) {
				return math.Inf(-1)
			}
			return 0
		}
	case 1: // another route
		s.Up.Extra = func(t float64, _ *rand.Rand) float64 {
			if during(t) {
				return size
			}
			return 0
		}
	case 2: // congestion one way
		s.Down.Extra = func(t float64, random *rand.Rand) float64 {
			if during(t) {
				return size * random.ExpFloat64()
			}
			return 0
		}
	case 3: // it says that it does not know
		s.Status = func(t float64) Status { return Status{Stratum: 1, Unsynchronised: during(t)} }
	case 4: // a worse clock, and it knows
		dispersion := g.scale(1e-5, 0.1)
		s.Status = func(t float64) Status { return Status{Stratum: 2, RootDelay: dispersion, RootDispersion: dispersion} }
		slow := max(1000, dispersion/5e-6)
		s.Offset = func(t float64) float64 { return dispersion * math.Sin(t/slow) }
	}
}

// events draws what happens to the machine, in the first half of the run.
func (g *generator) events(length int) []Event {
	if !g.chance(0.5) {
		return nil
	}
	e := Event{At: length/8 + g.IntN(length/4)}
	switch e.Kind = EventKind(g.IntN(4)); e.Kind {
	case Suspend:
		e.Duration, e.Value = 10+g.IntN(5000), g.uniform(-0.5, 0.5)
	case SetClock:
		e.Value = g.sign() * g.scale(1e-5, 1)
	case SetRate:
		e.Value = g.uniform(-400e-6, 400e-6)
	case StallDaemon:
		e.Duration = 10 + g.IntN(1000)
	}
	return []Event{e}
}
