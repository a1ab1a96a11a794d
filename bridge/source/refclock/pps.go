package refclock

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Bits of capabilities and modes (linux/pps.h, RFC 2783 section 3.3).
const (
	ppsCaptureAssert = 0x01
	ppsCaptureClear  = 0x02
	ppsTimespec      = 0x1000
	ppsVersion       = 1
)

// ppsDevice is a PPS device of the kernel.
type ppsDevice interface {
	capabilities() (int32, error)
	params() (unix.PPSKParams, error)
	setParams(*unix.PPSKParams) error
	// fetch returns the last events, without waiting.
	fetch() (unix.PPSKInfo, error)
	close()
}

// ppsDriver reads pulses.
type ppsDriver struct {
	clear  bool
	access func() (ppsDevice, error)

	device   ppsDevice
	sequence uint32 // of the last event
}

func (d *ppsDriver) open() error {
	device, err := d.access()
	if err != nil {
		return err
	}
	if err = d.prepare(device); err != nil {
		device.close()
		return err
	}
	d.device = device
	return nil
}

func (d *ppsDriver) edge() (mode int32, name string) {
	if d.clear {
		return ppsCaptureClear, "clear"
	}
	return ppsCaptureAssert, "assert"
}

// prepare makes the device capture our edge. What others made it capture stays.
func (d *ppsDriver) prepare(device ppsDevice) error {
	edge, name := d.edge()
	can, err := device.capabilities()
	if err != nil {
		return fmt.Errorf("not a PPS device: %w", err)
	}
	if can&edge == 0 {
		return fmt.Errorf("the device does not stamp the %s edge; use the other one", name)
	}
	params, err := device.params()
	if err != nil {
		return fmt.Errorf("asking for its mode: %w", err)
	}
	if params.Mode&edge == 0 {
		params.Api_version = ppsVersion
		params.Mode |= edge | ppsTimespec
		if err := device.setParams(&params); err != nil {
			return fmt.Errorf("making it stamp the %s edge, which needs the capability CAP_SYS_TIME: %w", name, err)
		}
	}
	info, err := device.fetch()
	if err != nil {
		return fmt.Errorf("fetching: %w", err)
	}
	d.sequence, _ = d.event(&info) // of before: nobody knows when
	return nil
}

// event returns our edge's last event.
func (d *ppsDriver) event(info *unix.PPSKInfo) (uint32, unix.PPSKTime) {
	if d.clear {
		return info.Clear_sequence, info.Clear_tu
	}
	return info.Assert_sequence, info.Assert_tu
}

func (d *ppsDriver) read(dst []stamp) ([]stamp, error) {
	info, err := d.device.fetch()
	switch {
	case errors.Is(err, unix.EINTR), errors.Is(err, unix.EAGAIN), errors.Is(err, unix.ETIMEDOUT):
		return dst, nil
	case err != nil:
		return dst, fmt.Errorf("fetching: %w", err)
	}
	sequence, at := d.event(&info)
	if sequence == d.sequence {
		return dst, nil
	}
	d.sequence = sequence
	return append(dst, decodePulse(at)), nil
}

// decodePulse reads the time of an event.
func decodePulse(at unix.PPSKTime) stamp {
	s := stamp{pulse: true}
	if at.Nsec < 0 || at.Nsec >= 1_000_000_000 {
		return stamp{reason: reasonMalformed}
	}
	return s.finish(at.Sec, int64(at.Nsec), 0, 0)
}

func (d *ppsDriver) close() {
	if d.device != nil {
		d.device.close()
		d.device = nil
	}
}
