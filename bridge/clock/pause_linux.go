package clock

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// PauseSigns returns what this machine has of signs of pauses, for one driver.
// Their files are opened once: the process may give up the right to open them.
func PauseSigns() []PauseSign { return openedSigns().signs() }

var openedSigns = sync.OnceValue(func() *signFiles { return openSigns("/") })

// signFiles are those that there are.
type signFiles struct{ vmclock, host, stat *os.File }

func openSigns(root string) *signFiles {
	open := func(name string) *os.File {
		f, err := os.Open(filepath.Join(root, name))
		if err != nil {
			return nil
		}
		return f
	}
	return &signFiles{open("dev/vmclock0"), openHostClock(root), open("proc/stat")}
}

func (f *signFiles) signs() (signs []PauseSign) {
	if f.vmclock != nil {
		signs = append(signs, &disruption{read: func() (uint64, bool) { return readMarker(f.vmclock) }})
	}
	if f.host != nil {
		signs = append(signs, &hostClock{read: func() (int64, bool) { return readClock(f.host) }})
	}
	if f.stat != nil {
		buffer := make([]byte, 64<<10)
		signs = append(signs, &stolenTime{read: func() (float64, int, bool) { return readStolen(f.stat, buffer) }})
	}
	return signs
}

// The head of what /dev/vmclock0 shows (linux/vmclock-abi.h): magic, size,
// version, two octets, a count that is odd while the hypervisor writes, and the
// marker.
const (
	vmclockMagic = 0x4b4c4356 // "VCLK"
	vmclockHead  = 24
)

// readMarker reads vmclock's disruption_marker.
func readMarker(f *os.File) (marker uint64, ok bool) {
	var b [vmclockHead]byte
	for range 3 {
		if n, err := f.ReadAt(b[:], 0); n < len(b) && err != nil {
			return 0, false
		}
		if binary.LittleEndian.Uint32(b[:]) != vmclockMagic {
			return 0, false
		}
		if count := binary.LittleEndian.Uint32(b[12:]); count&1 == 0 {
			return binary.LittleEndian.Uint64(b[16:]), true
		}
	}
	return 0, false
}

// openHostClock opens the PTP clock that is the host's, nil if there is none.
func openHostClock(root string) *os.File {
	names, _ := filepath.Glob(filepath.Join(root, "sys/class/ptp/ptp*/clock_name"))
	for _, name := range names {
		if text, err := os.ReadFile(name); err != nil || strings.TrimSpace(string(text)) != "KVM virtual PTP" {
			continue
		}
		if f, err := os.Open(filepath.Join(root, "dev", filepath.Base(filepath.Dir(name)))); err == nil {
			return f
		}
	}
	return nil
}

// readClock reads a PTP clock, ns.
func readClock(f *os.File) (ns int64, ok bool) {
	var t unix.Timespec
	err := unix.ClockGettime(int32(^int(f.Fd()))<<3|3, &t) // FD_TO_CLOCKID of clock_gettime(3)
	return t.Nano(), err == nil
}

// userHertz is the unit of /proc/stat, whatever the kernel's own is.
const userHertz = 100

// readStolen reads the time that was stolen from all processors, s, and how many
// there are.
func readStolen(f *os.File, buffer []byte) (seconds float64, processors int, ok bool) {
	n, err := f.ReadAt(buffer, 0)
	if n == 0 && err != nil {
		return 0, 0, false
	}
	for line := range bytes.Lines(buffer[:n]) {
		fields := strings.Fields(string(line))
		switch {
		case len(fields) > 8 && fields[0] == "cpu":
			ticks, err := strconv.ParseUint(fields[8], 10, 64)
			if err != nil {
				return 0, 0, false
			}
			seconds = float64(ticks) / userHertz
		case len(fields) > 0 && strings.HasPrefix(fields[0], "cpu"):
			processors++
		default:
			return seconds, processors, processors > 0
		}
	}
	return 0, 0, false // not all of it
}
