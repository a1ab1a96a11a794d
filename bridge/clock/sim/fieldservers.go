package sim

import "math"

// rollover is by how much a clock is behind whose GPS receiver counts weeks
// modulo 1024, s.
const rollover = -1024 * 7 * 86400.0

// serversGoWrong are servers that lie for a while, alone, as a minority and as
// a majority, and oscillators of boards and of rooms whose temperature jumps.
func serversGoWrong() []Fielded {
	leap := many("leap1of3", 3)
	leap.Servers[2].Offset = during(50000, 136400, 1)
	week := three("rollover1")
	week.Servers = week.Servers[:1]
	week.Servers[0].Offset = during(30000, 37200, rollover)
	majority := many("majority40ms", 5)
	majority.Length = 80000
	for i := range 3 {
		majority.Servers[i].Offset = during(30000, 33600, 40e-3)
	}
	majority.Lost = func(t float64) bool { return t >= 30000 && t < 37200 } // nobody can know
	first := many("badfirst", 4)
	first.Length = 80000
	first.Servers[0].Offset = func(float64) float64 { return rollover }
	two := many("two", 2)
	two.Length = 60000
	two.Servers[1].Offset = func(float64) float64 { return 10e-3 }
	room := usual("jump30auto", 6, 160000, 32000, symmetric(10e-3, 1e-3), symmetric(12e-3, 1e-3), symmetric(15e-3, 1e-3))
	room.MaxPoll = 10
	room.Oscillator.Trend = func(t float64) float64 { return 30e-6 * step(t-80500) }
	room.Lost = func(t float64) bool { return t >= 80500 && t < 90000 } // faster than the 15 ppm that are claimed
	board := usual("rpi", 6, 200000, 32000, symmetric(10e-3, 0.5e-3), symmetric(15e-3, 0.5e-3), symmetric(20e-3, 1e-3))
	board.Oscillator.Wander = 3e-9
	board.Oscillator.Trend = func(t float64) float64 {
		phase := math.Mod(t/1200, 1)
		return 1.5e-6*(1-4*math.Abs(phase-0.5)) + 3e-6*math.Sin(2*math.Pi*t/86400)
	}
	// Servers that smear a leap second over the day around it, and tell nobody.
	smeared := func(name string, k, n int) *Scenario {
		s := many(name, n)
		for i := range k {
			s.Servers[i].Offset = func(t float64) float64 {
				switch {
				case t < 100000-43200 || t >= 100000+43200:
					return 0
				case t < 100000:
					return -(t - (100000 - 43200)) / 86400
				}
				return (100000 + 43200 - t) / 86400
			}
		}
		return s
	}
	half, most := smeared("smear2of4", 2, 4), smeared("smear3of5", 3, 5)
	most.Lost = func(t float64) bool { return t >= 100000-43200 } // they are the majority
	near := usual("poll1", 1, 20000, 4000, symmetric(50e-6, 5e-6))
	return []Fielded{
		{Scenario: leap, Chrony: 46e-6, Most: 46e-6}, {Scenario: week, Worst: 2e-3}, {Scenario: majority, Chrony: 8.6e-3, Most: 9.2e-3},
		{Scenario: first, Worst: 300e-6}, {Scenario: two}, {Scenario: room, Chrony: 3850e-6, Most: 300e-6},
		{Scenario: half, Chrony: 137e-3, Most: 137e-3}, {Scenario: most, Chrony: 195e-3, Most: 195e-3},
		{Scenario: board, Chrony: 240e-6, Most: 105e-6}, {Scenario: near, Chrony: 0.54e-6, Most: 0.4e-6},
	}
}
