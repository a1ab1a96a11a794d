package sim

import (
	"math"
	"testing"

	"ntsbridge/bridge/clock/discipline"
)

// ovenized is a reference clock whose time is anything, but whose rate is that
// of an oven: chrony's refclock option local.
func ovenized(offset func(t float64) float64) Server {
	random := stream(12, 98)
	return Server{Role: Role{RefClock: true, Local: true}, Poll: 2,
		Offset: func(t float64) float64 { return offset(t) + 200e-9*random.NormFloat64() }}
}

// unsteady is a machine in a room whose temperature moves, and a server far
// away.
func unsteady(name string) *Scenario {
	s := usual(name, 6, 16000, 6000, symmetric(10e-3, 1e-3))
	s.Oscillator.Wander = 1e-8
	s.Oscillator.Trend = func(t float64) float64 {
		return 2e-6*math.Sin(2*math.Pi*t/3000) + 3e-6*step(math.Sin(2*math.Pi*t/7000))
	}
	return s
}

// A local clock's rate makes of a bad oscillator a good one, whatever its own
// time and rate are.
func TestLocalClock(t *testing.T) {
	alone := unsteady("alone")
	without := Run(alone, NewProduct(alone), 1).Metrics(alone)
	for name, offset := range map[string]func(float64) float64{
		"right":      func(float64) float64 { return 0 },
		"far away":   func(float64) float64 { return -0.31 },
		"15 ppm off": func(t float64) float64 { return 0.2 + 15e-6*t },
	} {
		s := unsteady(name)
		s.Servers = append(s.Servers, ovenized(offset))
		p := NewProduct(s)
		r := Run(s, p, 1)
		m := r.Metrics(s)
		t.Logf("%s: RMS %.3g us, without it %.3g us", name, m.RMS*1e6, without.RMS*1e6)
		if m.RMS > without.RMS/4 || r.Excess > 1 || !r.Synchronised {
			t.Errorf("%s: RMS %v, without it %v; %.2f times the bound", name, m.RMS, without.RMS, r.Excess)
		}
		st, _ := p.Discipline.Source(1, 0)
		if st.Rule != discipline.KeepsRate {
			t.Errorf("%s: %v by rule %q", name, st.State, st.Rule)
		}
	}
}

// What a local clock may do wrong moves the served time by no more than it is
// claimed to be right, and leaves no trace: it is silent, for a while or for
// good, jumps, is noisy, worse than the oscillator, or goes at another rate; the
// machine sleeps, the daemon stands still, somebody sets the clock.
func TestLocalClockFails(t *testing.T) {
	gone := func(from, to float64) func(*Scenario) {
		return func(s *Scenario) { s.Servers[1].Up.Extra = away(from, to) }
	}
	offset := func(f func(float64) float64) func(*Scenario) {
		return func(s *Scenario) { s.Servers[1] = ovenized(f) }
	}
	events := func(e ...Event) func(*Scenario) { return func(s *Scenario) { s.Events = e } }
	random := stream(13, 98)
	walk, rate, last := 0.0, 0.0, 0.0
	for name, spoil := range map[string]func(*Scenario){
		"dies":          gone(8000, math.Inf(1)),
		"away":          gone(6000, 8000),
		"never there":   gone(0, math.Inf(1)),
		"jumps":         offset(func(t float64) float64 { return 0.4 * step(t-6000) }),
		"jumps by 1 ms": offset(func(t float64) float64 { return 1e-3 * step(t-6000) }),
		"jumps often":   offset(func(t float64) float64 { return 0.1 * math.Floor(t/1000) }),
		"other rate":    offset(func(t float64) float64 { return 10e-6 * max(0, t-6000) }),
		"noisy":         offset(func(t float64) float64 { return 1e-3 * random.NormFloat64() }),
		"wanders": offset(func(t float64) float64 {
			rate += 1e-7 * math.Sqrt(max(t-last, 0)) * random.NormFloat64()
			walk, last = walk+rate*(t-last), t
			return walk
		}),
		"slept":   events(Event{At: 6000, Kind: Suspend, Duration: 600, Value: 0.3}),
		"stalled": events(Event{At: 6000, Kind: StallDaemon, Duration: 600}),
		"set":     events(Event{At: 6000, Kind: SetClock, Value: 0.3}),
		"left":    events(Event{At: 6000, Kind: Leave, Server: 1}),
		"joined": func(s *Scenario) {
			s.Absent, s.Events = []bool{false, true}, []Event{{At: 6000, Kind: Join, Server: 1}}
		},
	} {
		s := unsteady(name)
		s.Length, s.Oscillator.Trend = 12000, nil
		s.Servers = append(s.Servers, ovenized(func(float64) float64 { return 0.2 }))
		spoil(s)
		p := NewProduct(s)
		r := Run(s, p, 1)
		last, _ := rms(r.Error[len(r.Error)-2000:])
		t.Logf("%s: error in the end %.3g us, %.2f of the bound at most", name, last*1e6, r.Excess)
		if r.Excess > 1 || !r.Synchronised || last > 1e-3 {
			t.Errorf("%s: error %v in the end, synchronised %v, %.2f times the bound at %d s", name, last, r.Synchronised, r.Excess, r.ExcessAt)
		}
		for _, e := range p.Events {
			if e.Kind == discipline.EventForeignChange && name != "set" && name != "stalled" {
				t.Errorf("%s: a change of the clock by %v is blamed on others", name, e.Value)
				break
			}
		}
	}
}
