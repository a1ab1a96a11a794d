package nic

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	phc "github.com/facebook/time/phc/unix"
	"golang.org/x/sys/unix"

	"ntsbridge/bridge/clock/timebase"
)

// Open prepares an interface for timestamps of its own and opens its clock. fd is
// any socket.
//
// (facebook/time's timestamp package asks interfaces for timestamps of PTP's
// packets only, which does not help here; of it the ioctls are used.)
func Open(fd int, name string) (*Clock, error) {
	filter, index, err := able(fd, name)
	if err != nil {
		return nil, err
	}
	if err := enableHardware(fd, name, filter); err != nil {
		return nil, err
	}
	device, err := os.OpenFile(fmt.Sprintf("/dev/ptp%d", index), os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	clock := &phcClock{device}
	if _, _, err := clock.Cross(); err != nil {
		device.Close()
		return nil, fmt.Errorf("%s: %w", device.Name(), err)
	}
	return New(clock, bitTime(name)), nil
}

// able returns by which filter an interface stamps received packets and the
// number of its clock, or why it cannot be used.
func able(fd int, name string) (filter int32, index int, err error) {
	info, err := phc.IoctlGetEthtoolTsInfo(fd, name)
	if err != nil {
		return 0, 0, fmt.Errorf("what it can do is not known: %w", err)
	}
	const needed = unix.SOF_TIMESTAMPING_TX_HARDWARE | unix.SOF_TIMESTAMPING_RX_HARDWARE | unix.SOF_TIMESTAMPING_RAW_HARDWARE
	switch {
	case info.So_timestamping&needed != needed || info.Phc_index < 0 || info.Tx_types&(1<<unix.HWTSTAMP_TX_ON) == 0:
		return 0, 0, errors.New("it has none")
	case info.Rx_filters&(1<<unix.HWTSTAMP_FILTER_ALL) != 0:
		return unix.HWTSTAMP_FILTER_ALL, int(info.Phc_index), nil
	case info.Rx_filters&(1<<unix.HWTSTAMP_FILTER_NTP_ALL) != 0:
		return unix.HWTSTAMP_FILTER_NTP_ALL, int(info.Phc_index), nil
	}
	return 0, 0, errors.New("it has none for received NTP packets")
}

// Able returns nil for an interface whose timestamps can be used, else why not.
// Nothing is changed.
func Able(name string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	_, _, err = able(fd, name)
	return err
}

// enableHardware makes an interface take timestamps, if it does not yet:
// another program may use them as well.
func enableHardware(fd int, name string, filter int32) error {
	cfg, err := phc.IoctlGetHwTstamp(fd, name)
	if err != nil {
		cfg = &phc.HwTstampConfig{}
	} else if cfg.Tx_type == unix.HWTSTAMP_TX_ON &&
		(cfg.Rx_filter == unix.HWTSTAMP_FILTER_ALL || cfg.Rx_filter == unix.HWTSTAMP_FILTER_NTP_ALL) {
		return nil
	}
	cfg.Tx_type, cfg.Rx_filter = unix.HWTSTAMP_TX_ON, filter
	if err := phc.IoctlSetHwTstamp(fd, name, cfg); err != nil {
		return fmt.Errorf("they cannot be enabled (CAP_NET_ADMIN is needed): %w", err)
	}
	return nil
}

// bitTime returns the time of 1000 bits on the link of an interface, 0 if its
// speed is not known.
func bitTime(name string) time.Duration {
	text, err := os.ReadFile("/sys/class/net/" + name + "/speed")
	if err != nil {
		return 0
	}
	megabits, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || megabits <= 0 {
		return 0
	}
	return time.Duration(1_000_000 / megabits)
}

// phcClock is the clock of an interface as the kernel shows it.
type phcClock struct{ device *os.File }

// Close implements crossClock.
func (p *phcClock) Close() error { return p.device.Close() }

// crossProbes is how many readings Cross chooses from.
const crossProbes = 5

// Cross implements crossClock: by the processor's cross timestamps where the
// interface has them, else by reading between two readings of the base.
func (p *phcClock) Cross() (clock, raw int64, err error) {
	fd := int(p.device.Fd())
	if precise, err := phc.IoctlPtpSysOffsetPrecise(fd); err == nil {
		return nanoseconds(precise.Device), nanoseconds(precise.Monoraw), nil
	}
	onBase := func(ns int64) int64 { return ns }
	extended, err := phc.IoctlPtpSysOffsetExtendedClock(fd, unix.CLOCK_MONOTONIC_RAW, crossProbes)
	if err != nil { // before Linux 6.12: by the system clock
		if extended, err = phc.IoctlPtpSysOffsetExtendedClock(fd, unix.CLOCK_REALTIME, crossProbes); err != nil {
			return 0, 0, err
		}
		onBase = timebase.Read().At
	}
	best := int64(-1)
	for _, t := range extended.Ts[:min(int(extended.Samples), len(extended.Ts))] {
		before, after := nanoseconds(t[0]), nanoseconds(t[2])
		if spread := after - before; best < 0 || spread < best {
			best, clock, raw = spread, nanoseconds(t[1]), onBase(before+spread/2)
		}
	}
	return clock, raw, nil
}

func nanoseconds(t phc.PtpClockTime) int64 { return t.Sec*1e9 + int64(t.Nsec) }

var _ Crosser = (*phcClock)(nil)
