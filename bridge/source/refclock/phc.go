package refclock

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// phcDevice is a PTP hardware clock of the kernel (linux/ptp_clock.h).
type phcDevice interface {
	precise(*unix.PtpSysOffsetPrecise) error
	extended(*unix.PtpSysOffsetExtended) error
	plain(*unix.PtpSysOffset) error
	close()
}

// phcMethod is how the clock is compared with ours, best first.
type phcMethod uint8

const (
	phcPrecise      phcMethod = iota // both at once, by the hardware
	phcExtendedBase                  // between two readings of the base (Linux 6.12)
	phcExtended                      // between two readings of the system clock, by the driver
	phcPlain                         // the same, with the driver's bus transfers in between
	phcMethods      = iota
)

// phcReadings is how many readings are made for one stamp. Of them the one
// that took least time counts: the others were delayed by the bus.
const phcReadings = 10

// phcDriver reads a hardware clock.
type phcDriver struct {
	cross  bool
	access func() (phcDevice, error)

	device phcDevice
	method phcMethod
}

func (d *phcDriver) open() error {
	device, err := d.access()
	if err != nil {
		return err
	}
	d.device, d.method = device, phcPrecise
	if !d.cross {
		d.method = phcExtendedBase
	}
	if _, err := d.compare(); err != nil && !passing(err) {
		d.close()
		return err
	}
	return nil
}

func (d *phcDriver) close() {
	if d.device != nil {
		d.device.close()
		d.device = nil
	}
}

// unsupported tells whether a method is not there: older kernels say EINVAL
// to fields they do not know.
func unsupported(err error) bool {
	return errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOTTY) || errors.Is(err, unix.EINVAL)
}

// passing tells whether an error is of this reading only: cross timestamps
// time out now and then.
func passing(err error) bool {
	return errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EBUSY) || errors.Is(err, unix.ETIMEDOUT) || errors.Is(err, unix.EINTR)
}

func (d *phcDriver) read(dst []stamp) ([]stamp, error) {
	s, err := d.compare()
	switch {
	case err == nil:
		return append(dst, s), nil
	case passing(err):
		return dst, nil
	}
	return dst, err
}

// compare reads both clocks by the best method there is.
func (d *phcDriver) compare() (s stamp, err error) {
	for ; d.method < phcMethods; d.method++ {
		switch d.method {
		case phcPrecise:
			s, err = comparePrecise(d.device)
		case phcExtendedBase:
			s, err = compareExtended(d.device, unix.CLOCK_MONOTONIC_RAW)
		case phcExtended:
			s, err = compareExtended(d.device, unix.CLOCK_REALTIME)
		case phcPlain:
			s, err = comparePlain(d.device)
		}
		if err == nil || !unsupported(err) {
			return s, err
		}
	}
	d.method = phcPlain
	return s, fmt.Errorf("not a PTP hardware clock, or one that cannot be read: %w", err)
}

func comparePrecise(d phcDevice) (stamp, error) {
	var v unix.PtpSysOffsetPrecise
	if err := d.precise(&v); err != nil {
		return stamp{}, err
	}
	return decodePHC(v.Monoraw, v.Device, v.Monoraw, true), nil
}

func compareExtended(d phcDevice, clock int32) (stamp, error) {
	v := unix.PtpSysOffsetExtended{Samples: phcReadings, Clockid: clock}
	if err := d.extended(&v); err != nil {
		return stamp{}, err
	}
	best := stamp{reason: reasonMalformed}
	for _, ts := range v.Ts[:min(int(v.Samples), phcReadings)] {
		best = best.better(decodePHC(ts[0], ts[1], ts[2], clock == unix.CLOCK_MONOTONIC_RAW))
	}
	return best, nil
}

func comparePlain(d phcDevice) (stamp, error) {
	v := unix.PtpSysOffset{Samples: phcReadings}
	if err := d.plain(&v); err != nil {
		return stamp{}, err
	}
	best := stamp{reason: reasonMalformed}
	for i := range min(int(v.Samples), phcReadings) {
		best = best.better(decodePHC(v.Ts[2*i], v.Ts[2*i+1], v.Ts[2*i+2], false))
	}
	return best, nil
}

// better returns the stamp that is known best.
func (s stamp) better(o stamp) stamp {
	if s.reason != reasonOK || o.reason == reasonOK && o.dispersion < s.dispersion {
		return o
	}
	return s
}

// decodePHC makes a stamp of a reading of the clock between two of ours.
func decodePHC(before, clock, after unix.PtpClockTime, onBase bool) stamp {
	for _, t := range []unix.PtpClockTime{before, clock, after} {
		if t.Nsec >= 1_000_000_000 {
			return stamp{reason: reasonMalformed}
		}
		if t.Sec < 0 || t.Sec > maxSeconds {
			return stamp{reason: reasonInsane}
		}
	}
	first, last := nanoseconds(before), nanoseconds(after)
	if last < first {
		return stamp{reason: reasonMalformed} // our clock was set meanwhile
	}
	half := (last - first) / 2
	s := stamp{reference: nanoseconds(clock), dispersion: time.Duration(half), onBase: onBase}
	if onBase {
		s.raw = first + half
	} else {
		s.system = first + half
	}
	return s
}

func nanoseconds(t unix.PtpClockTime) int64 { return t.Sec*1_000_000_000 + int64(t.Nsec) }
