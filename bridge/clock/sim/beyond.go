package sim

import (
	"math"
	"math/rand/v2"
)

// Judged is a scenario without anchors, with what theory says of it.
type Judged struct {
	*Scenario
	Limit float64 // limit A, RMS s; 0: not defined (the oscillator is no random walk)
	Most  float64 // RMS that is accepted, as a part of Limit, or s where there is none; 0: only the bound is judged
	End   float64 // largest error accepted in the last quarter of the run, s; 0: none
}

// Riccati is limit A without the approximation of a small gain: the
// stationary RMS error, s, averaged over the time between samples, of the best
// filter that ignores the delay, for a variance of the offsets (s^2), a poll
// interval (s) and a wander (1/sqrt(s)).
func Riccati(variance, poll, wander float64) float64 {
	q := wander * wander
	a, b, c := variance, 0.0, 1e-12 // after a sample
	for range 200_000 {
		pa := a + 2*poll*b + poll*poll*c + q*poll*poll*poll/3
		pb, pc := b+poll*c+q*poll*poll/2, c+q*poll
		gain := 1 / (pa + variance)
		na, nb, nc := pa-pa*pa*gain, pb-pa*pb*gain, pc-pb*pb*gain
		still := math.Abs(na-a) < 1e-9*na && math.Abs(nc-c) < 1e-9*nc
		a, b, c = na, nb, nc
		if still {
			break
		}
	}
	return math.Sqrt(a + poll*b + poll*poll*c/3 + q*poll*poll*poll/12)
}

// Beyond returns scenarios that nobody measured with another program: other
// polls, paths, oscillators, servers and starts than those of Scenarios.
func Beyond() []Judged {
	var list []Judged
	add := func(s *Scenario, limit, most, end float64) { list = append(list, Judged{s, limit, most, end}) }
	limited := func(s *Scenario, most, variance float64) {
		interval := math.Exp2(float64(s.MinPoll))
		add(s, Riccati(variance, interval, s.Oscillator.Wander), most, 0)
	}
	ofJitter := func(jitter float64) float64 { return jitter * jitter / 2 }

	limited(usual("poll3", 3, 20000, 4000, symmetric(100e-6, 50e-6)), 0.7, ofJitter(50e-6))
	limited(usual("lan1024", 10, 400000, 100000, symmetric(100e-6, 50e-6)), 1, ofJitter(50e-6))
	restlessWAN := usual("wan-wander8", 6, 160000, 32000, symmetric(10e-3, 1e-3))
	restlessWAN.Oscillator.Wander = 1e-8
	limited(restlessWAN, 0.8, ofJitter(1e-3))
	quietWAN := usual("wan-wander10", 6, 320000, 64000, symmetric(10e-3, 1e-3))
	quietWAN.Oscillator.Wander = 1e-10
	limited(quietWAN, 0.8, ofJitter(1e-3))
	limited(usual("combine2", 6, 160000, 32000, symmetric(10e-3, 1e-3), symmetric(10e-3, 1e-3)), 0.7, ofJitter(1e-3)/2)
	add(lopsided(), 0, 1e-3, 0)
	add(lopsided5(), 0, 600e-6, 0)
	limited(assorted(), 1, 1/(1/ofJitter(50e-6)+1/ofJitter(200e-6)+2/ofJitter(1e-3)))
	limited(bimodal(), 0.5, 2*(0.2e-3*0.2e-3+0.3*0.7*2e-3*2e-3)/4)
	add(diurnal(), 0, 120e-6, 0)
	limited(satellite("satellite", Bell, 5e-3), 1.3, 5e-3*5e-3/2)
	limited(satellite("satellite-exp", Exponential, 20e-3), 0.8, ofJitter(20e-3))
	add(still("still", 0), 0, 1e-6, 0)
	add(still("still-1us", 1000), 0, 1e-6, 0)
	limited(wifi(), 1, 1e-3*1e-3)
	add(lossyLAN(), Riccati(ofJitter(50e-6), 32, quiet), 0.7, 0)
	add(dayOut(), 0, 0, 50e-6)
	for _, x := range []struct {
		name              string
		frequency, offset float64
	}{{"start-10s", 100e-6, -10}, {"start1s", 20e-6, 1}, {"start1001ms", -20e-6, -1.001}, {"start400ms", 20e-6, 0.4},
		{"start-400ms", -200e-6, -0.4}, {"f-200ppm", -200e-6, 1e-3}, {"f450ppm", 450e-6, 1e-3}} {
		s := starting(x.name, x.frequency, x.offset)
		add(s, Riccati(ofJitter(50e-6), 64, quiet), 0.8, 0)
	}
	for _, x := range []struct {
		name string
		step float64
		poll int
	}{{"shock5-p4", 5e-6, 4}, {"shock5-p6", 5e-6, 6}, {"shock-14-p6", -14e-6, 6}} {
		add(shock(x.name, x.step, x.poll), 0, 0, 60e-6)
	}
	for _, x := range []struct {
		name              string
		amplitude, period float64
		most              float64
	}{{"sine600", 0.2e-6, 600, 40e-6}, {"sine1800", 0.5e-6, 1800, 40e-6}, {"sine7200", 1e-6, 7200, 40e-6},
		{"sine43200", 3e-6, 43200, 40e-6}} {
		s := usual(x.name, 6, 120000, 16000, symmetric(100e-6, 50e-6))
		s.Oscillator.Wander = 1e-10
		s.Oscillator.Trend = func(t float64) float64 { return x.amplitude * math.Sin(2*math.Pi*t/x.period) }
		add(s, 0, x.most, 0)
	}
	add(ageing(), Riccati(ofJitter(1e-3), 64, quiet), 0.8, 0)
	add(stratum2(), 0, 0, 0)
	add(serverChanged("serverjump1of1", 1), 0, 0, 1.2e-3)
	add(serverChanged("serverjump1of3", 3), 0, 0, 0.6e-3)
	add(serverChanged("serverjump1of5", 5), 0, 0, 0.3e-3)
	autoLAN := usual("auto-lan", 4, 160000, 32000, symmetric(100e-6, 50e-6))
	autoLAN.MaxPoll = 10
	add(autoLAN, 0, 20e-6, 0)
	autoFour := usual("auto-wan4", 6, 160000, 32000, symmetric(10e-3, 1e-3), symmetric(12e-3, 1e-3), symmetric(15e-3, 1e-3),
		symmetric(20e-3, 1e-3))
	autoFour.MaxPoll = 10
	add(autoFour, 0, 120e-6, 0)
	autoSine := sine()
	autoSine.Name, autoSine.MaxPoll = "auto-sine", 10
	add(autoSine, 0, 60e-6, 0)
	limited(mixedNoise(), 1.3, (1+math.E-1)*0.5e-3*0.5e-3/4)
	return list
}

// lopsided has three equal sources, one with 5 ms more on its way back: the
// mean of the three is 0.83 ms wrong, their median is right.
func lopsided() *Scenario {
	s := usual("asym3", 6, 160000, 32000, symmetric(10e-3, 1e-3), symmetric(10e-3, 1e-3), symmetric(10e-3, 1e-3))
	s.Servers[2].Down.Base += 5e-3
	return s
}

// lopsided5 has two such of five.
func lopsided5() *Scenario {
	s := usual("asym5", 6, 80000, 32000, symmetric(10e-3, 1e-3), symmetric(10e-3, 1e-3), symmetric(10e-3, 1e-3), symmetric(10e-3, 1e-3),
		symmetric(10e-3, 1e-3))
	s.Servers[1].Down.Base += 5e-3
	s.Servers[2].Down.Base += 4e-3
	return s
}

// assorted are eight sources of mixed quality.
func assorted() *Scenario {
	s := usual("mixed8", 6, 80000, 16000, symmetric(500e-6, 50e-6), symmetric(2e-3, 200e-6), symmetric(10e-3, 1e-3), symmetric(12e-3, 1e-3),
		symmetric(30e-3, 4e-3), symmetric(40e-3, 4e-3), symmetric(80e-3, 10e-3), symmetric(120e-3, 20e-3))
	for i := range s.Servers {
		asymmetry := 0.03 * s.Servers[i].Up.Base * math.Pow(-1, float64(i))
		s.Servers[i].Up.Base += asymmetry
		s.Servers[i].Down.Base -= asymmetry
	}
	s.Servers[0].Up.Base, s.Servers[0].Down.Base = 500e-6, 500e-6
	s.Servers[4].Up.Loss, s.Servers[6].Up.Loss = 0.2, 0.5
	return s
}

// bimodal has two ways to the server, as load balancing makes them: three in
// ten packets need 2 ms more, in each direction.
func bimodal() *Scenario {
	server := symmetric(5e-3, 200e-6)
	longer := func(_ float64, random *rand.Rand) float64 {
		if random.Float64() < 0.3 {
			return 2e-3
		}
		return 0
	}
	server.Up.Extra, server.Down.Extra = longer, longer
	return usual("bimodal", 6, 160000, 32000, server)
}

// diurnal is a path whose jitter goes from 0.2 to 5 ms in the rhythm of a day,
// both ways.
func diurnal() *Scenario {
	server := symmetric(10e-3, 200e-6)
	load := func(t float64, random *rand.Rand) float64 {
		return 4.8e-3 * (1 - math.Cos(2*math.Pi*t/86400)) / 2 * random.ExpFloat64()
	}
	server.Up.Extra, server.Down.Extra = load, load
	return usual("diurnal", 6, 260000, 43200, server)
}

// satellite is a path of 300 ms.
func satellite(name string, shape Shape, jitter float64) *Scenario {
	server := symmetric(300e-3, jitter)
	server.Up.Shape, server.Down.Shape = shape, shape
	return usual(name, 6, 320000, 64000, server)
}

// still is a path without any jitter.
func still(name string, granularity int64) *Scenario {
	s := usual(name, 6, 80000, 16000, symmetric(100e-6, 0))
	s.Granularity = granularity
	return s
}

// wifi has a radio link on the way: 2 ms, heavy tails, and bursts in which
// everything waits.
func wifi() *Scenario {
	server := symmetric(2e-3, 1e-3)
	server.Up.Shape, server.Down.Shape = Pareto, Pareto
	burst := func(t float64, random *rand.Rand) float64 {
		if math.Mod(t, 1000) < 150 {
			return 20e-3 * math.Pow(1-random.Float64(), -1/1.5)
		}
		return 0
	}
	server.Up.Extra, server.Down.Extra = burst, burst
	server.Up.Loss = 0.1
	return usual("wifi", 6, 160000, 32000, server)
}

func lossyLAN() *Scenario {
	server := symmetric(100e-6, 50e-6)
	server.Down.Loss = 0.5
	return usual("lossy-lan50", 4, 40000, 8000, server)
}

// dayOut loses its source for a day.
func dayOut() *Scenario {
	server := symmetric(100e-6, 50e-6)
	server.Up.Extra = func(t float64, _ *rand.Rand) float64 {
		if t >= 50000 && t < 50000+86400 {
			return math.Inf(-1)
		}
		return 0
	}
	s := usual("dayout", 6, 260000, 8000, server)
	s.Windows = []Window{{"outage", 50000, 136400}, {"next 1000 s", 136500, 137500}, {"later", 140000, 260000}}
	return s
}

// shock is a sudden change of the temperature.
func shock(name string, by float64, poll int) *Scenario {
	s := usual(name, poll, 60000, 8000, symmetric(100e-6, 50e-6))
	s.Oscillator.Trend = func(t float64) float64 { return by * step(t-30000) }
	s.Windows = []Window{{"shock", 30000, 31000}, {"later", 32000, 60000}}
	return s
}

// ageing is an oscillator that gets faster by 0.5 ppm a day.
func ageing() *Scenario {
	s := usual("ageing", 6, 160000, 32000, symmetric(10e-3, 1e-3))
	s.Oscillator.Trend = func(t float64) float64 { return 0.5e-6 * t / 86400 }
	return s
}

// stratum2 are servers with clocks that wander themselves, as they say in
// their root dispersion.
func stratum2() *Scenario {
	s := usual("stratum2", 6, 120000, 24000, symmetric(1e-3, 50e-6), symmetric(2e-3, 50e-6), symmetric(3e-3, 50e-6))
	for i := range s.Servers {
		period, phase := 2000+1500*float64(i), float64(i)
		s.Servers[i].Offset = func(t float64) float64 {
			return 100e-6*math.Sin(2*math.Pi*t/period+phase) + 50e-6*math.Sin(2*math.Pi*t/(3.7*period))
		}
		s.Servers[i].Status = func(float64) Status { return Status{Stratum: 2, RootDelay: 1e-3, RootDispersion: 200e-6} }
	}
	return s
}

// serverChanged has one server of n whose clock is another one's, 1 ms away,
// after half of the run.
func serverChanged(name string, n int) *Scenario {
	s := usual(name, 6, 80000, 16000, symmetric(2e-3, 100e-6), symmetric(3e-3, 100e-6), symmetric(4e-3, 100e-6), symmetric(3e-3, 100e-6),
		symmetric(3.5e-3, 100e-6))
	s.Servers = s.Servers[:n]
	s.Servers[0].Offset = func(t float64) float64 { return 1e-3 * step(t-40000) }
	s.Windows = []Window{{"before", 30000, 40000}, {"after", 42000, 80000}}
	return s
}

// mixedNoise has one direction of a bell, the other of a log-normal noise.
func mixedNoise() *Scenario {
	server := symmetric(5e-3, 0.5e-3)
	server.Up.Shape, server.Down.Shape = Bell, LogNormal
	server.Up.Base -= 3 * 0.5e-3 // means alike: nobody can see their difference
	return usual("mixednoise", 6, 160000, 32000, server)
}
