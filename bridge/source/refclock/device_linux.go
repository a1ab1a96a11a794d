package refclock

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// device is an open device file.
//
// The requests are made here and not by github.com/facebook/time/phc: that has
// not the plain one, keeps whether the kernel knows CLOCK_MONOTONIC_RAW in a
// variable of the package, and brings a logger and a servo with it.
type device struct{ fd int }

// openDevice opens a device, for reading only if it may not be written: the
// requests made here do not need more.
func openDevice(path string) (device, error) {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err == unix.EACCES || err == unix.EPERM || err == unix.EROFS {
		fd, err = unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	}
	if err != nil {
		return device{}, fmt.Errorf("%s: %w", path, err)
	}
	return device{fd}, nil
}

func (d device) close() { _ = unix.Close(d.fd) }

// request calls the driver with a structure of its header file.
func request[T any](d device, number uint, p *T) error {
	for {
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(d.fd), uintptr(number), uintptr(unsafe.Pointer(p)))
		runtime.KeepAlive(p)
		if errno == 0 {
			return nil
		}
		if errno != unix.EINTR {
			return errno
		}
	}
}

// ppsFile is a device of linux/pps.h.
type ppsFile struct{ device }

func openPPS(path string) (ppsDevice, error) {
	d, err := openDevice(path)
	return ppsFile{d}, err
}

func (f ppsFile) capabilities() (can int32, err error) {
	err = request(f.device, unix.PPS_GETCAP, &can)
	return can, err
}

func (f ppsFile) params() (p unix.PPSKParams, err error) {
	err = request(f.device, unix.PPS_GETPARAMS, &p)
	return p, err
}

func (f ppsFile) setParams(p *unix.PPSKParams) error { return request(f.device, unix.PPS_SETPARAMS, p) }

func (f ppsFile) fetch() (unix.PPSKInfo, error) {
	var data unix.PPSFData // the zero timeout: what there is
	err := request(f.device, unix.PPS_FETCH, &data)
	return data.Info, err
}

// phcFile is a device of linux/ptp_clock.h.
type phcFile struct{ device }

// openPHC opens a hardware clock by its path, or that of a network interface.
func openPHC(name string) (phcDevice, error) { return openPHCFile(name) }

// openExternal does the same for one that stamps pulses.
func openExternal(name string) (externalDevice, error) { return openPHCFile(name) }

func openPHCFile(name string) (phcFile, error) {
	if !strings.HasPrefix(name, "/") {
		path, err := clockOfInterface(name)
		if err != nil {
			return phcFile{}, fmt.Errorf("network interface %s: %w", name, err)
		}
		name = path
	}
	d, err := openDevice(name)
	return phcFile{d}, err
}

// clockOfInterface returns the path of a network interface's clock.
func clockOfInterface(name string) (string, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	info, err := unix.IoctlGetEthtoolTsInfo(fd, name)
	if err != nil {
		return "", err
	}
	if info.Phc_index < 0 {
		return "", errors.New("it has no hardware clock; choose another, or a device such as /dev/ptp0")
	}
	return fmt.Sprintf("/dev/ptp%d", info.Phc_index), nil
}

func (f phcFile) precise(v *unix.PtpSysOffsetPrecise) error {
	return request(f.device, unix.PTP_SYS_OFFSET_PRECISE, v)
}

func (f phcFile) extended(v *unix.PtpSysOffsetExtended) error {
	return request(f.device, unix.PTP_SYS_OFFSET_EXTENDED, v)
}

func (f phcFile) plain(v *unix.PtpSysOffset) error {
	return request(f.device, unix.PTP_SYS_OFFSET, v)
}

func (f phcFile) capture(channel, pin int, clear bool) error {
	if pin >= 0 {
		p := unix.PtpPinDesc{Index: uint32(pin), Func: unix.PTP_PF_EXTTS, Chan: uint32(channel)}
		if err := request(f.device, unix.PTP_PIN_SETFUNC, &p); err != nil {
			return fmt.Errorf("pin %d: %w", pin, err)
		}
	}
	r := unix.PtpExttsRequest{Index: uint32(channel), Flags: unix.PTP_ENABLE_FEATURE | unix.PTP_RISING_EDGE}
	if clear {
		r.Flags = unix.PTP_ENABLE_FEATURE | unix.PTP_FALLING_EDGE
	}
	return request(f.device, unix.PTP_EXTTS_REQUEST, &r)
}

// pulses implements externalDevice. The kernel hands out whole events.
func (f phcFile) pulses() ([]unix.PtpExttsEvent, error) {
	var events [16]unix.PtpExttsEvent
	const size = int(unsafe.Sizeof(events[0]))
	n, err := unix.Read(f.fd, unsafe.Slice((*byte)(unsafe.Pointer(&events)), len(events)*size))
	if err != nil {
		return nil, err
	}
	return events[:n/size], nil
}
