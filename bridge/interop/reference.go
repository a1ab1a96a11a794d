package interop

import (
	"math/rand/v2"
	"net"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"ntsbridge/bridge/clock/timebase"
	"ntsbridge/bridge/ntp"
)

// Reference is an NTP server of true time. It makes the delays of a network
// itself: it lets requests and answers wait and tells timestamps as if they had
// been on the way, so that what a machine's timers lack does not enter.
type Reference struct {
	Clock  *TrueTime
	Base   time.Duration // least delay, each way
	Jitter time.Duration // mean of an exponential delay beside it, each way
}

// Serve answers on port 123 of a host until the test ends.
func (r *Reference) Serve(h *Host) {
	h.t.Helper()
	var conn *net.UDPConn
	err := h.Do(func() (err error) {
		conn, err = net.ListenUDP("udp4", &net.UDPAddr{Port: 123})
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	raw, err := conn.SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) {
			if e := unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1); e != nil {
				h.t.Error(e)
			}
		})
	}
	if err != nil {
		h.t.Fatal(err)
	}
	done := make(chan struct{})
	h.t.Cleanup(func() { conn.Close(); <-done })
	go func() {
		defer close(done)
		runtime.LockOSThread()
		r.answer(conn)
	}()
}

func (r *Reference) delay() int64 {
	return int64(r.Base) + int64(rand.ExpFloat64()*float64(r.Jitter))
}

func (r *Reference) answer(conn *net.UDPConn) {
	var p [512]byte
	var oob [128]byte
	for {
		n, on, _, from, err := conn.ReadMsgUDPAddrPort(p[:], oob[:])
		if err != nil {
			return
		}
		pair := timebase.Read()
		var h ntp.Header
		if n < ntp.HeaderLen {
			continue
		}
		if h.Decode(p[:n]); h.Mode != ntp.ModeClient {
			continue
		}
		arrived := pair.Raw
		if stamp := kernelStamp(oob[:on]); stamp != 0 {
			arrived = pair.At(stamp)
		}
		up, down := r.delay(), r.delay()
		wait(arrived + up + down)
		sent := timebase.Read().Raw
		answer := ntp.Header{Version: h.Version, Mode: ntp.ModeServer, Stratum: 1, Poll: h.Poll, Precision: -23,
			ReferenceID: ntp.KissCode("TRUE"), Origin: h.Transmit,
			Reference: unixStamp(r.Clock.At(sent) - 1e9), Receive: unixStamp(r.Clock.At(arrived + up)),
			Transmit: unixStamp(r.Clock.At(sent - down))}
		answer.Encode(p[:])
		if _, err := conn.WriteToUDPAddrPort(p[:ntp.HeaderLen], from); err != nil {
			return
		}
	}
}

func unixStamp(ns int64) ntp.Timestamp { return ntp.TimestampFromUnix(ns/1e9, ns%1e9) }

// wait sleeps until shortly before a reading of the base and then looks at it
// all the time.
func wait(until int64) {
	const spin = 200 * time.Microsecond
	if rest := time.Duration(until-timebase.Read().Raw) - spin; rest > 0 {
		time.Sleep(rest)
	}
	for timebase.Read().Raw < until {
	}
}

// kernelStamp returns the kernel's receive timestamp, Unix time in ns; 0:
// none.
func kernelStamp(oob []byte) int64 {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return 0
	}
	for _, m := range messages {
		if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SO_TIMESTAMPNS && len(m.Data) >= 16 {
			return (*unix.Timespec)(unsafe.Pointer(&m.Data[0])).Nano()
		}
	}
	return 0
}
