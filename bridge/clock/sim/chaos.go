package sim

import (
	"cmp"
	"math"
	"slices"
)

// Chaotic is a scenario of chaos with what the rules allow in it.
type Chaotic struct {
	*Scenario
	Calm    int  // s: from when on nothing happens any more
	AnyTime bool // steps are allowed at any time, by the rules
}

// Chaos returns a scenario in which everything happens at once, drawn from the
// seed: sources lie, alone and together, up to half of them (which must stop
// the updates, not mislead them); they vanish and come back, answer late,
// twice, in disorder, refuse, limit the rate, change their minds about leap
// seconds; routes change, queues stand for hours on one side; the machine
// sleeps, others set its clock and rate, the daemon stands still; the
// oscillator is far off, ages, and jumps with the temperature; sources are
// added and removed. In some, for a while, all sources together say something
// else than the truth. The last part of the run is calm.
//
// At any time at which the bound is judged, honest sources that answer are at
// least as many as lying ones.
func Chaos(seed uint64) *Chaotic {
	g := &generator{stream(seed, 78)}
	s := &Scenario{Name: "chaos", MinPoll: 2 + g.IntN(6)}
	s.MaxPoll = s.MinPoll
	if g.chance(0.5) {
		s.MaxPoll = min(10, s.MinPoll+1+g.IntN(5))
	}
	calm := 3000 + g.IntN(4000) + 60<<s.MinPoll
	s.Length = calm + 6000 + 60<<s.MinPoll
	s.WarmUp = s.Length - 500
	c := &Chaotic{Scenario: s, Calm: calm, AnyTime: g.chance(0.3)}
	s.Offset = g.sign() * g.scale(1e-6, 900)
	s.Oscillator = Oscillator{Frequency: g.uniform(-300e-6, 300e-6), Wander: g.scale(1e-11, 2e-8), Trend: g.weather(float64(calm))}
	if g.chance(0.3) {
		s.StampNoise = g.scale(1e-8, 3e-5)
	}
	if g.chance(0.3) {
		s.Granularity = int64(g.scale(10, 20_000))
	}
	g.crowd(c)
	g.accidents(c)
	return c
}

// weather draws what the room does to the oscillator: within 12 ppm at once,
// less than the 15 ppm that are assumed to be unseen.
func (g *generator) weather(until float64) func(float64) float64 {
	at, by := g.uniform(0.1, 1)*until, g.sign()*g.scale(1e-7, 6e-6)
	ageing := g.sign() * g.scale(1e-9, 1e-6) / 86400
	amplitude, period := g.scale(1e-8, 2e-6), g.scale(600, 86400)
	shock, rhythm := g.chance(0.4), g.chance(0.5)
	return func(t float64) float64 {
		y := ageing * t
		if shock {
			y += by * step(t-at)
		}
		if rhythm {
			y += amplitude * math.Sin(2*math.Pi*t/period)
		}
		return y
	}
}

// crowd draws the servers. As many of them may be in trouble as are honest
// beyond the number of liars.
func (g *generator) crowd(c *Chaotic) {
	n := 1 + g.IntN(8)
	liars := 0
	if n >= 2 && g.chance(0.6) {
		liars = 1 + g.IntN(n/2)
	}
	until := float64(c.Calm)
	plot := g.lies(until) // of those who lie together
	together := g.chance(0.5)
	spare := n - 2*liars
	c.Servers = make([]Server, n)
	for i := range c.Servers {
		s := g.server()
		if liars > 0 {
			s.Up.Loss = min(s.Up.Loss, 0.05)
		}
		switch {
		case i < liars && together:
			s.Offset = plot
		case i < liars:
			s.Offset = g.lies(until)
		case i < liars+spare && g.chance(0.7):
			g.mischief(&s, until)
		}
		g.messenger(&s, until)
		c.Servers[i] = s
	}
	g.Shuffle(n, func(i, j int) { c.Servers[i], c.Servers[j] = c.Servers[j], c.Servers[i] })
	if liars == 0 {
		g.sweep(c)
	}
}

// sweep lets all servers go wrong together for a while, or sources come and go.
func (g *generator) sweep(c *Chaotic) {
	from := g.uniform(0.1, 0.7) * float64(c.Calm)
	switch g.IntN(3) {
	case 0:
		length, by := g.uniform(30, 1000), g.sign()*g.scale(1e-3, 2000)
		for i := range c.Servers {
			own := c.Servers[i].Offset
			c.Servers[i].Kiss = nil // its last word must not be the lie
			c.Servers[i].Offset = func(t float64) float64 {
				o := 0.0
				if own != nil {
					o = own(t)
				}
				if t >= from && t < from+length {
					o += by
				}
				return o
			}
		}
		// What was slewed in that time has to be slewed back; steps and
		// what is still remembered of it need some polls.
		until := from + 2*length + 100 + 30*math.Exp2(float64(c.MaxPoll))
		c.Calm = max(c.Calm, int(until))
		calm := float64(c.Calm) // until then who said it may be silent
		c.Lost = func(t float64) bool { return t >= from && t < calm }
		c.Length = c.Calm + 6000 + 60<<c.MinPoll
	case 1:
		c.Absent = make([]bool, len(c.Servers))
		for i := 1; i < len(c.Servers); i++ {
			c.Absent[i] = g.chance(0.5)
			join, leave := Event{Kind: Join, Server: i, At: 1 + g.IntN(c.Calm)}, Event{Kind: Leave, Server: i, At: 1 + g.IntN(c.Calm)}
			switch {
			case c.Absent[i]:
				leave.At = join.At + 1 + g.IntN(c.Calm)
				c.Events = append(c.Events, join)
				if leave.At < c.Calm {
					c.Events = append(c.Events, leave)
				}
			default:
				c.Events = append(c.Events, leave)
			}
		}
	}
}

// lies draws how a wrong clock is wrong until a time, or for ever.
func (g *generator) lies(until float64) func(float64) float64 {
	size, from, period := g.sign()*g.scale(1e-4, 1e4), g.uniform(0, until), g.scale(100, until)
	rate := g.sign() * g.scale(1e-8, 1e-3)
	end := until
	if g.chance(0.3) {
		end = math.Inf(1)
	}
	var lie func(float64) float64
	switch g.IntN(6) {
	case 0: // constant
		lie = func(float64) float64 { return size }
	case 1: // from some time on
		lie = func(t float64) float64 { return size * step(t-from) }
	case 2: // square wave
		lie = func(t float64) float64 { return size * step(math.Sin(2*math.Pi*t/period)) }
	case 3: // ramp from 0: drags at the edge of the others
		lie = func(t float64) float64 { return rate * max(0, t-from) }
	case 4: // saw tooth: drags, lets go, drags again
		lie = func(t float64) float64 { return rate * math.Mod(t, period) }
	default: // small and slow
		small := g.scale(1e-5, 1e-2)
		lie = func(t float64) float64 { return small * math.Sin(2*math.Pi*t/period) }
	}
	return func(t float64) float64 {
		if t >= end {
			return 0
		}
		return lie(t)
	}
}

// mischief is what happens to a server of which enough others are there: also
// lies, for a time.
func (g *generator) mischief(s *Server, until float64) {
	if g.chance(0.2) {
		from := g.uniform(0, 0.9) * until
		kiss := KissRate
		if g.chance(0.3) {
			kiss = KissDeny
		}
		length := g.uniform(10, 300)
		s.Kiss = func(t float64) Kiss {
			if t >= from && t < from+length {
				return kiss
			}
			return NoKiss
		}
		return
	}
	g.trouble(s, until)
}

// messenger draws how answers arrive, and what they announce.
func (g *generator) messenger(s *Server, until float64) {
	if g.chance(0.2) {
		s.Tardy = g.uniform(0, 0.5)
	}
	if g.chance(0.2) {
		s.Stale = g.uniform(0, 0.5)
	}
	if !g.chance(0.3) {
		return
	}
	status, flips := s.Status, g.scale(10, until)
	s.Status = func(t float64) Status {
		st := Status{Stratum: 1}
		if status != nil {
			st = status(t)
		}
		st.Leap = int(math.Mod(t/flips, 3)) - 1
		return st
	}
}

// accidents draws what happens to the machine.
func (g *generator) accidents(c *Chaotic) {
	for range g.IntN(5) {
		e := Event{At: 1 + g.IntN(c.Calm)}
		switch e.Kind = EventKind(g.IntN(4)); e.Kind {
		case Suspend:
			e.Duration, e.Value = 1+int(g.scale(1, 3000)), g.uniform(-0.5, 0.5)
		case SetClock:
			e.Value = g.sign() * g.scale(1e-5, 0.5)
		case SetRate:
			e.Value = g.uniform(-450e-6, 450e-6)
		case StallDaemon:
			e.Duration = 1 + int(g.scale(1, 600))
		}
		c.Events = append(c.Events, e)
	}
	slices.SortStableFunc(c.Events, func(a, b Event) int { return cmp.Compare(a.At, b.At) })
	for i := range c.Events { // a sleeping machine does nothing
		if i > 0 {
			before := &c.Events[i-1]
			c.Events[i].At = max(c.Events[i].At, before.At+before.Duration+2)
		}
	}
	if n := len(c.Events); n > 0 {
		last := c.Events[n-1]
		c.Calm = max(c.Calm, last.At+last.Duration)
		c.Length = max(c.Length, c.Calm+6000+60<<c.MinPoll)
	}
	c.WarmUp = c.Length - 500
}
