package refclock

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestNumber(t *testing.T) {
	for _, c := range []struct {
		name      string
		rate      int
		width     time.Duration
		phase     int64 // ns
		expected  int64 // ns after begin, told for the same moment
		bound     time.Duration
		reference int64 // ns after begin
		want      Reason
	}{
		{"early", 1, 0, 0, -390 * ms, 0, 0, reasonOK},
		{"late", 1, 0, 0, 390 * ms, 0, 0, reasonOK},
		{"next second", 1, 0, 0, 710 * ms, 0, sec, reasonOK},
		{"between", 1, 0, 0, 450 * ms, 0, 0, reasonEdge},
		{"half", 1, 0, 0, 500 * ms, 0, 0, reasonEdge},
		{"uncertain", 1, 0, 0, 200 * ms, 300 * time.Millisecond, 0, reasonEdge},
		{"certain enough", 1, 0, 0, 200 * ms, 100 * time.Millisecond, 0, reasonOK},
		{"with a phase", 1, 0, 250 * ms, 300 * ms, 0, 250 * ms, reasonOK},
		{"with a negative phase", 1, 0, -100 * ms, 0, 0, -100 * ms, reasonOK},
		{"phase of a whole time", 1, 0, begin + 77*sec + 5*ms, 0, 0, 5 * ms, reasonOK},
		{"5 Hz", 5, 0, 0, 230 * ms, 0, 200 * ms, reasonOK},
		{"5 Hz, last of the second", 5, 0, 0, 950 * ms, 0, sec, reasonOK},
		{"5 Hz between", 5, 0, 0, 100 * ms, 0, 0, reasonEdge},
		{"3 Hz", 3, 0, 0, 340 * ms, 0, 333_333_333, reasonOK},
		{"narrow: right edge", 1, 100 * time.Millisecond, 0, 40 * ms, 0, 0, reasonOK},
		{"narrow: too far for either", 1, 100 * time.Millisecond, 0, 60 * ms, 0, 0, reasonEdge},
		{"wide", 1, 900 * time.Millisecond, 0, 60 * ms, 0, 0, reasonEdge},
		{"half width", 1, 500 * time.Millisecond, 0, 240 * ms, 0, 0, reasonOK},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := Config{Rate: c.rate, Width: c.width}
			got, reason := cfg.number(c.phase, 1000*sec, numbering{ok: true, raw: 1000 * sec, reference: begin + c.expected,
				bound: c.bound})
			if reason != c.want || reason == reasonOK && got != begin+c.reference {
				t.Errorf("%+d ns, %v; want %+d, %v", got-begin, reason, c.reference, c.want)
			}
		})
	}
	cfg := Config{Rate: 1}
	if _, reason := cfg.number(0, 0, numbering{}); reason != reasonUnnumbered {
		t.Errorf("without numbering: %v", reason)
	}
}

// Whatever the rate and the phase, a pulse gets its own number as long as it is
// known to 0.4 periods.
func TestNumberFinds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.Int64Range(1, maxRate).Draw(t, "rate")
		cfg := Config{Rate: int(rate)}
		phase := rapid.Int64Range(-sec, sec).Draw(t, "phase")
		k := rapid.Int64Range(0, rate-1).Draw(t, "k")
		truth := begin + rapid.Int64Range(-1e6, 1e6).Draw(t, "second")*sec + (k*sec+rate/2)/rate + phase
		off := int64(rapid.Float64Range(-0.39, 0.39).Draw(t, "off") * float64(sec/rate))
		got, reason := cfg.number(phase, 5*sec, numbering{ok: true, raw: 5 * sec, reference: truth + off})
		if reason != reasonOK || distance(got, truth) > 1 {
			t.Fatalf("off by %d ns, %v", got-truth, reason)
		}
	})
}

// The further the pulse is from what numbers it, the less that is believed.
func TestNumberAge(t *testing.T) {
	cfg := Config{Rate: 1}
	n := numbering{ok: true, raw: 0, reference: begin + 399*ms}
	if _, reason := cfg.number(0, sec, n); reason != reasonOK {
		t.Errorf("1 s later: %v", reason)
	}
	if _, reason := cfg.number(0, 10*sec, n); reason != reasonEdge {
		t.Errorf("10 s later: %v, want an edge too uncertain", reason)
	}
}
