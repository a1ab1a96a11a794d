package clock_test

import (
	"context"
	"fmt"
	"math"
	"time"

	"ntsbridge/bridge/clock"
	"ntsbridge/bridge/ntp"
)

// The kernel's states and limits, adjtimex(2) and kernel/time/ntp.c.
const (
	timeOK = iota
	timeInsert
	timeDelete
	timeOver
	timeWait
)

const (
	second     = int64(1e9)
	day        = 86400 * second
	never      = math.MaxInt64
	rawStart   = 5000 * second
	phaseLimit = 16 * time.Second
)

// fakeKernel is a kernel's clock with an oscillator, deterministic: what
// adjtimex does to it follows Linux.
type fakeKernel struct {
	y      float64 // of the oscillator, s/s
	start  int64   // Unix time of the beginning, ns, without leap seconds since
	now    int64   // true time since the beginning, ns
	raw    float64 // error of the base, s
	system float64 // error of the system clock against start+now, s
	mono   float64 // error of the monotonic clock, s
	asleep int64   // time that boot time has more than monotonic time

	tick, freq         int64
	unsync, ins, del   bool
	maxError, estError time.Duration
	tai                int
	state              int
	nextLeap           int64 // Unix second
	loop               bool  // STA_PLL

	wait   func(ctx context.Context, at int64) error
	late   int64 // ns that pass before a rate takes effect
	refuse error // of all settings
	steps  []int64
	leaps  int
}

func newFakeKernel(start time.Time) *fakeKernel {
	return &fakeKernel{y: 20e-6, start: start.UnixNano(), tick: 10_000, unsync: true, maxError: phaseLimit, nextLeap: never}
}

func (k *fakeKernel) rate() float64 {
	return float64(k.tick-10_000)*1e-4 + float64(k.freq)*1e-6/65536
}

func (k *fakeKernel) rawNow() int64    { return rawStart + k.now + int64(math.Round(k.raw*1e9)) }
func (k *fakeKernel) systemNow() int64 { return k.start + k.now + int64(math.Round(k.system*1e9)) }

// advance lets true time pass, system second by system second.
func (k *fakeKernel) advance(to int64) {
	for k.now < to {
		speed := (1 + k.y) * (1 + k.rate())
		left := second - mod(k.systemNow(), second)
		dt := min(to-k.now, int64(math.Ceil(float64(left)/speed)))
		was := k.systemNow() / second
		f := float64(dt) / 1e9
		k.now += dt
		k.raw += f * k.y
		k.system += f * (speed - 1)
		k.mono += f * (speed - 1)
		if s := k.systemNow() / second; s > was {
			k.overflow(s)
		}
	}
}

func mod(a, b int64) int64 { return ((a % b) + b) % b }

// overflow is what the kernel does when a second of the system clock ends.
func (k *fakeKernel) overflow(secs int64) {
	switch k.state {
	case timeOK:
		if k.ins {
			k.state, k.nextLeap = timeInsert, secs+86400-mod(secs, 86400)
		} else if k.del {
			k.state, k.nextLeap = timeDelete, secs+86400-mod(secs+1, 86400)
		}
	case timeInsert:
		if !k.ins {
			k.state, k.nextLeap = timeOK, never
		} else if secs == k.nextLeap {
			k.leap(1)
			k.state = timeOver
		}
	case timeDelete:
		if !k.del {
			k.state, k.nextLeap = timeOK, never
		} else if secs == k.nextLeap {
			k.leap(-1)
			k.nextLeap, k.state = never, timeWait
		}
	case timeOver:
		k.nextLeap, k.state = never, timeWait
	case timeWait:
		if !k.ins && !k.del {
			k.state = timeOK
		}
	}
	if k.maxError += 500 * time.Microsecond; k.maxError > phaseLimit {
		k.maxError, k.unsync = phaseLimit, true
	}
}

func (k *fakeKernel) leap(by int) {
	k.system -= float64(by)
	k.tai += by
	k.leaps++
}

// jump sets the clock, as clock_settime and ADJ_SETOFFSET do, whoever calls.
func (k *fakeKernel) jump(by int64) {
	k.system += float64(by) / 1e9
	k.unsync, k.maxError, k.estError, k.nextLeap = true, phaseLimit, phaseLimit, never
}

// stand lets true time pass while all clocks of the machine stand still.
func (k *fakeKernel) stand(d time.Duration) {
	k.now += int64(d)
	k.raw -= d.Seconds()
	k.mono -= d.Seconds()
	k.system -= d.Seconds()
}

// suspend lets the machine sleep; the clock comes back wrong by some.
func (k *fakeKernel) suspend(d time.Duration, wrong float64) {
	k.now += int64(d)
	k.raw -= d.Seconds()
	k.mono -= d.Seconds()
	k.asleep += int64(d)
	k.system += wrong
}

// Read implements clock.System.
func (k *fakeKernel) Read() (clock.Clocks, error) {
	mono := rawStart/2 + k.now + int64(math.Round(k.mono*1e9))
	c := clock.Clocks{Raw: k.rawNow(), System: k.systemNow(), Monotonic: mono, Boot: mono + k.asleep, Spread: 100, Rate: k.rate()}
	c.Kernel = clock.Kernel{Synchronised: !k.unsync, MaxError: k.maxError, EstError: k.estError, TAI: k.tai, Loop: k.loop,
		LeapOver: !k.unsync && (k.state == timeOver || k.state == timeWait)}
	switch {
	case k.ins:
		c.Kernel.Leap = ntp.LeapInsert
	case k.del:
		c.Kernel.Leap = ntp.LeapDelete
	}
	return c, nil
}

// Reset implements clock.System.
func (k *fakeKernel) Reset() error {
	if k.refuse != nil {
		return k.refuse
	}
	k.loop, k.ins, k.del, k.unsync, k.state, k.nextLeap = false, false, false, true, timeOK, never
	k.maxError, k.estError = phaseLimit, phaseLimit
	return nil
}

// SetRate implements clock.System.
func (k *fakeKernel) SetRate(rate float64) error {
	if k.refuse != nil {
		return k.refuse
	}
	if !(math.Abs(rate) <= 0.1) {
		return fmt.Errorf("rate %v", rate)
	}
	k.advance(k.now + k.late)
	k.tick, k.freq = clock.SplitRate(rate)
	return nil
}

// Step implements clock.System.
func (k *fakeKernel) Step(by int64) error {
	if k.refuse != nil {
		return k.refuse
	}
	k.steps = append(k.steps, by)
	k.jump(by)
	return nil
}

// SetStatus implements clock.System.
func (k *fakeKernel) SetStatus(s clock.Status) error {
	if k.refuse != nil {
		return k.refuse
	}
	k.unsync, k.ins, k.del = !s.Synchronised, s.Leap == ntp.LeapInsert, s.Leap == ntp.LeapDelete
	k.maxError, k.estError = min(s.MaxError, phaseLimit), min(s.EstError, phaseLimit)
	return nil
}

// SetTAI implements clock.System.
func (k *fakeKernel) SetTAI(seconds int) error {
	k.tai = seconds
	return k.refuse
}

// Wait implements clock.System.
func (k *fakeKernel) Wait(ctx context.Context, at int64) error { return k.wait(ctx, at) }
