package clock_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"path/filepath"
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

// Between a step and its confirmation not even the fallback is served.
func TestNoFallbackAroundAStep(t *testing.T) {
	w := newWorld(t, 1)
	w.system, w.config.Fallback.Stratum = -30, 10
	w.servers[0].silent = true
	w.after(10*time.Second, func() { w.servers[0].silent = false })
	w.must(2 * time.Minute)
	if w.states[5].Stratum != 10 || w.driver.State().Stratum != 2 {
		t.Errorf("stratum %d before any answer, %d at the end", w.states[5].Stratum, w.driver.State().Stratum)
	}
	answered := false
	for _, s := range w.states {
		answered = answered || s.Stratum != 10
		if answered && (s.Stratum == 10 || s.Synchronised() && math.Abs(s.error) > 1e-2) {
			t.Errorf("at %v: served at stratum %d with an error of %v", time.Duration(s.at), s.Stratum, s.error)
		}
	}
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
	w.system, w.config.Measure, w.freq = 1.5, true, 1234
	w.must(time.Hour)
	if w.freq != 1234 || w.tick != 10_000 || len(w.steps) > 0 || !w.unsync {
		t.Error("the clock was touched")
	}
	s := w.driver.State()
	if !s.Synchronised() || s.RootDispersion < 1500*time.Millisecond {
		t.Errorf("state %+v: the error must show", s)
	}
	if tr := w.driver.Tracking(); tr.Foreign != 0 || tr.Steps != 0 || math.Abs(tr.SystemOffset-w.wrong()) > 1e-4 {
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

// What is no number, from a source's header, moves nothing.
func TestNoNumbers(t *testing.T) {
	w := newWorld(t, 1)
	poison := []float64{math.NaN(), math.Inf(1), math.Inf(-1), -1, 1e300}
	n := 0
	w.after(10*time.Minute, func() {
		w.servers[0].change = func(x *discipline.Sample) {
			n++
			x.RootDelay, x.RootDispersion = poison[n%5], poison[n%3]
			if n%7 == 0 {
				x.T2, x.T3 = math.MaxInt64, math.MaxInt64
			}
		}
	})
	w.must(30 * time.Minute)
	w.wantWithin(1e-3)
	if len(w.steps) > 0 || math.Abs((1+w.rate())*(1+w.y)-1) > 1e-6 {
		t.Errorf("steps %v, rate %v", w.steps, w.rate())
	}
}

// A machine without a clock that runs on starts in 1970: that is no time to be
// careful with.
func TestStartIn1970(t *testing.T) {
	w := newWorld(t, 3)
	w.system = -float64(worldStart.Unix())
	w.config.Discipline.StepThreshold, w.config.Discipline.StepUpdates = 0, 0
	w.config.Fallback = clock.Fallback{Stratum: 10}
	w.config.Floor = worldStart.Add(-100 * 24 * time.Hour)
	w.must(10 * time.Minute)
	w.wantLogged("cannot be right")
	w.wantWithin(1e-3)
	if len(w.steps) != 1 {
		t.Errorf("steps %v", w.steps)
	}
	for _, s := range w.states {
		if s.Synchronised() && math.Abs(s.error) > 1 {
			t.Fatalf("served %+v, wrong by %v s", s.ClockState, s.error)
		}
	}
}

// Whatever clock and network: the true error is within what is served.
func TestHonestInRandomWorlds(t *testing.T) {
	worlds := uint64(25)
	if testing.Short() {
		worlds = 4
	}
	for seed := range worlds {
		w := newWorld(t, 1+int(seed%4))
		w.random = rand.New(rand.NewPCG(seed, 3))
		r := w.random.Float64
		w.y, w.system = (r()-0.5)*900e-6, (r()-0.5)*4
		if seed%2 == 0 {
			w.config.Discipline.StartSlew = 0.08
		}
		for _, s := range w.servers {
			s.delay = 1e-4 + 0.1*r()*r()
			if asymmetry := s.delay * 0.4 * (r() - 0.5); r() < 0.5 {
				s.offset = asymmetry // the same to us as a longer way in one direction
			}
			from, length := r()*3000, r()*600
			w.after(seconds(from), func() { s.silent = true })
			w.after(seconds(from+length), func() { s.silent = false })
			w.after(seconds(r()*3600), func() { w.y += 2e-6 * (r() - 0.5) })
		}
		w.must(time.Hour)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
		w.wantNotLogged("another program")
	}
}

func seconds(s float64) time.Duration { return time.Duration(s * 1e9) }

// An operator sets a clock that follows nobody; one that does is left alone.
func TestSetTime(t *testing.T) {
	w := newWorld(t, 1)
	w.servers[0].silent = true
	w.honest = false // nobody knows better than the operator
	w.after(time.Minute, func() {
		if err := w.driver.SetTime(time.Unix(0, w.systemNow()).Add(100 * time.Second)); err != nil {
			t.Error(err)
		}
	})
	w.must(2 * time.Minute)
	if len(w.steps) != 1 || len(w.onSteps) != 1 || w.onSteps[0] != 100*time.Second || math.Abs(w.wrong()-100) > 0.01 {
		t.Errorf("steps %v, told %v, wrong by %v s", w.steps, w.onSteps, w.wrong())
	}
	w.wantLogged("set by hand")
	w.wantNotLogged("another program")

	w = newWorld(t, 3)
	w.after(time.Minute, func() {
		if err := w.driver.SetTime(worldStart); !errors.Is(err, clock.ErrHasSources) {
			t.Errorf("with sources: %v", err)
		}
	})
	w.must(2 * time.Minute)
	if len(w.steps) > 0 {
		t.Errorf("steps %v", w.steps)
	}
}
