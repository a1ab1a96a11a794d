package discipline

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// Intervals stay within the configured limits (but for the start's burst),
// never below two seconds, whatever is lost.
func TestPollLimits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		least := rapid.IntRange(1, 8).Draw(t, "least")
		most := rapid.IntRange(least, 10).Draw(t, "most")
		r := newRig(&testing.T{}, DefaultConfig(), SourceConfig{MinPoll: least, MaxPoll: most})
		for range rapid.IntRange(1, 5).Draw(t, "phases") {
			r.servers[0].silent = rapid.Bool().Draw(t, "silent")
			r.run(rapid.IntRange(1, 3000).Draw(t, "seconds"))
		}
		asked := r.servers[0].asked
		for i := 1; i < len(asked); i++ {
			gap := float64(asked[i]-asked[i-1]) / 1e9
			low := 2.0
			if i > mostPoll {
				low = max(low, 0.97*math.Exp2(float64(least)))
			}
			if gap < low-1e-6 || gap > 1.03*math.Exp2(float64(most))+1 {
				t.Fatalf("request %d after %v s, limits 2^%d to 2^%d", i, gap, least, most)
			}
		}
	})
}

// The interval grows in quiet times. A frequency that jumps makes it the
// shortest as soon as it is believed, after at most two steps for single samples
// that surprised.
func TestPollAdapts(t *testing.T) {
	for _, delay := range []float64{0.2e-3, 2e-3, 10e-3} {
		for _, by := range []float64{0.3e-6, 1e-6, -3e-6, 10e-6, 30e-6} {
			r := newRig(t, DefaultConfig(), SourceConfig{MinPoll: 4, MaxPoll: 9})
			r.servers[0].delay = delay
			r.run(40000)
			calm := r.d.Tracking(r.reading()).Poll
			if calm < 6 {
				t.Errorf("poll interval 2^%d s after a calm day", calm)
			}
			r.y += by // something warms up
			warned, last := 0, calm
			for range 5 << calm {
				r.run(1)
				poll := r.d.Tracking(r.reading()).Poll
				if poll < last && poll > 4 {
					warned++ // by one sample that surprised
				}
				if last = poll; poll == 4 {
					break
				}
			}
			if last != 4 || warned > 2 {
				t.Errorf("delay %v, jump by %v: poll interval 2^%d s, after %d intermediate steps from 2^%d", delay, by, last, warned, calm)
			}
		}
	}
}

func TestDenied(t *testing.T) {
	r := newRig(t, DefaultConfig(), poll4, poll4, poll4)
	r.run(300)
	r.d.Denied(1, r.rawNow())
	r.servers[1].asked = nil
	if x := r.sample(r.servers[1]); r.d.Sample(x) != UnknownSource {
		t.Error("time of a source that refused was taken")
	}
	r.run(300)
	r.synchronised(t, true)
	if got := r.state(1); got != Unusable {
		t.Errorf("state %v", got)
	}
}

// More noise makes longer intervals, more wander shorter ones.
func TestLongestInterval(t *testing.T) {
	longest := func(noise, wander, growth float64) float64 {
		c := DefaultConfig()
		c.PollGrowth = growth
		r := newRig(t, c, poll4)
		r.run(500)
		for _, s := range r.d.sources {
			s.observed = noise * noise
		}
		r.d.wander = 2 * math.Log(wander)
		return r.d.longest()
	}
	usual := longest(1e-3, 1e-9, 1.28)
	if usual < 64 || usual > 4096 {
		t.Errorf("%v s for a usual path and oscillator", usual)
	}
	for name, ok := range map[string]bool{
		"noise":  longest(4e-3, 1e-9, 1.28) > 2*usual,
		"wander": longest(1e-3, 1e-8, 1.28) < usual/4,
		"growth": longest(1e-3, 1e-9, 1.1) < usual/2,
	} {
		if !ok {
			t.Errorf("%s does not count as it should", name)
		}
	}
}
