package sim

import (
	"math"
	"math/rand/v2"

	"ntsbridge/bridge/clock/discipline"
)

// Fielded is a scenario from the field, with what chronyd 4.3 did in it
// (unmodified, default options with makestep 1 3, medians of 3 or 7 seeds), and
// what is accepted of us.
type Fielded struct {
	*Scenario
	Chrony  float64 // RMS, s; 0: not known, or no measure
	Most    float64 // RMS accepted, s; 0: not judged
	Worst   float64 // largest error accepted after the warm-up, s; 0: not judged
	Honest  float64 // by which factor the reported deviation may be off, either way; 0: not judged
	Event   int     // s: after which the error is to come below 1 ms for good,
	Settle  float64 // in so many seconds; 0: not judged
	ChronyS float64 // seconds chronyd needed for it; 0: not known
	Policy  func(*discipline.Config)
	Seeds   int // of the whole table; 0: 3, or 7 where Honest is judged
}

// fastField are those that every test run lives through, with one seed.
var fastField = []string{"gps1sprefer", "docsis", "lanoneside", "f+1000ppm", "f-5000ppm", "backup3s", "migration", "vmtools"}

// Field returns the scenarios from the field.
func Field() []Fielded {
	var list []Fielded
	list = append(list, clocksGoWrong()...)
	list = append(list, oneSidedQueues()...)
	list = append(list, farOscillators()...)
	list = append(list, standstills()...)
	list = append(list, serversGoWrong()...)
	return list
}

// three are three servers near by.
func three(name string) *Scenario {
	return usual(name, 6, 60000, 10000, symmetric(2e-3, 200e-6), symmetric(3e-3, 200e-6), symmetric(4e-3, 200e-6))
}

// many are n servers in the internet.
func many(name string, n int) *Scenario {
	s := usual(name, 6, 200000, 10000)
	for i := range n {
		s.Servers = append(s.Servers, symmetric(5e-3+2e-3*float64(i), 500e-6))
	}
	return s
}

// during is an offset between two times.
func during(from, to, by float64) func(float64) float64 {
	return func(t float64) float64 {
		if t >= from && t < to {
			return by
		}
		return 0
	}
}

// gps is a reference clock with 1 us of noise beside its own error.
func gps(offset func(float64) float64) Server {
	random := stream(11, 98)
	return Server{Role: Role{RefClock: true}, Poll: 4, Offset: func(t float64) float64 { return offset(t) + 1e-6*random.NormFloat64() }}
}

// away loses all requests between two times.
func away(from, to float64) func(float64, *rand.Rand) float64 {
	return func(t float64, _ *rand.Rand) float64 {
		if t >= from && t < to {
			return math.Inf(-1)
		}
		return 0
	}
}

// clocksGoWrong are reference clocks that are wrong, silent, or die beside
// servers of the network, alone and in mixes.
func clocksGoWrong() []Fielded {
	none := func(float64) float64 { return 0 }
	scenario := func(name string, n int, clock Server, lost func(float64, *rand.Rand) float64) *Scenario {
		s := many(name, n)
		s.Length = 80000
		clock.Up.Extra = lost
		s.Servers = append(s.Servers, clock)
		return s
	}
	wrong := scenario("gps1s", 4, gps(during(20000, 40000, 1)), nil)
	roll := scenario("gpsroll", 4, gps(during(20000, 40000, -619315200)), nil)
	dead := scenario("gpsdead", 4, gps(none), away(20000, math.Inf(1)))
	mute := scenario("gpsmute", 4, gps(none), away(0, math.Inf(1)))
	preferred := scenario("gps1sprefer", 4, gps(during(20000, 40000, 1)), nil)
	preferred.Servers[4].Role.Prefer = true
	keys := scenario("gps1skeys", 4, gps(during(20000, 40000, 1)), nil)
	for i := range 3 {
		keys.Servers[i].Role.Authenticated = true
	}
	bad := scenario("gpsbadfirst", 3, gps(none), nil)
	bad.Servers[3] = gps(func(float64) float64 { return -619315200 })
	list := []Fielded{
		{Scenario: wrong, Worst: 200e-6}, {Scenario: roll, Worst: 200e-6}, {Scenario: preferred, Worst: 1e-3},
		{Scenario: keys, Worst: 200e-6}, {Scenario: dead, Worst: 300e-6}, {Scenario: mute, Worst: 300e-6}, {Scenario: bad, Worst: 300e-6},
	}
	return list
}

// farOscillators are those of boards and virtual machines, beyond the 500 ppm
// of the kernel's frequency.
func farOscillators() []Fielded {
	var list []Fielded
	for _, x := range []struct {
		name string
		y    float64
	}{{"f+490ppm", 490e-6}, {"f+530ppm", 530e-6}, {"f+600ppm", 600e-6}, {"f+1000ppm", 1000e-6}, {"f-800ppm", -800e-6},
		{"f+1944ppm", 1944e-6}, {"f-5000ppm", -5000e-6}} {
		s := three(x.name)
		s.Length, s.Oscillator.Frequency = 30000, x.y
		f := Fielded{Scenario: s, Chrony: 20e-6, Most: 10.4e-6, Honest: 1.5}
		if math.Abs(x.y) > 1000e-6 {
			f.Chrony = 0 // not measured
		}
		list = append(list, f)
	}
	return list
}

// standstills are pauses of virtual machines that no clock shows, sleeps that
// the kernel tells of, migrations to other hosts, and guest tools that set the
// clock.
func standstills() []Fielded {
	event := func(name string, events ...Event) *Scenario {
		s := three(name)
		s.Events = events
		s.Lost = func(t float64) bool { // until the sources were heard
			for _, e := range events {
				heard := float64(e.At+e.Duration) + max(300, 2.2*math.Exp2(float64(s.MaxPoll)))
				if e.Kind == Pause && t >= float64(e.At) && t < heard {
					return true
				}
			}
			return false
		}
		return s
	}
	migrated := event("migration", Event{At: 20000, Kind: Pause, Duration: 2})
	migrated.Oscillator.Trend = func(t float64) float64 { return -35e-6 * step(t-20000) }
	tools := event("vmtools")
	for at := 12000; at < 60000; at += 3600 {
		tools.Events = append(tools.Events, Event{At: at, Kind: SetClock, Value: 0.2})
	}
	prefer := event("pause600prefer", Event{At: 20000, Kind: Pause, Duration: 600})
	prefer.Servers[0].Role.Prefer = true
	ntpdLike := func(c *discipline.Config) {
		c.StepThreshold, c.StepUpdates, c.StepAnyTime, c.StepOut = 0.128, 1, true, 300
	}
	one := three("server1s")
	one.Servers = one.Servers[:1]
	one.Servers[0].Offset = during(30000, 30600, 1)
	one.Lost = func(t float64) bool { return t >= 30000 && t < 33000 }
	lone := func(name string, poll, length int, events ...Event) *Scenario {
		s := event(name, events...)
		s.Servers, s.MinPoll, s.MaxPoll, s.Length = s.Servers[:1], poll, poll, length
		return s
	}
	three4 := event("backup3s-p4", Event{At: 20000, Kind: Pause, Duration: 3})
	three4.MinPoll, three4.MaxPoll = 4, 4
	migrated1 := lone("migration1", 6, 60000, migrated.Events...)
	migrated1.Oscillator.Trend = migrated.Oscillator.Trend
	tools1 := lone("vmtools1", 6, 60000, tools.Events...)
	auto := lone("backup3s1-auto", 6, 60000, Event{At: 20000, Kind: Pause, Duration: 3})
	auto.MaxPoll = 10
	resumed := Event{At: 20000, Kind: Suspend, Duration: 7200, Value: 0.4}
	return []Fielded{
		{Scenario: one, Chrony: 106e-3, Most: 106e-3}, // who jumped: the machine or its only source? Today as if it were the machine
		settling(event("backup3s", Event{At: 20000, Kind: Pause, Duration: 3}, Event{At: 40000, Kind: Pause, Duration: 3}), 40003, 345),
		settling(three4, 20003, 91),
		settling(event("pause1s", Event{At: 20000, Kind: Pause, Duration: 1}), 20001, 369),
		settling(lone("backup3s1", 6, 60000, Event{At: 20000, Kind: Pause, Duration: 3}), 20003, 374),
		settling(lone("pause1s1", 6, 60000, Event{At: 20000, Kind: Pause, Duration: 1}), 20001, 373),
		settling(lone("backup3s1-p4", 4, 40000, Event{At: 20000, Kind: Pause, Duration: 3}), 20003, 88),
		settling(lone("pause1s1-p4", 4, 40000, Event{At: 20000, Kind: Pause, Duration: 1}), 20001, 87),
		settling(lone("backup3s1-p8", 8, 60000, Event{At: 20000, Kind: Pause, Duration: 3}), 20003, 1476),
		settling(auto, 20003, 1092),
		settling(event("snapshot10m", Event{At: 20000, Kind: Pause, Duration: 600}), 20600, 7372),
		settling(lone("snapshot10m1", 6, 60000, Event{At: 20000, Kind: Pause, Duration: 600}), 20600, 7570),
		settling(migrated, 20002, 494), settling(migrated1, 20002, 492),
		settling(event("resume", resumed), 27200, 368), settling(lone("resume1", 6, 60000, resumed), 27200, 373),
		settling(tools, 58800, 354), settling(tools1, 58800, 358),
		{Scenario: prefer, Event: 20600, Settle: 500, Policy: ntpdLike},
	}
}

// settling is judged by the seconds from an event until the clock is right for
// good, which must be fewer than chronyd's.
func settling(s *Scenario, event int, chronyd float64) Fielded {
	return Fielded{Scenario: s, Event: event, Settle: chronyd, ChronyS: chronyd}
}

// Failures returns what a run misses of what is accepted.
func (f *Fielded) Failures(r *Result) []string {
	var missed []string
	miss := func(what string, got, limit float64) {
		if limit > 0 && !(got <= limit) {
			missed = append(missed, what+" "+short(got)+", accepted "+short(limit))
		}
	}
	miss("RMS us", r.RMS*1e6, f.Most*1e6)
	miss("max us", r.Max*1e6, f.Worst*1e6)
	miss("settled s", r.Settled, f.Settle)
	if f.Honest > 0 {
		miss("reported deviation", max(r.Reported, 1/r.Reported), f.Honest)
	}
	return missed
}
