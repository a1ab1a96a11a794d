package sim

import (
	"math"
	"testing"
)

// minority draws a scenario in which fewer than half of the sources lie: from
// some time on, together or each on its own, by anything from 0.01 ms to
// hours, at once or slowly; near or far, asked often or rarely, with intervals that
// adapt or not. Some honest ones are lost now and then; more than half answer.
func minority(seed uint64) *Scenario {
	g := &generator{stream(seed, 79)}
	s := &Scenario{Name: "minority", MinPoll: 3 + g.IntN(8), Offset: g.sign() * g.scale(1e-6, 0.5),
		Oscillator: Oscillator{Frequency: g.uniform(-300e-6, 300e-6), Wander: g.scale(1e-11, 3e-9)}}
	s.MaxPoll = min(11, s.MinPoll+g.IntN(8))
	interval := 1 << s.MaxPoll
	s.WarmUp = 600 + 12*interval
	s.Length = s.WarmUp + 2000 + 40*interval
	n := 3 + g.IntN(5)
	liars := 1 + g.IntN((n-1)/2)
	from := float64(s.WarmUp)
	lies := func() func(float64) float64 {
		if size := g.sign() * g.scale(1e-3, 0.1); g.chance(0.6) {
			return func(float64) float64 { return size }
		}
		return g.lies(float64(s.Length))
	}
	plot, together := lies(), g.chance(0.7)
	for i := range n {
		base := g.scale(30e-6, 5e-3)
		server := symmetric(base, base*g.scale(0.01, 0.3))
		server.Up.Loss = g.uniform(0, 0.1)
		if i < liars {
			lie := plot
			if !together {
				lie = lies()
			}
			late := from + g.uniform(0, 5000)
			server.Offset = func(t float64) float64 { return lie(t-late) * step(t-late) }
		}
		s.Servers = append(s.Servers, server)
	}
	g.Shuffle(n, func(i, j int) { s.Servers[i], s.Servers[j] = s.Servers[j], s.Servers[i] })
	return s
}

// TestMinorityMovesNothing holds the clock to what the honest sources' delays
// leave unknown, whatever fewer than half of the sources say, at any poll.
func TestMinorityMovesNothing(t *testing.T) {
	for i := range uint64(some(*chaosRuns, 6)) {
		seed := *randomSeed + i
		s := minority(seed)
		r := Run(s, NewProduct(s), seed)
		limit := 0.0 // of honest sources
		for j := range s.Servers {
			v := &s.Servers[j]
			limit = max(limit, (v.Up.Base+v.Down.Base)/2+3*(v.Up.Jitter+v.Down.Jitter))
		}
		poll := math.Exp2(float64(s.MaxPoll))
		limit += 1e-4 + 5*s.Oscillator.Wander*math.Pow(poll, 1.5) + 1e-6*poll
		if _, worst := rms(r.Error[s.WarmUp:]); worst > limit || r.Excess > 1 {
			t.Errorf("seed %d, poll %d to %d: error %v, honest delays allow %v; %.2f times the bound", seed, s.MinPoll, s.MaxPoll, worst,
				limit, r.Excess)
		}
	}
}
