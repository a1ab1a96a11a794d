package clock

import (
	"math"
	"testing"
)

func TestSplitRate(t *testing.T) {
	for _, c := range []struct {
		rate       float64
		tick, freq int64
	}{
		{0, 10_000, 0},
		{100e-6, 10_000, 100 << 16},
		{-500e-6, 10_000, -500 << 16},
		{501e-6, 10_005, 1 << 16},
		{-0.08333, 9167, -30 << 16},
		{0.1, 11_000, 0},
		{1, 11_000, 0},
		{-1, 9000, 0},
	} {
		if tick, freq := splitRate(c.rate); tick != c.tick || freq != c.freq {
			t.Errorf("%v: tick %d, frequency %d, want %d and %d", c.rate, tick, freq, c.tick, c.freq)
		}
	}
	for rate := -maxRate; rate <= maxRate; rate += 3.7e-7 {
		tick, freq := splitRate(rate)
		if tick < 9000 || tick > 11_000 || freq < -mostFreq || freq > mostFreq || math.Abs(joinRate(tick, freq)-rate) > freqUnit {
			t.Fatalf("%v: tick %d, frequency %d make %v", rate, tick, freq, joinRate(tick, freq))
		}
	}
}
