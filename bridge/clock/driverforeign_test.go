package clock_test

import (
	"math"
	"testing"
	"time"

	"ntsbridge/bridge/clock"
)

func TestForeignChanges(t *testing.T) {
	w := newWorld(t, 3)
	w.after(10*time.Minute+300*time.Millisecond, func() { w.jump(int64(5e6)); w.honest = false })
	w.after(10*time.Minute+1100*time.Millisecond, func() {
		if w.driver.Tracking().Foreign != 1 || len(w.onSteps) != 1 {
			t.Error("a clock set by 5 ms was not noticed within a second")
		}
		w.honest = true // and what is served says so
	})
	w.after(15*time.Minute+300*time.Millisecond, func() { w.tick, w.freq = 10_000, 0 })
	w.after(15*time.Minute+1500*time.Millisecond, func() {
		if math.Abs((1+w.rate())*(1+w.y)-1) > 10e-6 {
			t.Errorf("a foreign rate was not replaced within a second: %v", w.rate())
		}
	})
	w.must(20 * time.Minute)
	w.wantWithin(50e-6)
	w.wantLogged("was changed by another program", "rate was changed by another program")
	if w.logged("another program steers") > 0 || len(w.steps) > 0 {
		t.Error("an alarm, or a step, for two single events")
	}
}

func TestForeignAlarm(t *testing.T) {
	w := newWorld(t, 3)
	w.config.Suspect = func() error { return &clock.OtherDaemonError{Name: "ntpd", PID: 77} }
	for s := range 20 {
		w.after(10*time.Minute+time.Duration(s)*8*time.Second+300*time.Millisecond, func() { w.tick, w.freq = 10_000, 0 })
	}
	w.after(14*time.Minute, func() {
		if !w.driver.Tracking().Alarm {
			t.Error("no alarm while another program keeps setting the rate")
		}
	})
	w.must(30 * time.Minute)
	w.wantLogged("another program steers the system clock too", "ntpd (process 77)")
	if n := w.logged("rate was changed"); n > 4 {
		t.Errorf("%d lines for 20 events in 160 s", n)
	}
	if w.driver.Tracking().Alarm || w.driver.Tracking().Foreign < 20 {
		t.Error("alarm without end, or events not counted")
	}
}

func TestSuspend(t *testing.T) {
	w := newWorld(t, 3)
	w.after(20*time.Minute+200*time.Millisecond, func() {
		w.suspend(time.Hour, 0.4)
		w.honest = false // until the next tick nobody can know
		for _, s := range w.servers {
			s.next = w.now + second
		}
	})
	w.after(80*time.Minute+1800*time.Millisecond, func() { w.honest = true })
	resumed := int64(80*time.Minute + 200*time.Millisecond)
	w.must(2 * time.Hour)
	w.wantWithin(50e-6)
	w.wantLogged("slept or was paused")
	w.wantNotLogged("another program")
	if w.doubts != 1 {
		t.Errorf("sources were to be asked at once %d times, want once", w.doubts)
	}
	silent := false
	for _, s := range w.states {
		if s.at > resumed {
			silent = !s.Synchronised()
			break
		}
	}
	if !silent {
		t.Error("the first state after the suspend is synchronised")
	}
	if len(w.steps) > 0 {
		t.Errorf("steps %v", w.steps)
	}
}

// A paused machine or a stopped process is late; neither is a catastrophe.
func TestLateTicks(t *testing.T) {
	w := newWorld(t, 3)
	w.after(20*time.Minute, func() { w.advance(w.now + 10*second) })
	w.after(30*time.Minute, func() { w.advance(w.now + 300*second) })
	w.must(time.Hour)
	w.wantWithin(50e-6)
	w.wantNotLogged("another program")
	if n := w.logged("slept or was paused"); n != 1 {
		t.Errorf("%d gaps, want one: ten seconds are none, five minutes are", n)
	}
}
