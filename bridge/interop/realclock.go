package interop

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ntsbridge/bridge/clock/timebase"
)

// realVariable allows tests to set the clock of the machine.
const realVariable = "NTSBRIDGE_REAL_CLOCK"

// RealClock is the right to set the machine's clock, held by one test at a
// time. Its end sets time, frequency and status back to what they were.
type RealClock struct {
	anchor timebase.Pair
	timex  unix.Timex
}

// HoldRealClock takes the right. It skips the test unless the environment
// allows it.
func HoldRealClock(t testing.TB) *RealClock {
	t.Helper()
	if os.Getenv(realVariable) != "1" {
		t.Skipf("SETS THE MACHINE'S CLOCK: run it by make real-clock (%s=1), as root, where nothing else needs the time", realVariable)
	}
	lock, err := os.OpenFile(filepath.Join(os.TempDir(), "ntsbridge-real-clock.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	c := &RealClock{anchor: timebase.Read()}
	if _, err := unix.Adjtimex(&c.timex); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		defer lock.Close()
		if err := c.restore(); err != nil {
			t.Errorf("THE MACHINE'S CLOCK IS NOT RESTORED: %v", err)
		}
	})
	return c
}

// Level sets frequency and tick to nominal values, without a kernel loop.
func (c *RealClock) Level() error {
	return adjust(unix.Timex{Modes: unix.ADJ_FREQUENCY | unix.ADJ_TICK | unix.ADJ_STATUS, Tick: 10000, Status: unix.STA_UNSYNC})
}

// Reset sets the time right, to what it would be if nobody had touched the
// clock.
func (c *RealClock) Reset() error {
	now := timebase.Read()
	right := c.anchor.System + (now.Raw - c.anchor.Raw)
	by := right - now.System
	sec, nsec := by/1e9, by%1e9
	if nsec < 0 {
		sec, nsec = sec-1, nsec+1e9
	}
	return adjust(unix.Timex{Modes: unix.ADJ_SETOFFSET | unix.ADJ_NANO, Time: unix.Timeval{Sec: sec, Usec: nsec}})
}

func (c *RealClock) restore() error {
	if err := c.Level(); err != nil {
		return err
	}
	if err := c.Reset(); err != nil {
		return err
	}
	t := c.timex
	t.Modes = unix.ADJ_FREQUENCY | unix.ADJ_TICK | unix.ADJ_STATUS | unix.ADJ_MAXERROR | unix.ADJ_ESTERROR
	if err := adjust(t); err != nil {
		return err
	}
	// The unit of readings, and TAI, each in a call of its own: they share a
	// field.
	unit := unix.Timex{Modes: unix.ADJ_MICRO}
	if t.Status&unix.STA_NANO != 0 {
		unit.Modes = unix.ADJ_NANO
	}
	if err := adjust(unit); err != nil {
		return err
	}
	return adjust(unix.Timex{Modes: unix.ADJ_TAI, Constant: int64(c.timex.Tai)})
}

func adjust(t unix.Timex) error {
	if _, err := unix.Adjtimex(&t); err != nil {
		return fmt.Errorf("adjtimex: %w", err)
	}
	return nil
}

// TrueTime is a clock that no discipline reaches: it runs on
// CLOCK_MONOTONIC_RAW, with a rate of its own.
type TrueTime struct {
	anchor timebase.Pair
	offset int64   // ns, of true time from the system clock at the anchor
	rate   float64 // of true time against the base, s/s
}

// At returns true time, Unix time in ns, at a reading of the base.
func (c *TrueTime) At(raw int64) int64 {
	run := raw - c.anchor.Raw
	return c.anchor.System + c.offset + run + int64(math.Round(float64(run)*c.rate))
}

// Error returns the error of the system clock now, s.
func (c *TrueTime) Error() float64 {
	p := timebase.Read()
	return float64(p.System-c.At(p.Raw)) * 1e-9
}

// ClockSample is the system clock at a moment.
type ClockSample struct {
	At     float64 // s since the record began
	Error  float64 // system clock less true time, s
	Rate   float64 // correction in force, s/s
	Status int32
}

// ClockRecord samples the system clock until it is stopped.
type ClockRecord struct {
	stop    chan struct{}
	done    sync.WaitGroup
	Samples []ClockSample
}

// Record begins to sample.
func (c *TrueTime) Record(every time.Duration) *ClockRecord {
	r := &ClockRecord{stop: make(chan struct{})}
	begin := timebase.Read().Raw
	r.done.Go(func() {
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			select {
			case <-r.stop:
				return
			case <-ticker.C:
			}
			var t unix.Timex
			if _, err := unix.Adjtimex(&t); err != nil {
				continue
			}
			p := timebase.Read()
			r.Samples = append(r.Samples, ClockSample{At: float64(p.Raw-begin) * 1e-9, Error: float64(p.System-c.At(p.Raw)) * 1e-9,
				Rate: float64(t.Freq)/65536*1e-6 + float64(t.Tick-10000)/10000, Status: t.Status})
		}
	})
	return r
}

// Stop ends the record.
func (r *ClockRecord) Stop() []ClockSample {
	close(r.stop)
	r.done.Wait()
	return r.Samples
}

// Settled returns when the error first stayed below a limit for hold seconds,
// s; infinite: never.
func Settled(samples []ClockSample, limit, hold float64) float64 {
	since := math.Inf(1)
	for _, s := range samples {
		switch {
		case math.Abs(s.Error) >= limit:
			since = math.Inf(1)
		case math.IsInf(since, 1):
			since = s.At
		case s.At-since >= hold:
			return since
		}
	}
	return math.Inf(1)
}

// Steady returns mean and deviation of the errors from a time on, and the
// largest, s.
func Steady(samples []ClockSample, from float64) (mean, deviation, most float64) {
	var n, sum, squares float64
	for _, s := range samples {
		if s.At >= from {
			n, sum, squares = n+1, sum+s.Error, squares+s.Error*s.Error
			most = max(most, math.Abs(s.Error))
		}
	}
	mean = sum / n
	return mean, math.Sqrt(max(squares/n-mean*mean, 0)), most
}
