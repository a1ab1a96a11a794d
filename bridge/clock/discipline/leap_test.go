package discipline

import (
	"math"
	"testing"
	"time"

	"ntsbridge/bridge/ntp"
)

func announcing(n int, l ntp.Leap) *rigWith { return &rigWith{n, l} }

type rigWith struct {
	n    int
	leap ntp.Leap
}

func (w *rigWith) rig(t *testing.T) *rig {
	r := newRig(t, DefaultConfig(), sources(5)...)
	for i := range w.n {
		r.servers[i].change = func(x *Sample) { x.Leap = w.leap }
	}
	r.run(100)
	return r
}

func unix(t *testing.T, s string) int64 {
	t.Helper()
	when, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return when.UnixNano()
}

func TestLeapPlan(t *testing.T) {
	for _, c := range []struct {
		name  string
		rig   *rigWith
		now   string
		table ntp.Leap
		known bool
		want  ntp.Leap
	}{
		{"majority announces", announcing(3, ntp.LeapInsert), "2026-12-31T12:00:00Z", 0, false, ntp.LeapInsert},
		{"majority announces a deletion", announcing(4, ntp.LeapDelete), "2026-06-30T23:00:00Z", 0, false, ntp.LeapDelete},
		{"minority announces", announcing(2, ntp.LeapInsert), "2026-12-31T12:00:00Z", 0, false, ntp.LeapNone},
		{"not the last day", announcing(5, ntp.LeapInsert), "2026-12-30T23:59:00Z", 0, false, ntp.LeapNone},
		{"the table knows better", announcing(5, ntp.LeapInsert), "2026-12-31T12:00:00Z", ntp.LeapNone, true, ntp.LeapNone},
		{"only the table knows", announcing(0, 0), "2026-12-31T12:00:00Z", ntp.LeapInsert, true, ntp.LeapInsert},
		{"end of February", announcing(5, ntp.LeapInsert), "2028-02-29T00:00:01Z", 0, false, ntp.LeapInsert},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, at := c.rig.rig(t).d.LeapPlan(unix(t, c.now), c.table, c.known)
			if got != c.want {
				t.Errorf("%v, want %v", got, c.want)
			}
			if left := at - unix(t, c.now); got != ntp.LeapNone && (left <= 0 || left > 24*3600e9) {
				t.Errorf("%d ns before it", left)
			}
		})
	}
}

// Servers and our clock have a leap second; to the estimator nothing happens.
func TestLeapSecond(t *testing.T) {
	for _, leap := range []ntp.Leap{ntp.LeapInsert, ntp.LeapDelete} {
		by := 1.0
		if leap == ntp.LeapDelete {
			by = -1
		}
		r := newRig(t, DefaultConfig(), sources(3)...)
		r.run(2000)
		updates := r.d.Tracking(r.reading())
		at := rigUnix + r.now + 300e9
		r.d.ArmLeap(leap, at)
		r.run(300)
		for _, s := range r.servers {
			s.offset -= by
		}
		r.run(10) // servers had it, we have not: no sample may count
		if got := r.d.Sample(r.sample(r.servers[0])); got != AcrossLeap {
			t.Errorf("a sample after the servers' leap second, before ours: %v", got)
		}
		r.system -= by
		r.d.LeapApplied()
		r.run(1000)
		if math.Abs(r.system+by) > 300e-6 || len(r.steps) > 0 {
			t.Errorf("error %v, want %v; steps %v", r.system, -by, r.steps)
		}
		for _, k := range []EventKind{EventForeignChange, EventClockJumped, EventEstimateLeft, EventPathChanged} {
			if r.count(k) > 0 {
				t.Errorf("%d events of kind %d", r.count(k), k)
			}
		}
		if now := r.d.Tracking(r.reading()); math.Abs(now.Frequency-updates.Frequency) > 0.3e-6 {
			t.Errorf("frequency went from %v to %v", updates.Frequency, now.Frequency)
		}
		r.synchronised(t, true)
	}
}
