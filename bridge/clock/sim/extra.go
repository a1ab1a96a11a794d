package sim

import (
	"math"
	"math/rand/v2"
)

// LimitA is the RMS error, s, of the best filter that ignores the delay: a
// stationary Kalman filter of phase and frequency for a variance of the
// offsets (s^2), a poll interval (s) and a wander (1/sqrt(s)), at small gain.
func LimitA(variance, poll, wander float64) float64 {
	return math.Sqrt(math.Sqrt(2*wander) * math.Pow(variance*poll, 0.75))
}

// shapes are the noises other than exponential, each with the variance of its
// random part and how much its correlation in time multiplies it.
var shapes = []struct {
	name     string
	shape    Shape
	variance float64
}{
	{"half", HalfNormal, math.Pi/2 - 1},
	{"bell", Bell, 1},
	{"lognorm", LogNormal, math.E - 1},
	{"pareto", Pareto, 0.36 * 2.5 / (1.5 * 1.5 * 0.5)},
	{"queue", Queue, 2 * (1 + 0.81) / (1 - 0.81)},
}

// Noisy is a scenario with noise for which chronyd's and ntpd's figures are
// partly unknown, and the limit that it is compared with.
type Noisy struct {
	*Scenario
	Limit  float64 // limit A, s
	Chrony float64 // chronyd 4.3, RMS s; 0: not measured
}

// chronyNoise are chronyd 4.3's RMS errors under other noises, median of 5
// seeds, s.
var chronyNoise = map[string]float64{"bell-lan50": 11.3e-6, "bell-wan1ms": 212e-6}

// NoisyScenarios returns lan50 and wan1ms under other noises, and with worse
// timestamps.
func NoisyScenarios() []Noisy {
	var list []Noisy
	add := func(s *Scenario, variance, poll float64) {
		list = append(list, Noisy{s, LimitA(variance, poll, quiet), chronyNoise[s.Name]})
	}
	for _, base := range []struct {
		name         string
		poll, length int
		base, jitter float64
	}{{"lan50", 4, 40000, 100e-6, 50e-6}, {"wan1ms", 6, 160000, 10e-3, 1e-3}} {
		for _, x := range shapes {
			server := symmetric(base.base, base.jitter)
			server.Up.Shape, server.Down.Shape = x.shape, x.shape
			s := usual(x.name+"-"+base.name, base.poll, base.length, base.length/5, server)
			add(s, x.variance*base.jitter*base.jitter/2, math.Exp2(float64(base.poll)))
		}
	}
	for _, jitter := range []float64{10e-6, 50e-6} {
		name := map[float64]string{10e-6: "lan10", 50e-6: "lan50"}[jitter]
		s := usual("stamps-"+name, 4, 40000, 8000, symmetric(100e-6, jitter))
		s.StampNoise = 10e-6
		add(s, jitter*jitter/2+10e-6*10e-6/2, 16)
	}
	s := usual("coarse-lan10", 4, 40000, 8000, symmetric(100e-6, 10e-6))
	s.Granularity = 1000
	add(s, 10e-6*10e-6/2, 16)
	lossy := symmetric(10e-3, 1e-3)
	lossy.Up.Loss = 0.5
	add(usual("lossy-wan1ms", 6, 160000, 32000, lossy), 1e-6/2, 128)
	return list
}

// Hard returns scenarios of what happens to clocks and paths in the field:
// for them there are no anchors.
func Hard() []*Scenario {
	return []*Scenario{
		square("square", 0.2e-6, 5), square("thermal", 5e-6, 4), ramp(), reroute("reroute1", 1), reroute("reroute3", 3), tails(),
		intermittent(),
		unequal(), subtle(), stubborn(), refclock(), jumpyServer(), wobbly(), daily(), slept(), meddled(), stalled(),
		restless(), mixed(), pool(),
	}
}

// square is a frequency that jumps, as with a fan or a load.
func square(name string, amplitude float64, poll int) *Scenario {
	s := usual(name, poll, 60000, 10000, symmetric(100e-6, 50e-6))
	s.Oscillator.Trend = func(t float64) float64 {
		if math.Mod(t, 10000) < 5000 {
			return amplitude
		}
		return -amplitude
	}
	return s
}

// ramp is a machine that warms up by 10 ppm in an hour.
func ramp() *Scenario {
	s := usual("ramp", 6, 40000, 8000, symmetric(1e-3, 100e-6))
	s.Oscillator.Trend = func(t float64) float64 { return 10e-6 * min(max((t-15000)/3600, 0), 1) }
	s.Windows = []Window{{"ramp", 15000, 20000}}
	return s
}

// reroute is a path that gets 6 ms longer one way for some hours.
func reroute(name string, n int) *Scenario {
	s := usual(name, 6, 90000, 16000, symmetric(3e-3, 200e-6), symmetric(4e-3, 200e-6), symmetric(6e-3, 200e-6))
	s.Servers = s.Servers[:n]
	s.Servers[0].Up.Extra = func(t float64, _ *rand.Rand) float64 {
		if t >= 30000 && t < 60000 {
			return 6e-3
		}
		return 0
	}
	s.Windows = []Window{{"during", 30000, 60000}, {"after", 60000, 64000}}
	return s
}

func tails() *Scenario {
	server := symmetric(20e-3, 0)
	heavy := func(_ float64, random *rand.Rand) float64 { return 2e-3 * random.ExpFloat64() * random.ExpFloat64() }
	server.Up.Extra, server.Down.Extra = heavy, heavy
	server.Up.Loss, server.Down.Loss = 0.3, 0.3
	return usual("tails", 6, 160000, 32000, server)
}

// intermittent is a network that is there for ten minutes an hour.
func intermittent() *Scenario {
	server := symmetric(5e-3, 500e-6)
	server.Up.Extra = func(t float64, _ *rand.Rand) float64 {
		if !congested(t, 3600, 300) {
			return -1
		}
		return 0
	}
	s := usual("intermittent", 4, 108000, 18000, server)
	s.Oscillator.Wander = 3e-9
	return s
}

// unequal has four paths with asymmetries of their own, 0.6 ms at most, and
// the nearest source away for some hours.
func unequal() *Scenario {
	var servers []Server
	for i, asymmetry := range []float64{0.1e-3, -0.6e-3, 0.4e-3, -0.3e-3} {
		server := symmetric([]float64{3e-3, 8e-3, 10e-3, 15e-3}[i], 300e-6)
		server.Up.Base += asymmetry
		server.Down.Base -= asymmetry
		servers = append(servers, server)
	}
	servers[0].Up.Extra = func(t float64, _ *rand.Rand) float64 {
		if t >= 60000 && t < 80000 {
			return -1
		}
		return 0
	}
	s := usual("unequal", 6, 120000, 24000, servers...)
	s.Windows = []Window{{"without", 60000, 80000}}
	return s
}

// subtle has a wrong server whose error of 5 ms hides in its delay.
func subtle() *Scenario {
	s := usual("subtle", 6, 120000, 24000, symmetric(10e-3, 500e-6), symmetric(12e-3, 500e-6), symmetric(11e-3, 500e-6),
		symmetric(9e-3, 500e-6))
	s.Servers[3].Offset = func(t float64) float64 {
		if t > 50000 {
			return 5e-3
		}
		return 0
	}
	return s
}

// stubborn has two liars of five that agree with each other, from the start.
func stubborn() *Scenario {
	s := usual("liars", 6, 80000, 16000, symmetric(5e-3, 500e-6), symmetric(6e-3, 500e-6), symmetric(7e-3, 500e-6),
		symmetric(1e-3, 100e-6), symmetric(1e-3, 100e-6))
	lie := func(float64) float64 { return -0.2 }
	s.Servers[3].Offset, s.Servers[4].Offset = lie, lie
	return s
}

// refclock has no delay at all, only noise of 1 us in its time.
func refclock() *Scenario {
	s := usual("refclock", 4, 40000, 8000, Server{})
	random := stream(7, 99)
	s.Servers[0].Offset = func(float64) float64 { return 1e-6 * random.NormFloat64() }
	return s
}

// jumpyServer steps by 20 ms for an hour, alone.
func jumpyServer() *Scenario {
	s := usual("serverstep", 6, 60000, 10000, symmetric(2e-3, 200e-6), symmetric(3e-3, 200e-6), symmetric(4e-3, 200e-6))
	s.Servers[0].Offset = func(t float64) float64 {
		if t > 30000 && t < 33600 {
			return 20e-3
		}
		return 0
	}
	return s
}

// wobbly is a server whose own clock wanders by 200 us in half an hour.
func wobbly() *Scenario {
	s := usual("wobbly", 6, 100000, 20000, symmetric(1e-3, 50e-6), symmetric(1e-3, 50e-6), symmetric(1.2e-3, 50e-6))
	s.Servers[1].Offset = func(t float64) float64 { return 200e-6 * math.Sin(2*math.Pi*t/1800) }
	return s
}

// daily is a WAN with congestion one way in the day, and a daily rhythm of
// the temperature, 1 ppm.
func daily() *Scenario {
	server := symmetric(15e-3, 500e-6)
	server.Down.Extra = func(t float64, random *rand.Rand) float64 {
		return 5e-3 * max(0, math.Sin(2*math.Pi*t/86400)) * random.ExpFloat64()
	}
	s := usual("daily", 6, 260000, 86400, server)
	s.Oscillator.Trend = func(t float64) float64 { return 1e-6 * math.Sin(2*math.Pi*t/86400) }
	return s
}

func slept() *Scenario {
	s := usual("slept", 6, 60000, 10000, symmetric(2e-3, 200e-6), symmetric(3e-3, 200e-6), symmetric(4e-3, 200e-6))
	s.Events = []Event{{At: 30000, Kind: Suspend, Duration: 7200, Value: 0.3}}
	s.Windows = []Window{{"later", 42000, 60000}}
	return s
}

func meddled() *Scenario {
	s := usual("meddled", 6, 60000, 10000, symmetric(100e-6, 50e-6))
	s.Events = []Event{{At: 20000, Kind: SetRate, Value: 50e-6}, {At: 30000, Kind: SetClock, Value: 0.05}}
	s.Windows = []Window{{"later", 32000, 60000}}
	return s
}

func stalled() *Scenario {
	s := usual("stalled", 6, 60000, 10000, symmetric(100e-6, 50e-6))
	s.Events = []Event{{At: 30000, Kind: StallDaemon, Duration: 3000}}
	return s
}

// restless is an oscillator a hundred times worse than usual.
func restless() *Scenario {
	s := usual("restless", 6, 80000, 16000, symmetric(1e-3, 100e-6))
	s.Oscillator.Wander = 1e-7
	return s
}

// mixed has a source near and two far away.
func mixed() *Scenario {
	return usual("mixed", 6, 80000, 16000, symmetric(100e-6, 20e-6), symmetric(10e-3, 1e-3), symmetric(15e-3, 2e-3))
}

// pool has eight sources at all distances.
func pool() *Scenario {
	s := usual("pool", 8, 200000, 40000)
	for i := range 8 {
		s.Servers = append(s.Servers, symmetric(5e-3*float64(i+1), 1e-3))
	}
	return s
}
