package sim

import (
	"math"
	"testing"
)

func find(t *testing.T, name string) *Scenario {
	t.Helper()
	for _, s := range Scenarios() {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("no scenario %q", name)
	return nil
}

// idle does nothing to the clock.
type idle struct{ oracle }

func (idle) Exchange(Exchange)             {}
func (idle) Tick(Reading) Command          { return Command{} }
func (idle) Interval(int, float64) float64 { return 64 }

func TestFreeClock(t *testing.T) {
	s := usual("free", 6, 1000, 0, symmetric(1e-3, 0))
	s.Oscillator.Wander = 0
	r := Run(s, &idle{}, 1)
	if e := r.Error[1000]; math.Abs(e-21e-3) > 1e-12 {
		t.Errorf("after 1000 s at 20 ppm from 1 ms: %v, want 21 ms", e)
	}
}

// The random walk's phase after an hour, 1e-9 * 3600^1.5 / sqrt(3) = 125 us.
func TestWander(t *testing.T) {
	s := usual("wander", 6, 3600, 0, symmetric(1e-3, 0))
	s.Oscillator.Frequency, s.Offset = 0, 0
	var sum float64
	const seeds = 400
	for seed := range uint64(seeds) {
		e := Run(s, &idle{}, seed).Error[3600]
		sum += e * e
	}
	if got := math.Sqrt(sum / seeds); math.Abs(got/125e-6-1) > 0.1 {
		t.Errorf("RMS after an hour %v, want 125 us", got)
	}
}

// TestLimits holds the simulator against theory: a Kalman filter that knows
// the parameters must reach the stationary solution of its Riccati equation
// within 7 %, and the two filters that use the delay must reach what the same
// filters reached in an independent simulator of the same model within 10 %.
func TestLimits(t *testing.T) {
	if testing.Short() {
		t.Skip("fifteen seeds of each: it runs without -short, in make unit")
	}
	for _, c := range []struct {
		name    string
		a, b, c float64 // us
	}{
		{"lan10", 2.60, 1.43, 1.17},
		{"lan50", 8.67, 4.06, 3.08},
		{"lan100p6", 24.5, 12.8, 10.4},
		{"wan1ms", 138, 64.1, 44},
		{"wan1024", 392, 246, 215},
		{"wander8", 15.5, 9.11, 8.05},
		{"combine4", 82.0, 33.7, 18.1},
	} {
		s := find(t, c.name)
		for l, want := range []float64{c.a, c.b, c.c} {
			got := 1e6 * pooled(s, limit(l))
			tolerance := 0.10
			if l == 0 {
				tolerance = 0.07
			}
			t.Logf("%-9s limit %c: %6.2f us, expected %6.2f", c.name, 'A'+l, got, want)
			if math.Abs(got/want-1) > tolerance {
				t.Errorf("%s, limit %c: %.2f us, want %.2f within %.0f %%", c.name, 'A'+l, got, want, 100*tolerance)
			}
		}
	}
}

// pooled returns the RMS error over some seeds together.
func pooled(s *Scenario, l limit) float64 {
	const seeds = 15
	var sum float64
	for seed := range uint64(seeds) {
		q := Run(s, newOracle(s, l), seed+1).Metrics(s).RMS
		sum += q * q
	}
	return math.Sqrt(sum / seeds)
}
