package nic

import (
	"errors"
	"testing"
	"time"
)

// fakePHC is a clock that is fast by a rate and can be set.
type fakePHC struct {
	raw    int64   // of the base, now
	rate   float64 // ns of the clock for one of the base
	offset int64
	err    error
}

func (f *fakePHC) at(raw int64) int64 { return int64(float64(raw)*f.rate) + f.offset }

func (f *fakePHC) Cross() (clock, raw int64, err error) { return f.at(f.raw), f.raw, f.err }
func (f *fakePHC) Close() error                         { return nil }

// Timestamps of a clock that nobody disciplines are converted to within
// nanoseconds once its rate is known, and to within its rate before.
func TestHardwareConversion(t *testing.T) {
	t.Parallel()
	const second = int64(time.Second)
	for _, rate := range []float64{1, 1 + 80e-6, 1 - 500e-6} {
		f := &fakePHC{raw: 10 * second, rate: rate, offset: 37 * second}
		h := New(f, 0)
		if _, ok := h.Convert(f.at(f.raw)); ok {
			t.Error("converted before anything was read")
		}
		h.Read()
		for poll := range 40 {
			sent := f.raw - 20_000
			arrived := f.raw + 100_000_000 // the answer comes 100 ms later
			limit := int64(100_000_000 * 600e-6)
			if poll > 1 {
				limit = 20
			}
			for _, raw := range []int64{sent, arrived} {
				got, ok := h.Convert(f.at(raw))
				if wrong := got - raw; !ok || wrong > limit || wrong < -limit {
					t.Errorf("rate %v, poll %d: %d ns wrong", rate, poll, wrong)
				}
			}
			f.raw += 64 * second
			h.Read()
		}
	}
}

func TestHardwareClockIsSet(t *testing.T) {
	t.Parallel()
	const second = int64(time.Second)
	f := &fakePHC{raw: second, rate: 1 + 50e-6}
	h := New(f, 0)
	for range 10 {
		f.raw += 16 * second
		h.Read()
	}
	f.offset -= 1000 * second
	f.raw += 16 * second
	h.Read()
	if got, ok := h.Convert(f.at(f.raw - 1000)); !ok || got-(f.raw-1000) > 1 || got-(f.raw-1000) < -1 {
		t.Errorf("after the clock was set: %d ns wrong, %v", got-(f.raw-1000), ok)
	}
	for _, far := range []int64{-60 * second, 60 * second, 1 << 62} {
		if _, ok := h.Convert(f.at(f.raw) + far); ok {
			t.Errorf("a timestamp %v away was converted", time.Duration(far))
		}
	}
	f.err = errors.New("the device is gone")
	h.Read()
	if _, ok := h.Convert(f.at(f.raw)); ok {
		t.Error("converted by a clock that cannot be read")
	}
}

// Received packets are stamped when they begin, and count when they end.
func TestHardwareArrival(t *testing.T) {
	t.Parallel()
	f := &fakePHC{raw: 1 << 40, rate: 1}
	h := New(f, 0)
	h.Read()
	for _, c := range []struct {
		megabits int
		v6       bool
		want     int64
	}{{10_000, false, 75}, {1000, false, 752}, {100, false, 7520}, {1000, true, 912}} {
		h.bitTime = time.Duration(1_000_000 / c.megabits)
		if raw, ok := h.Arrival(f.at(f.raw), 48, c.v6); !ok || raw-f.raw != c.want {
			t.Errorf("%+v: %d ns after the beginning", c, raw-f.raw)
		}
	}
}

// A timestamp that cannot be of the packet, by what the kernel saw of it, is none.
func TestPossible(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		after         time.Duration // of the kernel's
		arrived, left bool
	}{
		{0, true, true}, {-3 * time.Microsecond, true, true}, {3 * time.Microsecond, true, true},
		{-time.Millisecond, true, false}, {time.Millisecond, false, true},
		{-time.Second, false, false}, {time.Second, false, false}, {-37 * time.Second, false, false},
	} {
		if got := Arrived(1<<40+int64(c.after), 1<<40); got != c.arrived {
			t.Errorf("arrived %v after the kernel saw it: %v", c.after, got)
		}
		if got := Left(1<<40+int64(c.after), 1<<40); got != c.left {
			t.Errorf("left %v after the kernel sent it: %v", c.after, got)
		}
	}
}

// An interface without a clock says so.
func TestNotAble(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"lo", "no-such0"} {
		if Able(name) == nil {
			t.Errorf("%s has timestamps", name)
		}
	}
}
