package clock

import (
	"math"
	"testing"
)

// A clock that is stepped, slewed and drifts: who is served sees no jump and no
// rate beyond the limits, and in the end the right time.
func TestSmoother(t *testing.T) {
	const frequency, start = 30e-6, int64(1_790_000_000e9)
	s := Smoother{MaxRate: 400e-6, MaxWander: 1e-6}
	raw, truth, system := 0.0, 0.0, 0.0 // s, of errors only
	rate := -frequency
	reading := func() Clocks {
		return Clocks{Raw: int64((truth + raw) * 1e9), System: start + int64((truth+system)*1e9), Rate: rate}
	}
	s.Begin(reading())
	served, before := 0.0, 0.0
	for second := range 12000 {
		truth++
		raw += frequency
		system += (1+frequency)*(1+rate) - 1
		switch second {
		case 100:
			system += 0.3 // stepped
		case 4000:
			rate = -frequency + 0.05 // slewed fast
		case 4004:
			rate = -frequency
		case 8000:
			system -= 0.1
		}
		offset, g := s.Update(reading(), frequency)
		now := system + offset
		if change := now - served; second > 0 && (math.Abs(change) > 401e-6 || math.Abs(change-before) > 1.1e-6) {
			t.Fatalf("second %d: the served time moved by %v, in the second before by %v", second, change, before)
		}
		if slew := g + (1+frequency)*(1+rate) - 1; math.Abs(slew) > 401e-6 {
			t.Fatalf("second %d: rate %v", second, slew)
		}
		before, served = now-served, now
	}
	if math.Abs(served-system) > 2e-6 {
		t.Errorf("served time is %v s off the clock in the end", served-system)
	}
}

// The offset that a step leaves is worked off about as fast as the limits allow.
func TestSmootherIsQuick(t *testing.T) {
	s := Smoother{MaxRate: 100e-6, MaxWander: 1e-6}
	s.Begin(Clocks{})
	system, seconds := int64(0.1e9), 0
	for ; seconds < 5000; seconds++ {
		at := int64(seconds+1) * 1e9
		if offset, _ := s.Update(Clocks{Raw: at, System: at + system}, 0); seconds > 10 && math.Abs(offset) < 10e-6 {
			break
		}
	}
	if best := 0.1/100e-6 + 100; float64(seconds) > 1.1*best {
		t.Errorf("%d s, at best %v", seconds, best)
	}
}
