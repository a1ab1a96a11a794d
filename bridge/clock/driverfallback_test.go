package clock_test

import (
	"testing"
	"time"

	"ntsbridge/bridge/clock"
	"ntsbridge/bridge/ntp"
)

// Without sources the bound grows until the clock is not synchronised any
// more; then the fallback comes.
func TestFallback(t *testing.T) {
	run := func(t *testing.T, change func(*world)) *world {
		w := newWorld(t, 3)
		w.config.Discipline.MaxDistance, w.config.Discipline.Drift = 0.5, 1e-3
		w.config.Fallback = clock.Fallback{Stratum: 10, Distance: 300 * time.Millisecond}
		change(w)
		silence := func(silent bool) func() {
			return func() {
				for _, s := range w.servers {
					s.silent = silent
				}
			}
		}
		w.after(5*time.Minute, silence(true))
		w.after(15*time.Minute, silence(false))
		w.must(17 * time.Minute)
		return w
	}
	stratumAt := func(w *world, at time.Duration) (last served) {
		for _, s := range w.states {
			if s.at <= int64(at) {
				last = s
			}
		}
		return last
	}
	for _, c := range []struct {
		name   string
		change func(*world)
		want   map[time.Duration]uint8
	}{
		{"at once", func(*world) {}, map[time.Duration]uint8{0: 10, 4 * time.Minute: 2, 12 * time.Minute: 10, 16 * time.Minute: 2}},
		{"none", func(w *world) { w.config.Fallback = clock.Fallback{} },
			map[time.Duration]uint8{0: 16, 4 * time.Minute: 2, 9 * time.Minute: 2, 14 * time.Minute: 16, 16 * time.Minute: 2}},
		{"once synchronised", func(w *world) { w.config.Fallback.Activate = 100 * time.Millisecond },
			map[time.Duration]uint8{0: 16, 4 * time.Minute: 2, 12 * time.Minute: 10, 16 * time.Minute: 2}},
		{"never near enough", func(w *world) { w.config.Fallback.Activate = time.Microsecond },
			map[time.Duration]uint8{0: 16, 4 * time.Minute: 2, 14 * time.Minute: 16, 16 * time.Minute: 2}},
		{"after a while", func(w *world) { w.config.Fallback.Wait, w.config.Fallback.WaitStart = 2*time.Minute, time.Minute },
			map[time.Duration]uint8{0: 16, 4 * time.Minute: 2, 14*time.Minute + 30*time.Second: 10, 16 * time.Minute: 2}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := run(t, c.change)
			for at, want := range c.want {
				s := stratumAt(w, at)
				if s.Stratum != want {
					t.Errorf("after %v: stratum %d, want %d", at, s.Stratum, want)
				}
				if want == 10 && (s.ReferenceID != 0x7f7f0101 || s.Leap != ntp.LeapNone) {
					t.Errorf("fallback: reference %x, leap %d", s.ReferenceID, s.Leap)
				}
			}
			w.wantLogged("is not synchronised any more")
		})
	}
}

// The kernel is never told that the fallback is good time.
func TestFallbackIsNotSynchronised(t *testing.T) {
	w := newWorld(t, 0)
	w.config.Fallback.Stratum = 8
	w.must(time.Minute)
	if !w.unsync || w.driver.State().Stratum != 8 || !w.driver.Tracking().Fallback {
		t.Errorf("unsync %v, state %+v", w.unsync, w.driver.State())
	}
}

// A clock that sources say is far off is not served by the fallback either.
func TestNoFallbackInPanic(t *testing.T) {
	w := newWorld(t, 1)
	w.system, w.honest = 5000, false
	w.config.Fallback.Stratum = 10
	w.must(5 * time.Minute)
	if w.driver.State().Synchronised() {
		t.Errorf("served at stratum %d", w.driver.State().Stratum)
	}
}

func TestOrphans(t *testing.T) {
	for _, c := range []struct {
		name string
		ours uint32
		want uint8
	}{
		{"the other is the parent", 0xc0000264, 11},
		{"we are the parent", 0xc0000200, 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, 2)
			w.config.Fallback = clock.Fallback{Stratum: 10, Distance: 50 * time.Millisecond, Orphan: true, ReferenceID: c.ours}
			w.config.Discipline.Drift = 1e-3
			w.servers[0].stratum = 10 // 192.0.2.1, without real time
			w.servers[0].offset = 0.02
			w.after(10*time.Minute, func() {
				if w.wantWithin(1e-3); w.driver.State().Stratum != 2 {
					t.Errorf("stratum %d beside a real server", w.driver.State().Stratum)
				}
				w.servers[1].silent, w.honest = true, false
			})
			w.after(30*time.Minute, func() {
				if got := w.driver.State().Stratum; got != c.want {
					t.Errorf("stratum %d without a real server, want %d", got, c.want)
				}
				w.servers[1].silent = false
			})
			w.must(40 * time.Minute)
			if w.wantWithin(1e-3); w.driver.State().Stratum != 2 {
				t.Errorf("stratum %d when the real server is back", w.driver.State().Stratum)
			}
		})
	}
}

// Of several orphans all follow the same one, and none that follows another;
// nobody waits for orphans at the start.
func TestOrphansFollowTheEldest(t *testing.T) {
	w := newWorld(t, 3)
	w.honest = false
	w.config.Fallback = clock.Fallback{Stratum: 10, Distance: 50 * time.Millisecond, Orphan: true, ReferenceID: 0xc0000264}
	for i, stratum := range []uint8{11, 10, 10} { // 192.0.2.1 to 3
		w.servers[i].stratum = stratum
	}
	w.after(40*time.Second, func() {
		if s := w.driver.State(); s.Stratum != 11 || s.ReferenceID != 0xc0000202 {
			t.Errorf("after 40 s stratum %d, reference %#x", s.Stratum, s.ReferenceID)
		}
	})
	w.after(5*time.Minute, func() { w.servers[1].silent = true })
	w.must(20 * time.Minute)
	if s := w.driver.State(); s.Stratum != 11 || s.ReferenceID != 0xc0000203 {
		t.Errorf("when that one is gone stratum %d, reference %#x", s.Stratum, s.ReferenceID)
	}
}

// A clock that was never synchronised waits for as long as is said for it.
func TestFallbackAtTheStart(t *testing.T) {
	w := newWorld(t, 1)
	w.servers[0].silent = true
	w.config.Fallback = clock.Fallback{Stratum: 10, Wait: time.Hour, WaitStart: 3 * time.Minute}
	w.must(5 * time.Minute)
	for _, s := range w.states {
		if early, late := s.at < int64(179*time.Second), s.at > int64(181*time.Second); early && s.Stratum == 10 || late &&
			s.Stratum != 10 {
			t.Fatalf("after %v: stratum %d", time.Duration(s.at), s.Stratum)
		}
	}
}
