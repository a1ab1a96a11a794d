package server

import (
	"fmt"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"ntsbridge/bridge/clock/nic"
	"ntsbridge/bridge/clock/timebase"
	"ntsbridge/bridge/ntp"
)

// AllInterfaces stands for every interface that takes timestamps.
const AllInterfaces = "*"

// readEvery is how often the interfaces' clocks are compared with the base.
const readEvery = time.Second

// Hardware is the interfaces whose timestamps are used. Their clocks are read
// by a goroutine of its own; workers see what it found as a snapshot.
type Hardware struct {
	clocks []*nic.Clock
	lines  atomic.Pointer[[]interfaceLine]
	pair   func() timebase.Pair
	stop   chan struct{}
	done   chan struct{}
}

// interfaceLine is what a worker knows of an interface's clock.
type interfaceLine struct {
	index uint32
	nic.Line
}

// OpenHardware prepares interfaces by their names, or all that can. Of those that
// were named and cannot the errors tell; nil if nothing is left.
func OpenHardware(names []string) (*Hardware, []error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil, []error{fmt.Errorf("network interfaces: %w", err)}
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, []error{fmt.Errorf("socket: %w", err)}
	}
	defer unix.Close(fd)
	var errs []error
	h := newHardware()
	lines := []interfaceLine{}
	open := func(name string, index int) error {
		c, err := nic.Open(fd, name)
		if err != nil {
			return fmt.Errorf("interface %s: no hardware timestamps, those of the kernel are used: %w", name, err)
		}
		h.clocks, lines = append(h.clocks, c), append(lines, interfaceLine{index: uint32(index)})
		return nil
	}
	for _, i := range interfaces {
		named := slices.Contains(names, i.Name)
		if !named && (!slices.Contains(names, AllInterfaces) || nic.Able(i.Name) != nil) {
			continue
		}
		if err := open(i.Name, i.Index); err != nil {
			errs = append(errs, err)
		}
	}
	for _, name := range names {
		if name != AllInterfaces && !slices.ContainsFunc(interfaces, func(i net.Interface) bool { return i.Name == name }) {
			errs = append(errs, fmt.Errorf("interface %s: this host has none of that name", name))
		}
	}
	if len(h.clocks) == 0 {
		return nil, errs
	}
	h.read(lines)
	go h.run(lines)
	return h, errs
}

func newHardware() *Hardware {
	return &Hardware{pair: timebase.Read, stop: make(chan struct{}), done: make(chan struct{})}
}

// run reads the clocks until Close.
func (h *Hardware) run(lines []interfaceLine) {
	defer close(h.done)
	ticker := time.NewTicker(readEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			h.read(lines)
		case <-h.stop:
			return
		}
	}
}

// read reads the clocks and publishes what they are now.
func (h *Hardware) read(lines []interfaceLine) {
	next := slices.Clone(lines)
	for i, c := range h.clocks {
		c.Read()
		next[i].Line = c.Line
	}
	h.lines.Store(&next)
}

// Close ends the reading; nil is possible. The interfaces go on taking
// timestamps: another program may use them.
func (h *Hardware) Close() {
	if h == nil {
		return
	}
	close(h.stop)
	<-h.done
	for _, c := range h.clocks {
		_ = c.Close()
	}
}

// line finds an interface's clock. Index 0 is the only one there is.
func (h *Hardware) line(index uint32) *interfaceLine {
	lines := h.lines.Load()
	if lines == nil {
		return nil
	}
	for i := range *lines {
		if l := &(*lines)[i]; l.index == index || index == 0 && len(*lines) == 1 {
			return l
		}
	}
	return nil
}

// arrival returns when a packet arrived by its interface, in the system's time by
// a reading of the clocks: 0 where that is not known or cannot be, by what the
// kernel saw.
func (h *Hardware) arrival(a *ancillary, pair timebase.Pair, octets int, v6 bool) ntp.Timestamp {
	if h == nil || a.hardware == 0 {
		return 0
	}
	index := a.ifindex
	if a.device != 0 {
		index = a.device
	}
	l := h.line(index)
	if l == nil {
		return 0
	}
	raw, ok := l.Arrival(a.hardware, octets, v6)
	if !ok || !nic.Arrived(raw, kernelRaw(pair, a.received)) {
		return 0
	}
	return systemAt(pair, raw)
}

// departure returns when a packet left by the interface that its request came by,
// in the system's time: 0 where that is not known.
func (h *Hardware) departure(clock int64, index uint32) ntp.Timestamp {
	if h == nil || clock == 0 {
		return 0
	}
	l := h.line(index)
	if l == nil {
		return 0
	}
	raw, ok := l.Convert(clock)
	if !ok {
		return 0
	}
	return systemAt(h.pair(), raw)
}

// kernelRaw is a timestamp of the system clock on the base; 0 is now.
func kernelRaw(p timebase.Pair, t ntp.Timestamp) int64 {
	if t == 0 {
		return p.Raw
	}
	return p.Raw + int64(t.Sub(unixTimestamp(p.System)))
}

// systemAt is a moment of the base in the system's time.
func systemAt(p timebase.Pair, raw int64) ntp.Timestamp { return unixTimestamp(p.System + raw - p.Raw) }

func unixTimestamp(ns int64) ntp.Timestamp { return ntp.TimestampFromUnix(ns/1e9, ns%1e9) }

// scmTimestampingPktinfo is SCM_TIMESTAMPING_PKTINFO: struct scm_ts_pktinfo, by
// which interface a packet came whose device took its timestamp, also where
// that is a part of a bond or has VLANs, and its length there.
const scmTimestampingPktinfo = 58

// hardwareStamps is what is asked of a socket beside the kernel's timestamps.
const hardwareStamps = unix.SOF_TIMESTAMPING_RX_HARDWARE | unix.SOF_TIMESTAMPING_RAW_HARDWARE |
	unix.SOF_TIMESTAMPING_OPT_TX_SWHW | unix.SOF_TIMESTAMPING_OPT_PKTINFO
