package clock_test

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"ntsbridge/bridge/clock"
	"ntsbridge/bridge/clock/discipline"
	"ntsbridge/bridge/ntp"
)

func TestConverges(t *testing.T) {
	for _, c := range []struct {
		name   string
		offset float64
		y      float64
		slew   float64
	}{
		{"offset and frequency", 50e-3, 80e-6, 0},
		{"the other way", -50e-3, -80e-6, 0},
		{"fast start with the tick", 0.4, 20e-6, 0.0833},
		{"at the kernel's limit", 1e-3, 495e-6, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, 3)
			w.system, w.y, w.config.Discipline.StartSlew = c.offset, c.y, c.slew
			w.must(10 * time.Minute)
			w.wantWithin(100e-6)
			if len(w.steps) > 0 {
				t.Errorf("steps %v", w.steps)
			}
			w.wantNotLogged("another program", "no number")
			w.wantLogged("is synchronised")
			if left := (1 + w.rate()) * (1 + w.y); math.Abs(left-1) > 0.5e-6 {
				t.Errorf("left at a rate of %v against the true one", left-1)
			}
			if n := w.driver.Tracking().Foreign; n != 0 {
				t.Errorf("%d foreign changes in an undisturbed run", n)
			}
		})
	}
}

// A large slew uses the tick, and the frequency stays within the kernel's
// limit.
func TestTick(t *testing.T) {
	w := newWorld(t, 1)
	w.system, w.config.Discipline.StartSlew = 0.9, 0.0833
	w.late = int64(2 * time.Millisecond) // a busy machine: 160 us at this rate, not somebody else's
	most := int64(0)
	for s := range 60 {
		w.after(time.Duration(s)*time.Second+time.Millisecond, func() {
			most = max(most, 10_000-w.tick)
			if w.tick < 9000 || w.tick > 11_000 || math.Abs(float64(w.freq)) > 500*65536 {
				t.Errorf("tick %d, frequency %d", w.tick, w.freq)
			}
		})
	}
	w.must(2 * time.Minute)
	w.wantWithin(200e-6)
	if most < 500 {
		t.Errorf("tick at most %d us below nominal in a slew of 8 %%", most)
	}
	if w.tick != 10_000 {
		t.Errorf("tick left at %d", w.tick)
	}
	w.wantNotLogged("another program")
}

func TestStepsAtStart(t *testing.T) {
	w := newWorld(t, 3)
	w.system = -30
	first := -1
	w.config.OnStep = func(by time.Duration) {
		w.onSteps = append(w.onSteps, by)
		first = len(w.states)
	}
	w.must(5 * time.Minute)
	if len(w.steps) != 1 || math.Abs(float64(w.steps[0])/1e9-30) > 5e-3 || len(w.onSteps) != 1 || int64(w.onSteps[0]) != w.steps[0] {
		t.Fatalf("steps %v, told %v; want one of 30 s", w.steps, w.onSteps)
	}
	for _, s := range w.states[:first] {
		if s.Synchronised() {
			t.Errorf("at %d: synchronised before the step", s.at)
		}
	}
	if last := w.states[first-1]; last.error > -29 || last.ReferenceID != ntp.KissCode("STEP") {
		t.Errorf("the state before the step was published at an error of %v, reference %x", last.error, last.ReferenceID)
	}
	w.wantWithin(1e-3)
	w.wantLogged("stepped", "is synchronised")
	w.wantNotLogged("another program")
}

func TestNoStepLater(t *testing.T) {
	w := newWorld(t, 1)
	w.after(10*time.Minute, func() { w.servers[0].offset = 5; w.honest = false })
	w.must(30 * time.Minute)
	if len(w.steps) > 0 {
		t.Errorf("steps %v", w.steps)
	}
	if w.wrong() < 0.1 {
		t.Errorf("error %v: not slewed to the server's 5 s", w.wrong())
	}
}

func TestPanic(t *testing.T) {
	w := newWorld(t, 1)
	w.after(10*time.Minute, func() { w.servers[0].offset = 5000 })
	w.must(30 * time.Minute)
	w.wantWithin(1e-2)
	w.wantLogged("panic threshold")
	if w.driver.State().Synchronised() || !w.unsync {
		t.Error("synchronised in a panic")
	}

	w = newWorld(t, 1)
	w.config.PanicExit = true
	w.after(10*time.Minute, func() { w.servers[0].offset = 5000 })
	w.run(30 * time.Minute)
	if !errors.Is(w.err, clock.ErrPanic) {
		t.Errorf("Run: %v, want ErrPanic", w.err)
	}
	w.wantWithin(1e-2)
}

func TestMaxChange(t *testing.T) {
	for _, ignore := range []int{2, -1} {
		w := newWorld(t, 1)
		w.system = 20 // the first update may
		w.config.MaxChange = clock.MaxChange{Offset: 0.1, Start: 2, Ignore: ignore}
		w.after(10*time.Minute, func() { w.servers[0].offset = -0.8; w.honest = false })
		w.after(12*time.Minute, func() {
			if ignore < 0 && (w.driver.State().Synchronised() || !w.driver.Tracking().Refused) {
				t.Error("served as synchronised while the update is refused")
			}
		})
		w.run(15 * time.Minute)
		if ended := errors.Is(w.err, clock.ErrMaxChange); ended != (ignore >= 0) {
			t.Errorf("ignore %d: Run: %v", ignore, w.err)
		}
		if len(w.steps) != 1 {
			t.Errorf("ignore %d: steps %v, want the first one only", ignore, w.steps)
		}
		w.wantWithin(1e-2)
		w.wantLogged("refused")
		w.wantNotLogged("another program")
	}
}

// The kernel's status says what is true at each stage.
func TestKernelStatus(t *testing.T) {
	w := newWorld(t, 3)
	w.system, w.loop, w.unsync, w.maxError = 0.01, true, false, time.Millisecond
	w.after(500*time.Microsecond, func() {
		if !w.unsync || w.loop {
			t.Error("after taking over: kernel synchronised, or its loop still on")
		}
	})
	w.after(60*time.Second, func() {
		if w.unsync || w.maxError > 100*time.Millisecond || w.maxError <= 0 || w.estError > w.maxError {
			t.Errorf("synchronised: unsync %v, maxerror %v, esterror %v", w.unsync, w.maxError, w.estError)
		}
		for _, s := range w.servers {
			s.silent = true
		}
	})
	before := time.Duration(0)
	w.after(2*time.Hour, func() {
		if before = w.maxError; w.unsync || before < 7000*15*time.Microsecond {
			t.Errorf("in holdover: unsync %v, maxerror %v: must grow", w.unsync, before)
		}
	})
	w.must(2*time.Hour + time.Minute)
	if w.maxError <= before || w.unsync {
		t.Errorf("left with maxerror %v, unsync %v", w.maxError, w.unsync)
	}
	w.wantLogged("the kernel's own loop")
	w.advance(w.now + 12*3600*second) // nobody steers it any more
	if !w.unsync {
		t.Error("still synchronised after half a day without a daemon")
	}
}

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
		{"after a while", func(w *world) { w.config.Fallback.Wait = 2 * time.Minute },
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

func TestReferences(t *testing.T) {
	w := newWorld(t, 1)
	w.must(2 * time.Minute)
	if s := w.driver.State(); s.ReferenceID != 0xc0000201 || s.Stratum != 2 {
		t.Errorf("reference %x at stratum %d, want 192.0.2.1 at 2", s.ReferenceID, s.Stratum)
	}
	r, there := w.driver.Source(w.servers[0].id)
	if !there || r.Age <= 0 || r.Age > 20*time.Second || r.State != discipline.Selected || r.Info.Name != "server" {
		t.Errorf("source %+v", r)
	}
	if tr := w.driver.Tracking(); tr.Selected.Name != "server" || tr.Kernel.TAI != 0 {
		t.Errorf("tracking %+v", tr)
	}

	w = newWorld(t, 1)
	w.servers[0].info, w.servers[0].stratum = clock.SourceInfo{Name: "GPS", Refclock: "GPS"}, 0
	w.must(2 * time.Minute)
	if s := w.driver.State(); s.ReferenceID != ntp.KissCode("GPS\x00") || s.Stratum != 1 {
		t.Errorf("reference %x at stratum %d, want GPS at 1", s.ReferenceID, s.Stratum)
	}
	w.wantWithin(20e-6)
}

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

func TestPrivilegeLost(t *testing.T) {
	w := newWorld(t, 1)
	w.refuse = clock.ErrPrivilege
	w.run(time.Minute)
	if !errors.Is(w.err, clock.ErrPrivilege) || !strings.Contains(w.err.Error(), "CAP_SYS_TIME") {
		t.Errorf("Run: %v", w.err)
	}
	w = newWorld(t, 1)
	w.after(30*time.Second, func() { w.refuse = errors.New("interrupted") })
	w.after(40*time.Second, func() { w.refuse = nil })
	w.must(2 * time.Minute)
	w.wantLogged("does not obey")
	w.wantWithin(1e-3)
}

func TestMeasureOnly(t *testing.T) {
	w := newWorld(t, 3)
	w.system, w.config.Measure, w.freq = 0.3, true, 1234
	w.must(time.Hour)
	if w.freq != 1234 || w.tick != 10_000 || len(w.steps) > 0 || !w.unsync {
		t.Error("the clock was touched")
	}
	s := w.driver.State()
	if !s.Synchronised() || s.RootDispersion < 300*time.Millisecond {
		t.Errorf("state %+v: the error must show", s)
	}
	if tr := w.driver.Tracking(); tr.Foreign != 0 || math.Abs(tr.SystemOffset-w.wrong()) > 1e-4 {
		t.Errorf("tracking %+v", tr)
	}
	w.wantNotLogged("another program")
}

func TestLock(t *testing.T) {
	w := newWorld(t, 0)
	first, err := clock.NewDriver(w.config)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := clock.NewDriver(w.config); !errors.Is(err, clock.ErrLocked) {
		t.Errorf("second driver: %v, want ErrLocked", err)
	}
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	again, err := clock.NewDriver(w.config)
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}

func TestRestart(t *testing.T) {
	w := newWorld(t, 3)
	w.y = -73e-6
	w.must(3 * time.Hour)
	s, err := clock.ReadState(w.config.StateFile)
	if err != nil || !s.Known || math.Abs(s.Frequency-w.y) > 0.05e-6 {
		t.Fatalf("state %+v, %v", s, err)
	}
	if d := s.Synchronised.UnixNano() - w.systemNow(); d > 0 || d < -2*second {
		t.Errorf("last synchronised %v, %d ns from now", s.Synchronised, d)
	}
	w.tick, w.freq = 10_000, 0 // the machine was rebooted
	w.after(3*time.Hour+500*time.Millisecond, func() {
		if math.Abs((1+w.rate())*(1+w.y)-1) > 0.1e-6 {
			t.Errorf("starts with %v ppm", w.rate()*1e6)
		}
	})
	for _, s := range w.servers {
		s.silent = true
	}
	w.must(4 * time.Hour)
	after, err := clock.ReadState(w.config.StateFile)
	if err != nil || after.Synchronised != s.Synchronised || after.Frequency != s.Frequency {
		t.Errorf("a run without sources spoilt the state: %+v, %v", after, err)
	}
}

// The state is saved hourly, not only at the end.
func TestSavedHourly(t *testing.T) {
	w := newWorld(t, 1)
	w.after(3*time.Hour, func() {
		for range 1000 { // it is written beside
			if s, err := clock.ReadState(w.config.StateFile); err == nil && s.Known {
				return
			}
			time.Sleep(time.Millisecond)
		}
		t.Error("nothing saved after three hours")
	})
	w.must(3*time.Hour + time.Minute)
}

func TestDriftFiles(t *testing.T) {
	for _, c := range []struct {
		name, text string
		form       clock.DriftForm
		fields     int
		sign       float64 // of a fast oscillator
	}{
		{"ntpd", "-41.250\n", clock.DriftChrony, 1, -1},
		{"chrony", "           41.250000             0.031000\n", clock.DriftNTP, 2, 1},
		{"new, ntpd's form", "", clock.DriftNTP, 1, -1},
		{"new, chrony's form", "", clock.DriftChrony, 2, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, 1)
			w.y = 41.3e-6
			w.config.DriftFile, w.config.DriftForm = filepath.Join(w.dir, "drift"), c.form
			if c.text != "" {
				if err := os.WriteFile(w.config.DriftFile, []byte(c.text), 0o644); err != nil {
					t.Fatal(err)
				}
				w.after(500*time.Millisecond, func() {
					if math.Abs(w.rate()+41.25e-6) > 0.1e-6 {
						t.Errorf("starts with %v ppm", w.rate()*1e6)
					}
				})
				w.servers[0].next = 2 * second
			}
			w.must(2 * time.Hour)
			text, err := os.ReadFile(w.config.DriftFile)
			if err != nil {
				t.Fatal(err)
			}
			numbers := strings.Fields(string(text))
			if ppm, err := strconv.ParseFloat(numbers[0], 64); err != nil || len(numbers) != c.fields || math.Abs(c.sign*ppm-41.3) > 0.05 {
				t.Errorf("written %q", text)
			}
		})
	}
}

// A broken state file hurts nothing.
func TestBrokenFiles(t *testing.T) {
	w := newWorld(t, 1)
	w.config.DriftFile = filepath.Join(w.dir, "drift")
	for path, text := range map[string]string{w.config.StateFile: `{"version":1,"frequency_ppm":700,"synchronised":"2026-01-01T00:00:00Z"}`, w.config.DriftFile: "fast\n"} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if s, err := clock.ReadState(w.config.StateFile); err == nil || s.Known || s.Synchronised.Year() != 2026 {
		t.Errorf("state %+v, %v: what is in range counts", s, err)
	}
	w.must(time.Hour)
	w.wantLogged("state of the clock is not used", "700 ppm is out of range", "drift file is not used")
	w.wantWithin(1e-3)
	if s, err := clock.ReadState(w.config.StateFile); err != nil || !s.Known {
		t.Errorf("not mended: %+v, %v", s, err)
	}
}

func TestConfigRefused(t *testing.T) {
	for name, change := range map[string]func(*clock.DriverConfig){
		"no system":  func(c *clock.DriverConfig) { c.System = nil },
		"stratum":    func(c *clock.DriverConfig) { c.Fallback.Stratum = 16 },
		"discipline": func(c *clock.DriverConfig) { c.Discipline.MaxSlew = 1 },
		"lock":       func(c *clock.DriverConfig) { c.LockFile = filepath.Join(t.TempDir(), "no", "lock") },
	} {
		w := newWorld(t, 0)
		change(&w.config)
		if _, err := clock.NewDriver(w.config); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// In the midst of a slew the driver ends: what stays is the frequency alone.
func TestExitInASlew(t *testing.T) {
	w := newWorld(t, 1)
	w.config.Discipline.StartSlew = 0.01
	w.after(20*time.Minute, func() { w.jump(20 * second / 1000); w.honest = false })
	slew := 0.0
	w.after(20*time.Minute+5*time.Second, func() { slew = w.rate() })
	w.must(20*time.Minute + 6*time.Second)
	if math.Abs(slew) < 400e-6 {
		t.Fatalf("no slew was running: rate %v", slew)
	}
	if left := (1+w.rate())*(1+w.y) - 1; math.Abs(left) > 0.2e-6 || w.tick != 10_000 {
		t.Errorf("left running off by %v, tick %d", left, w.tick)
	}
	if w.ins || w.del || w.loop {
		t.Error("a leap second or the kernel's loop left behind")
	}
}

// Before the first tick there is a state to serve, and nothing to leave.
func TestEndsAtOnce(t *testing.T) {
	w := newWorld(t, 1)
	w.freq = 99
	d, err := clock.NewDriver(w.config)
	if err != nil {
		t.Fatal(err)
	}
	if s := d.State(); s.Synchronised() || s.ReferenceID != ntp.KissCode("INIT") {
		t.Errorf("state %+v", s)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	w.driver, w.cancel = d, cancel
	if err := d.Run(ctx); err != nil {
		t.Error(err)
	}
	if w.freq != 99 {
		t.Errorf("frequency left at %d, found at 99", w.freq)
	}
}
