package sim

import (
	"flag"
	"math"
	"testing"
)

var (
	randomRuns = flag.Int("random", 30, "random scenarios")
	randomSeed = flag.Uint64("seed", 1, "first random scenario")
)

// TestRandomScenarios lives through random scenarios: the error stays within
// the claimed bound at all times at which synchronisation is claimed, every
// command is one that a kernel can carry out, and in the end there is
// synchronisation.
func TestRandomScenarios(t *testing.T) {
	failed, unsynchronised := 0, 0
	for i := range uint64(some(*randomRuns, 3)) {
		seed := *randomSeed + i
		s := Random(seed)
		r := Run(s, NewProduct(s), seed)
		last := r.Error[len(r.Error)-1]
		switch {
		case r.Refused > 0:
			t.Errorf("scenario %d: %d commands out of range", seed, r.Refused)
		case r.Excess > 1:
			t.Errorf("scenario %d: error %.2f times the claimed bound at %d s of %d", seed, r.Excess, r.ExcessAt, s.Length)
		case !r.Synchronised:
			unsynchronised++
			t.Logf("scenario %d: not synchronised at the end, %d s of %d", seed, r.Unsynchronised, s.Length)
			continue
		case !(math.Abs(last) < r.Bound):
			t.Errorf("scenario %d: error %v at the end, bound %v", seed, last, r.Bound)
		default:
			continue
		}
		if failed++; failed > 20 {
			t.Fatal("too many")
		}
	}
	t.Logf("%d scenarios, %d not synchronised at the end", *randomRuns, unsynchronised)
}
