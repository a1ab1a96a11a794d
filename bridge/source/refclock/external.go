package refclock

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// externalDevice is a hardware clock that stamps the pulses on one of its pins
// (linux/ptp_clock.h; chrony's extpps).
type externalDevice interface {
	phcDevice
	// capture makes a channel stamp an edge, and a pin its input; a pin below 0
	// is left as it is.
	capture(channel, pin int, clear bool) error
	// pulses returns what was stamped since the last call, without waiting.
	pulses() ([]unix.PtpExttsEvent, error)
}

// externalDriver reads the pulses that a hardware clock stamps. The time that
// the clock itself keeps does not matter: it is compared with ours, and the
// pulses are marks only.
type externalDriver struct {
	phc     phcDriver
	channel int
	pin     int
	clear   bool
	access  func() (externalDevice, error)

	device externalDevice
}

func (d *externalDriver) open() error {
	d.phc.access = func() (phcDevice, error) {
		device, err := d.access()
		d.device = device
		return device, err
	}
	if err := d.phc.open(); err != nil {
		return err
	}
	if err := d.device.capture(d.channel, d.pin, d.clear); err != nil {
		d.phc.close()
		return fmt.Errorf("making it stamp pulses on channel %d: %w", d.channel, err)
	}
	_, _ = d.device.pulses() // of before: nobody knows when
	return nil
}

func (d *externalDriver) close() { d.phc.close() }

func (d *externalDriver) read(dst []stamp) ([]stamp, error) {
	events, err := d.device.pulses()
	switch {
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
		return dst, nil
	case err != nil:
		return dst, fmt.Errorf("reading pulses: %w", err)
	case len(events) == 0:
		return dst, nil
	}
	now, err := d.phc.compare()
	if err != nil {
		if passing(err) {
			return dst, nil
		}
		return dst, err
	}
	for i := range events {
		if e := &events[i]; int(e.Index) == d.channel {
			dst = append(dst, now.pulseAt(e.T))
		}
	}
	return dst, nil
}

// pulseAt is a pulse that the clock stamped shortly before it was compared.
func (s stamp) pulseAt(t unix.PtpClockTime) stamp {
	switch {
	case s.reason != reasonOK:
		return s
	case t.Nsec >= 1_000_000_000:
		return stamp{reason: reasonMalformed}
	case t.Sec < 0 || t.Sec > maxSeconds:
		return stamp{reason: reasonInsane}
	}
	ago := s.reference - nanoseconds(t)
	s.pulse, s.reference = true, 0
	s.raw -= ago
	s.system -= ago
	return s
}
