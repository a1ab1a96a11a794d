package refclock

import (
	"testing"
	"time"
)

func TestGate(t *testing.T) {
	type step struct {
		raw, reference int64 // ms
		want           Reason
		restart        bool
	}
	for _, c := range []struct {
		name  string
		limit time.Duration
		steps []step
	}{
		{"steady", jumpLimit, []step{{0, 0, ReasonOK, true}, {1000, 1000, ReasonOK, false}, {2000, 2300, ReasonOK, false}}},
		{"the same twice", jumpLimit, []step{{0, 0, ReasonOK, true}, {0, 0, ReasonRepeated, false}, {1000, 1000, ReasonOK, false}, {1000, 1000, ReasonRepeated, false}}},
		{"stands still", jumpLimit, []step{{0, 0, ReasonOK, true}, {100, 0, ReasonRepeated, false}, {1000, 0, ReasonRepeated, false}, {2000, 2000, ReasonOK, false}}},
		{"taken earlier", jumpLimit, []step{{1000, 1000, ReasonOK, true}, {500, 500, ReasonBackwards, false}, {1000, 1001, ReasonBackwards, false}}},
		{"one jump", jumpLimit, []step{{0, 0, ReasonOK, true}, {1000, 9000, ReasonJumped, false}, {2000, 2000, ReasonOK, false}}},
		{"goes back once", jumpLimit, []step{{5000, 5000, ReasonOK, true}, {6000, 1000, ReasonBackwards, false}, {7000, 7000, ReasonOK, false}}},
		{"jumps and stays", jumpLimit, []step{{0, 0, ReasonOK, true}, {1000, 61000, ReasonJumped, false}, {2000, 62000, ReasonJumped, false},
			{3000, 63000, ReasonJumped, false}, {4000, 64000, ReasonOK, true}, {5000, 65000, ReasonOK, false}}},
		{"set back and stays", jumpLimit, []step{{9000, 9000, ReasonOK, true}, {10000, 0, ReasonBackwards, false}, {11000, 1000, ReasonBackwards, false},
			{12000, 2000, ReasonBackwards, false}, {13000, 3000, ReasonOK, true}, {14000, 4000, ReasonOK, false}}},
		{"jumps about", jumpLimit, []step{{0, 0, ReasonOK, true}, {1000, 9000, ReasonJumped, false}, {2000, 19000, ReasonJumped, false},
			{3000, 29000, ReasonJumped, false}, {4000, 39000, ReasonJumped, false}, {5000, 49000, ReasonJumped, false}, {6000, 6000, ReasonOK, false}}},
		{"two jumps with good ones between", jumpLimit, []step{{0, 0, ReasonOK, true}, {1000, 9000, ReasonJumped, false}, {2000, 10000, ReasonJumped, false},
			{3000, 3000, ReasonOK, false}, {4000, 12000, ReasonJumped, false}, {5000, 13000, ReasonJumped, false}, {6000, 6000, ReasonOK, false}}},
		{"a candidate repeated is no agreement", jumpLimit, []step{{0, 0, ReasonOK, true}, {1000, 9000, ReasonJumped, false}, {1000, 9000, ReasonRepeated, false},
			{1000, 9000, ReasonRepeated, false}, {1000, 9000, ReasonRepeated, false}, {2000, 2000, ReasonOK, false}}},
		{"noise on a pulse line", pulseJumpLimit, []step{{0, 0, ReasonOK, true}, {300, 0, ReasonRepeated, false}, {700, 1000, ReasonJumped, false}, {1000, 1000, ReasonOK, false}}},
		{"silence", jumpLimit, []step{{0, 0, ReasonOK, true}, {3600_000, 3600_900, ReasonOK, false}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := gate{limit: c.limit}
			for i, s := range c.steps {
				reason, restart := g.pass(&reading{raw: s.raw * ms, reference: begin + s.reference*ms})
				if reason != s.want || restart != s.restart {
					t.Fatalf("reading %d: %v, restart %v; want %v, %v", i, reason, restart, s.want, s.restart)
				}
			}
		})
	}
}
