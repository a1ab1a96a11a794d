package clock

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"golang.org/x/sys/unix"

	"ntsbridge/bridge/clock/timebase"
	"ntsbridge/bridge/ntp"
)

// kernelClock is the kernel's clock.
type kernelClock struct{}

// OpenSystem returns the kernel's clock, or ErrPrivilege if this process may
// not set it.
func OpenSystem() (System, error) {
	var tx unix.Timex
	if _, err := unix.Adjtimex(&tx); err != nil {
		return nil, fmt.Errorf("adjtimex: %w", err)
	}
	// Any mode needs the privilege; the unit of times, as it is, changes nothing.
	modes := uint32(unix.ADJ_MICRO)
	if tx.Status&unix.STA_NANO != 0 {
		modes = unix.ADJ_NANO
	}
	if err := adjust("open", &unix.Timex{Modes: modes}); err != nil {
		return nil, err
	}
	return kernelClock{}, nil
}

// ReadOnlySystem returns the kernel's clock for a driver that only measures.
func ReadOnlySystem() System { return kernelClock{} }

// adjust calls adjtimex to set something.
func adjust(what string, tx *unix.Timex) error {
	_, err := unix.Adjtimex(tx)
	switch {
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("%s: %w", what, ErrPrivilege)
	case err != nil:
		return fmt.Errorf("%s: adjtimex: %w", what, err)
	}
	return nil
}

// put sets a field of unix.Timex, whose width is that of the machine.
func put[T ~int32 | ~int64](field *T, value int64) { *field = T(value) }

// Read implements System.
func (kernelClock) Read() (c Clocks, err error) {
	var tx unix.Timex
	state, err := unix.Adjtimex(&tx)
	if err != nil {
		return c, fmt.Errorf("adjtimex: %w", err)
	}
	p := timebase.Read()
	c = Clocks{Raw: p.Raw, System: p.System, Spread: p.Spread, Rate: joinRate(int64(tx.Tick), int64(tx.Freq)), Kernel: kernelOf(state, &tx)}
	c.Monotonic, c.Boot = readUptime(p.Raw)
	return c, nil
}

// uptimeTries is how many readings readUptime chooses from.
const uptimeTries = 5

// readUptime returns CLOCK_MONOTONIC and CLOCK_BOOTTIME when the base reads
// raw, just before now, by the quickest of some readings: a process that had
// to wait between two clocks must not see a suspend.
func readUptime(raw int64) (monotonic, boot int64) {
	least := int64(math.MaxInt64)
	for range uptimeTries {
		before := gettime(unix.CLOCK_MONOTONIC_RAW)
		m, b := gettime(unix.CLOCK_MONOTONIC), gettime(unix.CLOCK_BOOTTIME)
		after := gettime(unix.CLOCK_MONOTONIC_RAW)
		if after-before < least {
			least = after - before
			since := before + least/2 - raw
			monotonic, boot = m-since, b-since
		}
	}
	return monotonic, boot
}

func gettime(id int32) int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(id, &ts); err != nil {
		panic("clock: clock_gettime: " + err.Error()) // cannot fail for these clocks
	}
	return ts.Nano()
}

// Reset implements System. Pending offsets of the kernel's loop run on after
// it is turned off, so they are set to 0 while it is on.
func (kernelClock) Reset() error {
	pll := unix.Timex{Modes: unix.ADJ_STATUS | unix.ADJ_OFFSET, Status: unix.STA_PLL | unix.STA_UNSYNC}
	if err := adjust("turn the kernel's loop off", &pll); err != nil {
		return err
	}
	off := unix.Timex{Modes: unix.ADJ_STATUS | unix.ADJ_MAXERROR | unix.ADJ_ESTERROR, Status: unix.STA_UNSYNC}
	put(&off.Maxerror, phaseLimit)
	put(&off.Esterror, phaseLimit)
	if err := adjust("turn the kernel's loop off", &off); err != nil {
		return err
	}
	return adjust("end adjtime's slew", &unix.Timex{Modes: unix.ADJ_OFFSET_SINGLESHOT})
}

// SetRate implements System.
func (kernelClock) SetRate(rate float64) error {
	if math.IsNaN(rate) || math.Abs(rate) > maxRate {
		return fmt.Errorf("set the clock's rate to %g: out of range", rate)
	}
	tick, freq := splitRate(rate)
	tx := unix.Timex{Modes: unix.ADJ_TICK | unix.ADJ_FREQUENCY}
	put(&tx.Tick, tick)
	put(&tx.Freq, freq)
	return adjust("set the clock's rate", &tx)
}

// Step implements System.
func (k kernelClock) Step(by int64) error {
	var before unix.Timex
	if _, err := unix.Adjtimex(&before); err != nil {
		return fmt.Errorf("adjtimex: %w", err)
	}
	sec, nsec := by/1e9, by%1e9
	if nsec < 0 {
		sec, nsec = sec-1, nsec+1e9
	}
	tx := unix.Timex{Modes: unix.ADJ_SETOFFSET | unix.ADJ_NANO}
	put(&tx.Time.Sec, sec)
	put(&tx.Time.Usec, nsec)
	err := adjust("step the clock", &tx)
	if err != nil && !errors.Is(err, ErrPrivilege) {
		return settime(by)
	}
	if err == nil && before.Status&unix.STA_NANO == 0 { // other programs rely on the unit
		return adjust("step the clock", &unix.Timex{Modes: unix.ADJ_MICRO})
	}
	return err
}

// settime steps as kernels before ADJ_SETOFFSET do, some microseconds late.
func settime(by int64) error {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_REALTIME, &now); err != nil {
		return fmt.Errorf("step the clock: %w", err)
	}
	to := unix.NsecToTimespec(now.Nano() + by)
	err := unix.ClockSettime(unix.CLOCK_REALTIME, &to)
	switch {
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("step the clock: %w", ErrPrivilege)
	case err != nil:
		return fmt.Errorf("step the clock: %w", err)
	}
	return nil
}

// phaseLimit is the kernel's largest error, us: NTP_PHASE_LIMIT.
const phaseLimit = 16_000_000

// SetStatus implements System.
func (kernelClock) SetStatus(s Status) error {
	tx := unix.Timex{Modes: unix.ADJ_STATUS | unix.ADJ_MAXERROR | unix.ADJ_ESTERROR}
	if !s.Synchronised {
		tx.Status |= unix.STA_UNSYNC
	}
	switch s.Leap {
	case ntp.LeapInsert:
		tx.Status |= unix.STA_INS
	case ntp.LeapDelete:
		tx.Status |= unix.STA_DEL
	}
	put(&tx.Maxerror, micros(s.MaxError))
	put(&tx.Esterror, micros(s.EstError))
	return adjust("set the clock's status", &tx)
}

// micros rounds up, so that a bound stays a bound.
func micros(d time.Duration) int64 {
	return min(max(int64((d+time.Microsecond-1)/time.Microsecond), 0), phaseLimit)
}

// SetTAI implements System.
func (kernelClock) SetTAI(seconds int) error {
	tx := unix.Timex{Modes: unix.ADJ_TAI}
	put(&tx.Constant, int64(seconds))
	return adjust("set TAI-UTC", &tx)
}

// Wait implements System.
func (kernelClock) Wait(ctx context.Context, at int64) error {
	for {
		left := -timebase.Since(at)
		if left <= 0 {
			return ctx.Err()
		}
		timer := time.NewTimer(left)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}
