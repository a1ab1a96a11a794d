package clock

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ntsbridge/bridge/clock/timebase"
	"ntsbridge/bridge/ntp"
)

// TestRealClock sets this machine's clock for about a second, and puts it
// back: time (by the free-running base), frequency, tick, status and TAI. Only
// when asked to, as root, by one process at a time.
func TestRealClock(t *testing.T) {
	if os.Getenv("NTSBRIDGE_REAL_CLOCK") != "1" || os.Geteuid() != 0 {
		t.Skip("touches the system clock: wants NTSBRIDGE_REAL_CLOCK=1 and root")
	}
	lock, err := os.OpenFile(filepath.Join(lockDir(), "ntsbridge-real-clock.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	if err := OtherDaemon(); err != nil {
		t.Fatal(err) // who asked for this test wants it to run
	}
	system, err := OpenSystem()
	if err != nil {
		t.Fatal(err)
	}
	var before unix.Timex
	if _, err := unix.Adjtimex(&before); err != nil {
		t.Fatal(err)
	}
	began := timebase.Read()
	defer putBack(t, &before, began)
	exerciseClock(t, system)
}

func lockDir() string {
	if info, err := os.Stat("/run/lock"); err == nil && info.IsDir() {
		return "/run/lock"
	}
	return os.TempDir()
}

// putBack restores the clock as if it had run on at the rate it had.
func putBack(t *testing.T, before *unix.Timex, began timebase.Pair) {
	rate := joinRate(int64(before.Tick), int64(before.Freq))
	k := kernelClock{}
	if err := k.SetRate(rate); err != nil {
		t.Error(err)
	}
	now := timebase.Read()
	should := began.System + int64(float64(now.Raw-began.Raw)*(1+rate))
	if err := k.Step(should - now.System); err != nil {
		t.Error(err)
	}
	tx := unix.Timex{Modes: unix.ADJ_STATUS | unix.ADJ_MAXERROR | unix.ADJ_ESTERROR | unix.ADJ_TIMECONST, Status: before.Status,
		Maxerror: before.Maxerror, Esterror: before.Esterror, Constant: before.Constant}
	if err := adjust("put back", &tx); err != nil {
		t.Error(err)
	}
	if err := k.SetTAI(int(before.Tai)); err != nil {
		t.Error(err)
	}
	var after unix.Timex
	if _, err := unix.Adjtimex(&after); err != nil {
		t.Error(err)
	}
	now = timebase.Read()
	off := now.System - began.System - int64(float64(now.Raw-began.Raw)*(1+rate))
	t.Logf("put back: %d ns from where it would be; status %#x was %#x, frequency %d was %d, tick %d was %d, TAI %d was %d",
		off, after.Status, before.Status, after.Freq, before.Freq, after.Tick, before.Tick, after.Tai, before.Tai)
	if off > 100_000 || off < -100_000 || after.Freq != before.Freq || after.Tick != before.Tick ||
		after.Status != before.Status || after.Tai != before.Tai {
		t.Error("not put back")
	}
}

func read(t *testing.T, s System) Clocks {
	t.Helper()
	c, err := s.Read()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func exerciseClock(t *testing.T, s System) {
	if err := s.Reset(); err != nil {
		t.Fatal(err)
	}
	if c := read(t, s); c.Kernel.Synchronised || c.Kernel.Loop {
		t.Errorf("after Reset: %+v", c.Kernel)
	}
	for _, rate := range []float64{0, 123.456e-6, -499.9e-6, 0.05, -0.0123456, 0.002} {
		if err := s.SetRate(rate); err != nil {
			t.Fatal(err)
		}
		first := read(t, s)
		if math.Abs(first.Rate-rate) > freqUnit {
			t.Errorf("rate %v reads back as %v", rate, first.Rate)
		}
		if err := s.Wait(context.Background(), first.Raw+int64(100*time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		last := read(t, s)
		got := float64(last.System-first.System)/float64(last.Raw-first.Raw) - 1
		t.Logf("rate %v: measured %v", rate, got)
		if math.Abs(got-rate) > 20e-6 { // 2 us in 100 ms
			t.Errorf("rate %v: the clock runs at %v", rate, got)
		}
		if d := (last.Boot - first.Boot) - (last.Monotonic - first.Monotonic); d > 1e6 || d < -1e6 {
			t.Errorf("boot time gained %d ns", d)
		}
	}
	exerciseSteps(t, s)
	exerciseStatus(t, s)
}

func exerciseSteps(t *testing.T, s System) {
	if err := s.SetRate(0); err != nil {
		t.Fatal(err)
	}
	for _, by := range []int64{3_000_000, -3_000_000, -1_500_000_000, 1_500_000_000} {
		first := read(t, s)
		if err := s.Step(by); err != nil {
			t.Fatal(err)
		}
		last := read(t, s)
		if off := last.System - first.System - (last.Raw - first.Raw) - by; off > 20_000 || off < -20_000 {
			t.Errorf("step of %d ns missed by %d ns", by, off)
		}
		if last.Kernel.Synchronised {
			t.Error("synchronised after a step")
		}
	}
	first := read(t, s)
	if err := errors.Join(settime(2_000_000), settime(-2_000_000)); err != nil {
		t.Fatal(err)
	}
	if off := read(t, s); off.System-first.System-(off.Raw-first.Raw) > 1_000_000 {
		t.Error("the fallback of a step is off by a millisecond")
	}
}

func exerciseStatus(t *testing.T, s System) {
	for _, want := range []Status{
		{Synchronised: true, MaxError: 1500 * time.Microsecond, EstError: 20 * time.Microsecond},
		{Synchronised: true, Leap: ntp.LeapInsert, MaxError: time.Millisecond},
		{Synchronised: true, Leap: ntp.LeapDelete, MaxError: time.Millisecond},
		{MaxError: time.Minute},
	} {
		if err := s.SetStatus(want); err != nil {
			t.Fatal(err)
		}
		k := read(t, s).Kernel
		if k.Synchronised != want.Synchronised || k.Leap != want.Leap || k.MaxError < min(want.MaxError, 16*time.Second) ||
			k.EstError < want.EstError {
			t.Errorf("status %+v reads back as %+v", want, k)
		}
	}
	if err := s.SetTAI(37); err != nil {
		t.Fatal(err)
	}
	if k := read(t, s).Kernel; k.TAI != 37 {
		t.Errorf("TAI-UTC reads back as %d", k.TAI)
	}
}
