package server

import (
	"net/netip"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"ntsbridge/bridge/clock/nic"
	"ntsbridge/bridge/clock/timebase"
	"ntsbridge/bridge/ntp"
	"ntsbridge/bridge/server/mmsg"
)

// fakePHC is an interface's clock that nobody set: 37 s ahead of the base.
type fakePHC struct{ raw func() int64 }

const phcAhead = 37_000_000_000

func (f fakePHC) Cross() (clock, raw int64, err error) {
	raw = f.raw()
	return raw + phcAhead, raw, nil
}
func (f fakePHC) Close() error { return nil }

// fakeHardware is interface 7 with such a clock, at a moment of both clocks.
func fakeHardware(now timebase.Pair) *Hardware {
	h := newHardware()
	h.pair = func() timebase.Pair { return now }
	h.clocks = []*nic.Clock{nic.New(fakePHC{func() int64 { return now.Raw }}, 0)}
	h.read([]interfaceLine{{index: 7}})
	return h
}

var fakeNow = timebase.Pair{Raw: 1 << 40, System: 1_790_000_000_123_456_789}

// A packet's time of arrival is the interface's where that is possible by what
// the kernel saw, else there is none but the kernel's.
func TestHardwareArrival(t *testing.T) {
	h := fakeHardware(fakeNow)
	kernel := unixTimestamp(fakeNow.System)
	for _, c := range []struct {
		name  string
		after time.Duration // the kernel's
		tell  func(a *ancillary)
		want  bool
	}{
		{"just before", -8 * time.Microsecond, nil, true},
		{"the reading's error after", 8 * time.Microsecond, nil, true},
		{"after the kernel saw it", time.Millisecond, nil, false},
		{"long before", -time.Second, nil, false},
		{"of another timescale", phcAhead, nil, false},
		{"missing", 0, func(a *ancillary) { a.hardware = 0 }, false},
		{"of an interface without a clock", 0, func(a *ancillary) { a.ifindex = 9 }, false},
		{"of a part of a bond", 0, func(a *ancillary) { a.ifindex, a.device = 9, 7 }, true},
		{"of a socket of one address", 0, func(a *ancillary) { a.ifindex = 0 }, true},
		{"without the kernel's", -8 * time.Microsecond, func(a *ancillary) { a.received = 0 }, true},
	} {
		a := ancillary{received: kernel, ifindex: 7, hardware: fakeNow.Raw + phcAhead + int64(c.after)}
		if c.tell != nil {
			c.tell(&a)
		}
		got := h.arrival(&a, fakeNow, 48, false)
		if (got != 0) != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
		if off := got.Sub(kernel) - c.after; c.want && (off < -time.Nanosecond || off > time.Nanosecond) {
			t.Errorf("%s: %v wrong", c.name, off)
		}
	}
	if got := (*Hardware)(nil).arrival(&ancillary{hardware: 1}, fakeNow, 48, false); got != 0 {
		t.Errorf("without hardware: %v", got)
	}
}

// stampMessages are the control messages of a timestamp: by the kernel, by the
// interface, and of which answer in the error queue.
func stampMessages(kernel, hardware int64, number int) []byte {
	b := make([]byte, controlLen)
	data, n := mmsg.Put(b, unix.SOL_SOCKET, unix.SO_TIMESTAMPING, 48)
	ts := (*[3]unix.Timespec)(unsafe.Pointer(&data[0]))
	*ts = [3]unix.Timespec{unix.NsecToTimespec(kernel), {}, unix.NsecToTimespec(hardware)}
	if number >= 0 {
		data, m := mmsg.Put(b[n:], unix.IPPROTO_IP, unix.IP_RECVERR, 16)
		*(*sockExtendedErr)(unsafe.Pointer(&data[0])) = sockExtendedErr{origin: soEEOriginTimestamping, data: uint32(number)}
		return b[:n+m]
	}
	data, m := mmsg.Put(b[n:], unix.SOL_SOCKET, scmTimestampingPktinfo, 16)
	*(*uint32)(unsafe.Pointer(&data[0])) = 7
	return b[:n+m]
}

// The kernel's messages are read as it writes them, and nothing is allocated on
// the way.
func TestHardwareMessages(t *testing.T) {
	h := fakeHardware(fakeNow)
	control := stampMessages(fakeNow.System, fakeNow.Raw+phcAhead-5000, -1)
	var got ntp.Timestamp
	allocated := testing.AllocsPerRun(100, func() {
		var a ancillary
		parseControl(control, &a)
		got = h.arrival(&a, fakeNow, 48, false)
	})
	if off := got.Sub(unixTimestamp(fakeNow.System)); off < -5001 || off > -4999 || allocated > 0 {
		t.Errorf("arrived %v after the kernel saw it, %v allocations", off, allocated)
	}
}

// The transmit timestamp that a client in interleaved mode gets is the
// interface's, if it comes and can be of the answer, else the kernel's.
func TestHardwareDeparture(t *testing.T) {
	given := fakeNow.System
	for _, c := range []struct {
		name     string
		messages [][2]time.Duration // kernel, hardware after the answer was given to the kernel; -1 h: none
		want     time.Duration
		hardware uint64
	}{
		{"both", [][2]time.Duration{{2000, none}, {none, 5000}}, 5000, 1},
		{"interface alone", [][2]time.Duration{{none, 5000}}, 5000, 1},
		{"kernel after it", [][2]time.Duration{{none, 5000}, {2000, none}}, 5000, 1},
		{"missing", [][2]time.Duration{{2000, none}}, 2000, 0},
		{"before it was sent", [][2]time.Duration{{2000, none}, {none, -time.Millisecond}}, 2000, 0},
		{"of another timescale", [][2]time.Duration{{2000, none}, {none, phcAhead}}, 2000, 0},
		{"too late to be of it", [][2]time.Duration{{2000, none}, {none, time.Second}}, 2000, 0},
	} {
		w := &worker{srv: &shared{store: newTimestampStore(64)}, socket: &socket{hardware: fakeHardware(fakeNow)}}
		w.srv.clock.Store(&ntp.ClockState{})
		w.count.txDaemon.Store(1)
		receive := unixTimestamp(given - 30_000)
		w.srv.store.put(receive, unixTimestamp(given))
		w.socket.expect(receive, 7)
		for _, m := range c.messages {
			kernel, hardware := int64(0), int64(0)
			if m[0] != none {
				kernel = given + int64(m[0])
			}
			if m[1] != none {
				hardware = fakeNow.Raw + phcAhead + int64(m[1])
			}
			var a ancillary
			parseControl(stampMessages(kernel, hardware, 0), &a)
			w.departed(&a)
		}
		left, _ := w.srv.store.get(receive)
		if off := left.Sub(unixTimestamp(given)) - c.want; off < -2 || off > 2 {
			t.Errorf("%s: left %v after it was sent", c.name, left.Sub(unixTimestamp(given)))
		}
		if w.count.txHardware.Load() != c.hardware || w.count.txKernel.Load() != 1 || w.count.txDaemon.Load() != 0 {
			t.Errorf("%s: counted %d by hardware, %d by the kernel, %d by ourselves", c.name,
				w.count.txHardware.Load(), w.count.txKernel.Load(), w.count.txDaemon.Load())
		}
	}
}

const none = -time.Hour

// A socket that asks for the timestamps of interfaces goes on with the kernel's
// where there are none, in both directions.
func TestNoHardwareOnTheWay(t *testing.T) {
	k, err := openSocket(netip.MustParseAddrPort("127.0.0.1:0"),
		SocketOptions{KernelTimestamps: true, Hardware: fakeHardware(timebase.Read())}, true)
	if err != nil {
		t.Fatal(err)
	}
	defer k.close()
	if k.hardware == nil || !k.kernelTX || k.stampsTX&unix.SOF_TIMESTAMPING_TX_HARDWARE == 0 {
		t.Fatalf("socket asks for %#x", k.stampsTX)
	}
	own, err := localAddr(k.fd)
	if err != nil {
		t.Fatal(err)
	}
	control := make([]byte, controlLen)
	for range 20 { // the kernel begins to stamp a moment after it is asked
		k.listen = own
		if err := unix.Sendmsg(k.fd, make([]byte, 48), control[:putTransmitStamp(control, k.stampsTX)], sockaddr(own), 0); err != nil {
			t.Fatal(err)
		}
		wait(t, k.fd, unix.POLLIN)
		in := mmsg.New(mmsg.Shape{Slots: 1, Size: 64, Named: true, Control: controlLen})
		if n, errno := in.Recv(k.fd, 1, 0); n != 1 {
			t.Fatal(errno)
		}
		var rx, tx ancillary
		parseControl(in.Control(0), &rx)
		wait(t, k.fd, 0)
		if n, errno := in.Recv(k.fd, 1, unix.MSG_ERRQUEUE); n != 1 {
			t.Fatal(errno)
		}
		parseControl(in.Control(0), &tx)
		if rx.hardware != 0 || tx.hardware != 0 || !tx.isTX || tx.received == 0 {
			t.Fatalf("received %+v, sent %+v", rx, tx)
		}
		if rx.received != 0 {
			return
		}
	}
	t.Error("the kernel stamps no request")
}

// wait waits for events of a socket; its error queue is always one.
func wait(t *testing.T, fd int, events int16) {
	t.Helper()
	if n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: events}}, 5000); n != 1 || err != nil {
		t.Fatalf("poll: %d, %v", n, err)
	}
}
