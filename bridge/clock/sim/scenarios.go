package sim

import (
	"math"
	"math/rand/v2"
)

// Quiet is the wander of a usual computer's oscillator at rest, 1/sqrt(s).
const quiet = 1e-9

// usual are the start values of most scenarios.
func usual(name string, poll, length, warmUp int, servers ...Server) *Scenario {
	return &Scenario{
		Name: name, Oscillator: Oscillator{Frequency: 20e-6, Wander: quiet}, Offset: 1e-3,
		MinPoll: poll, MaxPoll: poll, Length: length, WarmUp: warmUp, Servers: servers,
	}
}

// starting are scenarios that look at the start.
func starting(name string, frequency, offset float64) *Scenario {
	s := usual(name, 6, 20000, 8000, symmetric(100e-6, 50e-6))
	s.Oscillator.Frequency, s.Offset = frequency, offset
	return s
}

// congested tells whether t lies within half of the middle of its period.
func congested(t, period, half float64) bool {
	return math.Abs(math.Mod(t, period)-period/2) <= half
}

// Scenarios returns the scenarios in which chronyd and ntpd were measured, in
// the order of the anchors.
func Scenarios() []*Scenario {
	wanauto := usual("wanauto", 6, 160000, 32000, symmetric(10e-3, 1e-3))
	wanauto.MaxPoll = 10
	wander8 := usual("wander8", 4, 40000, 8000, symmetric(100e-6, 50e-6))
	wander8.Oscillator.Wander = 1e-8
	return []*Scenario{
		usual("lan10", 4, 40000, 8000, symmetric(100e-6, 10e-6)),
		usual("lan50", 4, 40000, 8000, symmetric(100e-6, 50e-6)),
		usual("lan100p6", 6, 80000, 16000, symmetric(100e-6, 100e-6)),
		dcburst(),
		usual("wan1ms", 6, 160000, 32000, symmetric(10e-3, 1e-3)),
		wanauto,
		usual("wan1024", 10, 400000, 100000, symmetric(10e-3, 1e-3)),
		wander8,
		sine(),
		spikes(),
		falsetick(),
		usual("combine4", 6, 160000, 32000, symmetric(10e-3, 1e-3), symmetric(10e-3, 1e-3),
			symmetric(10e-3, 1e-3), symmetric(10e-3, 1e-3)),
		holdover(),
		starting("start10s", 100e-6, 10),
		starting("start100ms", -50e-6, 0.1),
		starting("start0", 10e-6, 0),
	}
}

func dcburst() *Scenario {
	server := symmetric(50e-6, 5e-6)
	server.Down.Extra = func(t float64, random *rand.Rand) float64 {
		if congested(t, 600, 60) {
			return 500e-6 * random.ExpFloat64()
		}
		return 0
	}
	return usual("dcburst", 4, 40000, 8000, server)
}

func sine() *Scenario {
	s := usual("sine", 6, 188800, 16000, symmetric(100e-6, 50e-6))
	s.Oscillator.Wander = 1e-10
	s.Oscillator.Trend = func(t float64) float64 {
		return 0.5e-6*math.Sin(2*math.Pi*t/3600) + 2e-6*math.Sin(2*math.Pi*t/86400)
	}
	return s
}

// popcorn is a rare large delay.
func popcorn(_ float64, random *rand.Rand) float64 {
	if random.Float64() < 0.05 {
		return 50e-3 * random.ExpFloat64()
	}
	return 0
}

func spikes() *Scenario {
	server := symmetric(10e-3, 200e-6)
	server.Up.Extra = popcorn
	server.Down.Extra = func(t float64, random *rand.Rand) float64 {
		extra := popcorn(t, random)
		if congested(t, 7200, 450) {
			extra += 20e-3 * random.ExpFloat64()
		}
		return extra
	}
	return usual("spikes", 6, 160000, 32000, server)
}

func falsetick() *Scenario {
	s := usual("falsetick", 6, 160000, 32000, symmetric(2e-3, 200e-6), symmetric(5e-3, 200e-6),
		symmetric(10e-3, 200e-6), symmetric(20e-3, 200e-6))
	s.Servers[2].Offset = func(float64) float64 { return 30e-3 }
	return s
}

func holdover() *Scenario {
	server := symmetric(100e-6, 50e-6)
	server.Up.Extra = func(t float64, _ *rand.Rand) float64 {
		if t >= 20000 && t < 23600 {
			return -1
		}
		return 0
	}
	s := usual("holdover", 4, 32000, 8000, server)
	s.Windows = []Window{{"outage", 20000, 23600}, {"recovery", 23600, 24600}}
	return s
}
