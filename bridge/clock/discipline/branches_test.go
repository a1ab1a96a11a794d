package discipline

import (
	"math"
	"testing"
)

// A frequency that jumps after a quiet time is believed within some samples, the
// poll interval becomes the shortest, and what is saved has no branches.
func TestFrequencyJumpIsBelieved(t *testing.T) {
	for _, by := range []float64{0.3e-6, -2e-6, 10e-6, 14e-6} {
		r := newRig(t, DefaultConfig(), SourceConfig{MinPoll: 4, MaxPoll: 8})
		r.run(20000)
		r.y += by
		shortest := mostPoll
		for range 3000 {
			r.run(1)
			r.honest(t)
			shortest = min(shortest, r.d.poll)
		}
		if y := r.d.Tracking(r.reading()).Frequency; math.Abs(y-r.y) > 0.1*math.Abs(by)+0.05e-6 {
			t.Errorf("jump by %v: frequency %v, want %v", by, y, r.y)
		}
		if shortest != 4 {
			t.Errorf("jump by %v: poll interval 2^%d s at least", by, shortest)
		}
		if saved, ok := r.d.Save(r.reading()); !ok || len(saved.Weights) != len(wanders) {
			t.Errorf("%d weights are saved, want %d", len(saved.Weights), len(wanders))
		}
	}
}
