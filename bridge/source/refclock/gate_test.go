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
		{"steady", jumpLimit, []step{{0, 0, reasonOK, true}, {1000, 1000, reasonOK, false}, {2000, 2300, reasonOK, false}}},
		{"the same twice", jumpLimit, []step{{0, 0, reasonOK, true}, {0, 0, reasonRepeated, false}, {1000, 1000, reasonOK,
			false}, {1000, 1000, reasonRepeated, false}}},
		{"stands still", jumpLimit, []step{{0, 0, reasonOK, true}, {100, 0, reasonRepeated, false}, {1000, 0,
			reasonRepeated, false}, {2000, 2000, reasonOK, false}}},
		{"taken earlier", jumpLimit, []step{{1000, 1000, reasonOK, true}, {500, 500, reasonBackwards, false}, {1000, 1001,
			reasonBackwards, false}}},
		{"one jump", jumpLimit, []step{{0, 0, reasonOK, true}, {1000, 9000, reasonJumped, false}, {2000, 2000, reasonOK, false}}},
		{"goes back once", jumpLimit, []step{{5000, 5000, reasonOK, true}, {6000, 1000, reasonBackwards, false},
			{7000, 7000, reasonOK, false}}},
		{"jumps and stays", jumpLimit, []step{{0, 0, reasonOK, true}, {1000, 61000, reasonJumped, false},
			{2000, 62000, reasonJumped, false},
			{3000, 63000, reasonJumped, false}, {4000, 64000, reasonOK, true}, {5000, 65000, reasonOK, false}}},
		{"set back and stays", jumpLimit, []step{{9000, 9000, reasonOK, true}, {10000, 0, reasonBackwards, false}, {11000,
			1000, reasonBackwards, false},
			{12000, 2000, reasonBackwards, false}, {13000, 3000, reasonOK, true}, {14000, 4000, reasonOK, false}}},
		{"jumps about", jumpLimit, []step{{0, 0, reasonOK, true}, {1000, 9000, reasonJumped, false}, {2000, 19000, reasonJumped, false},
			{3000, 29000, reasonJumped, false}, {4000, 39000, reasonJumped, false}, {5000, 49000, reasonJumped, false}, {6000,
				6000, reasonOK, false}}},
		{"two jumps with good ones between", jumpLimit, []step{{0, 0, reasonOK, true}, {1000, 9000, reasonJumped, false},
			{2000, 10000, reasonJumped, false},
			{3000, 3000, reasonOK, false}, {4000, 12000, reasonJumped, false}, {5000, 13000, reasonJumped, false},
			{6000, 6000, reasonOK, false}}},
		{"a candidate repeated is no agreement", jumpLimit, []step{{0, 0, reasonOK, true}, {1000, 9000, reasonJumped,
			false}, {1000, 9000, reasonRepeated, false},
			{1000, 9000, reasonRepeated, false}, {1000, 9000, reasonRepeated, false}, {2000, 2000, reasonOK, false}}},
		{"noise on a pulse line", pulseJumpLimit, []step{{0, 0, reasonOK, true}, {300, 0, reasonRepeated, false}, {700,
			1000, reasonJumped, false}, {1000, 1000, reasonOK, false}}},
		{"silence", jumpLimit, []step{{0, 0, reasonOK, true}, {3600_000, 3600_900, reasonOK, false}}},
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
