package clock_test

import (
	"math"
	"testing"
	"time"

	"ntsbridge/bridge/clock"
	"ntsbridge/bridge/clock/discipline"
	"ntsbridge/bridge/ntp"
)

// leapWorld is a world an hour and a half before the end of a December at
// which UTC has a leap second.
func leapWorld(t *testing.T, kind ntp.Leap, announced bool) *world {
	w := newWorld(t, 3)
	w.start = time.Date(2026, 12, 31, 22, 30, 0, 0, time.UTC).UnixNano()
	w.leapAt, w.leapBy = int64(90*time.Minute), 1
	if kind == ntp.LeapDelete {
		w.leapAt, w.leapBy = w.leapAt-second, -1
	}
	if kind == ntp.LeapNone {
		w.leapAt = never
	}
	if announced {
		for _, s := range w.servers {
			s.change = func(x *discipline.Sample) {
				if w.now < w.leapAt {
					x.Leap = kind
				}
			}
		}
	}
	return w
}

// mostAfter is the largest error of the published states in a span of time.
func (w *world) mostBetween(from, to time.Duration) (most float64) {
	for _, s := range w.states {
		if s.at >= int64(from) && s.at < int64(to) {
			most = max(most, math.Abs(s.error))
		}
	}
	return most
}

func TestLeapSeconds(t *testing.T) {
	kinds := []ntp.Leap{ntp.LeapInsert, ntp.LeapDelete}
	if testing.Short() {
		kinds = kinds[:1]
	}
	for _, kind := range kinds {
		for _, c := range []struct {
			name    string
			mode    clock.LeapMode
			kernels int // leap seconds that the kernel has
			steps   int
			jumps   int
			after   float64 // largest error from three seconds after it, s
			end     float64 // error at the end, an hour after it, s
		}{
			{"kernel", clock.LeapSystem, 1, 0, 1, 1e-4, 1e-4},
			{"step", clock.LeapStep, 0, 1, 1, 1e-4, 1e-4},
			{"slew", clock.LeapSlew, 0, 0, 0, 1.01, 1e-3},
			{"ignore", clock.LeapIgnore, 0, 0, 0, 1.01, 1e-3},
		} {
			t.Run(c.name+map[ntp.Leap]string{ntp.LeapInsert: " insert", ntp.LeapDelete: " delete"}[kind], func(t *testing.T) {
				w := leapWorld(t, kind, true)
				w.config.Leap = c.mode
				w.after(89*time.Minute, func() {
					if w.ins != (c.mode == clock.LeapSystem && kind == ntp.LeapInsert) ||
						w.del != (c.mode == clock.LeapSystem && kind == ntp.LeapDelete) {
						t.Errorf("kernel armed: insert %v, delete %v", w.ins, w.del)
					}
					if w.driver.State().Leap != kind || w.driver.Tracking().Leap != kind {
						t.Errorf("leap indicator %d", w.driver.State().Leap)
					}
				})
				w.after(90*time.Minute+2*time.Second, func() {
					if w.ins || w.del || w.driver.State().Leap == kind {
						t.Error("not disarmed after the leap second")
					}
				})
				before := 0.0
				w.after(85*time.Minute, func() { before = w.driver.Tracking().Frequency })
				w.after(100*time.Minute, func() {
					if now := w.driver.Tracking().Frequency; math.Abs(now-before) > 0.2e-6 {
						t.Errorf("the estimator was disturbed: frequency went from %v to %v", before, now)
					}
				})
				w.must(150 * time.Minute)
				if w.leaps != c.kernels || len(w.steps) != c.steps || len(w.onSteps) != c.jumps {
					t.Errorf("kernel's leap seconds %d, steps %v, told of %v", w.leaps, w.steps, w.onSteps)
				}
				if most := w.mostBetween(90*time.Minute+3*time.Second, 150*time.Minute); most > c.after {
					t.Errorf("error up to %v afterwards", most)
				}
				w.wantWithin(c.end)
				w.wantNotLogged("another program", "jumped", "made anew", "disarmed")
				if c.mode != clock.LeapIgnore {
					for _, s := range w.states {
						if s.at > int64(89*time.Minute) && !s.Synchronised() {
							t.Fatalf("unsynchronised at %v", time.Duration(s.at))
						}
					}
				}
				if w.driver.Tracking().Foreign != 0 {
					t.Error("the leap second was taken for somebody else's change")
				}
				if w.state != 0 || w.driver.Tracking().Leap != ntp.LeapNone {
					t.Errorf("state %d of the kernel", w.state)
				}
			})
		}
	}
}

// The leap second is armed on its day only, however early it is announced.
func TestLeapNotEarly(t *testing.T) {
	w := newWorld(t, 1)
	w.start = time.Date(2026, 12, 30, 23, 0, 0, 0, time.UTC).UnixNano()
	w.servers[0].change = func(x *discipline.Sample) { x.Leap = ntp.LeapInsert }
	w.after(59*time.Minute, func() {
		if w.ins || w.driver.State().Leap != ntp.LeapNone {
			t.Error("armed more than 24 hours before")
		}
	})
	w.must(62 * time.Minute)
	if !w.ins || w.driver.State().Leap != ntp.LeapInsert {
		t.Error("not armed 24 hours before")
	}
}

// A table wins over what sources say, and tells TAI-UTC.
func TestLeapTable(t *testing.T) {
	table := func(kind ntp.Leap) func(time.Time) (ntp.Leap, int, bool) {
		return func(month time.Time) (ntp.Leap, int, bool) {
			if month.Month() == time.January {
				return ntp.LeapNone, 38, true
			}
			return kind, 37, true
		}
	}
	w := leapWorld(t, ntp.LeapInsert, false)
	w.config.LeapTable = table(ntp.LeapInsert)
	w.after(time.Minute, func() {
		if w.tai != 37 || !w.ins {
			t.Errorf("TAI-UTC %d, armed %v", w.tai, w.ins)
		}
	})
	w.must(100 * time.Minute)
	if w.leaps != 1 || w.tai != 38 {
		t.Errorf("%d leap seconds, TAI-UTC %d", w.leaps, w.tai)
	}
	w.wantWithin(1e-4)

	w = leapWorld(t, ntp.LeapNone, false)
	for _, s := range w.servers {
		s.change = func(x *discipline.Sample) { x.Leap = ntp.LeapInsert }
	}
	w.config.LeapTable = table(ntp.LeapNone)
	w.must(100 * time.Minute)
	if w.leaps != 0 {
		t.Error("a leap second that the table does not know")
	}
	w.wantWithin(1e-4)
}

// Once announced by a majority it comes, even if sources are gone by then;
// but not if they take it back.
func TestLeapWithoutSources(t *testing.T) {
	w := leapWorld(t, ntp.LeapInsert, true)
	w.after(80*time.Minute, func() {
		for _, s := range w.servers {
			s.silent = true
		}
	})
	w.must(100 * time.Minute)
	if w.leaps != 1 {
		t.Error("lost with the sources")
	}

	w = leapWorld(t, ntp.LeapNone, false)
	for _, s := range w.servers {
		s.change = func(x *discipline.Sample) {
			if w.now < int64(time.Hour) {
				x.Leap = ntp.LeapInsert
			}
		}
	}
	w.must(100 * time.Minute)
	if w.leaps != 0 {
		t.Error("had although it was taken back")
	}
	w.wantLogged("leap second armed", "disarmed")
}

// A restart in the last minutes keeps what the kernel was told.
func TestLeapOverRestart(t *testing.T) {
	w := leapWorld(t, ntp.LeapInsert, true)
	w.must(89*time.Minute + 50*time.Second)
	if !w.ins {
		t.Fatal("not armed at the end of the first run")
	}
	for _, s := range w.servers {
		s.silent = true
	}
	w.after(91*time.Minute, func() {
		for _, s := range w.servers {
			s.silent = false
		}
	})
	w.must(100 * time.Minute)
	if w.leaps != 1 {
		t.Errorf("%d leap seconds", w.leaps)
	}
	w.wantWithin(1e-3)
}

// A step makes the kernel forget when the leap second is: it must be told anew.
func TestStepOnTheDayOfALeapSecond(t *testing.T) {
	w := leapWorld(t, ntp.LeapInsert, true)
	w.config.Discipline.StepAnyTime, w.config.Discipline.StepOut, w.honest = true, 60, false
	w.after(20*time.Minute, func() { w.jump(5 * second) })
	w.must(100 * time.Minute)
	if len(w.steps) != 1 || w.leaps != 1 {
		t.Errorf("steps %v, %d leap seconds", w.steps, w.leaps)
	}
	w.wantWithin(1e-3)
}

// Who else sets the clock makes the kernel forget the leap second, too. If it
// is too late to tell it anew, the clock is slewed.
func TestLeapAfterForeignChange(t *testing.T) {
	for _, c := range []struct {
		at    time.Duration
		by    int64
		leaps int
	}{
		{80*time.Minute + 300*time.Millisecond, 5e6, 1},
		{80*time.Minute + 300*time.Millisecond, 0, 1},
		{90*time.Minute - 800*time.Millisecond, 0, 0},
	} {
		w := leapWorld(t, ntp.LeapInsert, true)
		w.after(c.at, func() { w.jump(c.by); w.honest = c.by == 0 })
		w.after(90*time.Minute-500*time.Millisecond, func() { w.honest = c.leaps == 1 })
		w.after(90*time.Minute+10*time.Second, func() { w.honest = true })
		w.must(150 * time.Minute)
		if w.leaps != c.leaps {
			t.Errorf("changed by %d ns at %v: %d leap seconds", c.by, c.at, w.leaps)
		}
		w.wantWithin(1e-3)
		w.wantNotLogged("disarmed")
	}
}

// A kernel that sleeps over the leap second misses it.
func TestLeapMissed(t *testing.T) {
	w := leapWorld(t, ntp.LeapInsert, true)
	w.after(80*time.Minute, func() {
		w.suspend(20*time.Minute, 0)
		w.honest = false
		for _, s := range w.servers {
			s.next = w.now + second
		}
	})
	w.after(101*time.Minute, func() { w.honest = true })
	w.must(180 * time.Minute)
	w.wantWithin(1e-3)
	if w.leaps != 0 || w.driver.Tracking().Foreign != 0 {
		t.Errorf("%d leap seconds, %d foreign changes", w.leaps, w.driver.Tracking().Foreign)
	}
	w.wantLogged("missed")
}
