//go:build linux

// Package echo is the smallest NTP responder that the sockets allow: it
// copies the header's fields and sends the request back as an answer. It is
// the floor that a server is measured against, and lets ways of using the
// sockets be compared. It verifies nothing and must face no network.
package echo

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"ntsbridge/bridge/ntp"
	"ntsbridge/bridge/server/mmsg"
)

// Ways of waiting for the next batch.
const (
	WaitPpoll   = "ppoll"   // ppoll(2) through the scheduler, then drain raw
	WaitRecv    = "recv"    // block in recvmmsg(2) through the scheduler
	WaitNetpoll = "netpoll" // the Go netpoller
	WaitPoller  = "poller"  // as WaitNetpoll, served inside one RawConn.Read, no second look after a short batch
	WaitBounded = "bounded" // ppoll(2) raw for up to Raw, then the netpoller
	WaitPlain   = "plain"   // every call through the scheduler, no raw calls
)

// Config is how the responder uses its socket.
type Config struct {
	Listen     netip.AddrPort
	Batch      int           // datagrams per system call
	Wait       string        // WaitPpoll, WaitRecv, WaitNetpoll or WaitPlain
	Raw        time.Duration // longest raw wait, WaitBounded
	Drain      bool          // call again after a short batch, instead of waiting at once
	Timestamps bool          // SO_TIMESTAMPNS
	PacketInfo bool          // IP_PKTINFO, and answer from the address asked
	Lock       bool          // lock the goroutine to its thread
}

// Serve answers until the context ends.
func Serve(ctx context.Context, c Config) error {
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(c.Listen))
	if err != nil {
		return err
	}
	defer conn.Close()
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	fd := -1
	var setErr error
	if err := raw.Control(func(s uintptr) { fd, setErr = int(s), setOptions(int(s), c) }); err != nil {
		return err
	}
	if setErr != nil {
		return fmt.Errorf("socket options: %w", setErr)
	}
	stop := context.AfterFunc(ctx, func() {
		_ = conn.SetReadDeadline(time.Now())
		_ = unix.Shutdown(fd, unix.SHUT_RD)
	})
	defer stop()
	if c.Lock {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
	}
	l := &loop{Config: c, fd: fd, raw: raw, ctx: ctx, batch: mmsg.New(c.shape())}
	if c.Wait == WaitRecv || c.Wait == WaitPlain {
		if err := unix.SetNonblock(fd, false); err != nil {
			return err
		}
	}
	return l.run()
}

// controlLen is room for a timestamp and an IPv4 packet information.
const controlLen = 96

func (c Config) shape() mmsg.Shape {
	s := mmsg.Shape{Slots: c.Batch, Size: 1024, Named: true}
	if c.Timestamps || c.PacketInfo {
		s.Control = controlLen
	}
	return s
}

func setOptions(fd int, c Config) error {
	if c.Timestamps {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1); err != nil {
			return err
		}
	}
	if c.PacketInfo {
		return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
	}
	return nil
}

type loop struct {
	Config
	fd    int
	raw   syscall.RawConn
	ctx   context.Context
	batch *mmsg.Batch
	more  bool // the last batch was full: the socket may hold more
}

func (l *loop) run() error {
	if l.Wait == WaitPoller {
		return l.runPoller()
	}
	for l.ctx.Err() == nil {
		n, err := l.receive()
		if err != nil {
			if l.ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return nil
			}
			return err
		}
		l.reply(n)
	}
	return nil
}

// runPoller serves inside one Read: as the poller's readiness is not reset
// between batches, a datagram that comes after a short batch wakes it, and no
// call is spent on finding the socket empty.
func (l *loop) runPoller() error {
	var err error
	waitErr := l.raw.Read(func(fd uintptr) bool {
		for {
			n, e := l.batch.Recv(int(fd), l.Batch, 0)
			if err = temporary(e); err != nil {
				return true
			}
			l.reply(n)
			if n < l.Batch {
				return false
			}
		}
	})
	if l.ctx.Err() != nil {
		return nil
	}
	return errors.Join(err, waitErr)
}

// reply answers the first n requests of the batch.
func (l *loop) reply(n int) {
	for i := range n {
		l.answer(i)
	}
	if l.Wait == WaitPlain {
		l.sendPlain(n)
		return
	}
	for first := 0; first < n; {
		sent, e := l.batch.Send(l.fd, first, n)
		if e == unix.EINTR || e == unix.EAGAIN {
			continue
		}
		first += max(sent, 1) // an answer that cannot be sent is dropped
	}
}

func (l *loop) sendPlain(n int) {
	for first := 0; first < n; {
		sent, _ := l.batch.SendWait(l.fd, first, n)
		first += max(sent, 1)
	}
}

// receive returns the next batch, waiting for it as configured.
func (l *loop) receive() (int, error) {
	switch l.Wait {
	case WaitNetpoll:
		return l.receiveNetpoll()
	case WaitBounded:
		return l.receiveBounded()
	case WaitPlain:
		n, e := l.batch.RecvWait(l.fd, l.Batch)
		return n, temporary(e)
	}
	for l.ctx.Err() == nil {
		if l.more || l.Drain {
			n, e := l.batch.Recv(l.fd, l.Batch, 0)
			l.more = n == l.Batch
			if n > 0 {
				return n, nil
			}
			if err := temporary(e); err != nil {
				return 0, err
			}
		}
		if l.Wait == WaitRecv {
			n, e := l.batch.RecvWait(l.fd, l.Batch)
			l.more = n == l.Batch
			return n, temporary(e)
		}
		l.more = true
		fds := []unix.PollFd{{Fd: int32(l.fd), Events: unix.POLLIN}}
		if _, err := unix.Ppoll(fds, nil, nil); err != nil && err != unix.EINTR {
			return 0, err
		}
	}
	return 0, nil
}

// receiveBounded waits in a raw ppoll(2), which holds up a collector for at
// most Raw, and only then in the netpoller.
func (l *loop) receiveBounded() (int, error) {
	if l.more || l.Drain {
		n, e := l.batch.Recv(l.fd, l.Batch, 0)
		l.more = n == l.Batch
		if n > 0 {
			return n, nil
		}
		if err := temporary(e); err != nil {
			return 0, err
		}
	}
	if l.batch.Poll(l.fd, l.Raw) {
		n, e := l.batch.Recv(l.fd, l.Batch, 0)
		l.more = n == l.Batch
		return n, temporary(e)
	}
	n, err := l.receiveNetpoll()
	l.more = n == l.Batch
	return n, err
}

func (l *loop) receiveNetpoll() (n int, err error) {
	waitErr := l.raw.Read(func(fd uintptr) bool {
		var e syscall.Errno
		n, e = l.batch.Recv(int(fd), l.Batch, 0)
		if e == unix.EAGAIN {
			return false
		}
		err = temporary(e)
		return true
	})
	return n, errors.Join(err, waitErr)
}

// temporary turns an error that the next call may not see into nil.
func temporary(e syscall.Errno) error {
	switch e {
	case 0, unix.EAGAIN, unix.EINTR, unix.ECONNREFUSED:
		return nil
	}
	return e
}

// answer turns the request in slot i into its answer, in place.
func (l *loop) answer(i int) {
	p := l.batch.Packet(i)
	received := l.control(i)
	if len(p) < ntp.HeaderLen {
		l.batch.SetLen(i, 0)
		return
	}
	l.batch.SetLen(i, len(p))
	now := ntp.TimestampFromTime(time.Now())
	if received == 0 {
		received = now
	}
	p[0] = p[0]&0x38 | byte(ntp.ModeServer)
	p[1] = 1
	copy(p[24:32], p[40:48])
	binary.BigEndian.PutUint64(p[32:], uint64(received))
	binary.BigEndian.PutUint64(p[40:], uint64(now))
}

// control reads the receive time of slot i, 0 if there is none, and makes the
// answer leave from the address asked if that is wanted.
func (l *loop) control(i int) (received ntp.Timestamp) {
	if !l.Timestamps && !l.PacketInfo {
		return 0
	}
	from, told := [4]byte{}, false
	for m, rest, ok := mmsg.Next(l.batch.Control(i)); ok; m, rest, ok = mmsg.Next(rest) {
		switch {
		case m.Level == unix.SOL_SOCKET && m.Kind == unix.SO_TIMESTAMPNS && len(m.Data) >= 16:
			received = ntp.TimestampFromUnix(int64(binary.NativeEndian.Uint64(m.Data)), int64(binary.NativeEndian.Uint64(m.Data[8:])))
		case m.Level == unix.IPPROTO_IP && m.Kind == unix.IP_PKTINFO && len(m.Data) >= unix.SizeofInet4Pktinfo:
			from, told = [4]byte(m.Data[8:12]), true
		}
	}
	octets := 0
	if l.PacketInfo && told {
		var info []byte
		info, octets = mmsg.Put(l.batch.ControlRoom(i), unix.IPPROTO_IP, unix.IP_PKTINFO, unix.SizeofInet4Pktinfo)
		clear(info)
		copy(info[4:8], from[:]) // ipi_spec_dst
	}
	l.batch.SetControl(i, octets)
	return received
}
