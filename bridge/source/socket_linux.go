package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"ntsbridge/bridge/clock/nic"
	"ntsbridge/bridge/clock/timebase"
)

// socket is a UDP socket that is connected to a server: it gets packets of
// nobody else.
type socket struct {
	conn     *net.UDPConn
	local    netip.Addr // without zone
	clock    Clock
	hardware *nic.Clock // nil: no timestamps of the interface
	sent     uint32     // number of the next packet
}

// endpoint is where a socket is connected to, and how.
type endpoint struct {
	server netip.AddrPort
	local  netip.Addr // invalid: the kernel's choice
	device string     // empty: any
}

// dial opens a socket with timestamps of the kernel.
func dial(ctx context.Context, to endpoint, clock Clock) (*socket, error) {
	d := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		return control(c, func(fd int) error { return prepare(fd, to.device) })
	}}
	if to.local.IsValid() {
		d.LocalAddr = net.UDPAddrFromAddrPort(netip.AddrPortFrom(to.local, 0))
	}
	c, err := d.DialContext(ctx, "udp", to.server.String())
	if err != nil {
		return nil, err
	}
	conn := c.(*net.UDPConn)
	local := conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr()
	return &socket{conn: conn, local: local.Unmap().WithZone(""), clock: clock}, nil
}

// prepare sets the options of a client's socket.
func prepare(fd int, device string) error {
	if device != "" {
		if err := unix.BindToDevice(fd, device); err != nil {
			return fmt.Errorf("interface %q: %w", device, err)
		}
	}
	if stampAll(fd, kernelStamps) == nil {
		return nil
	}
	return os.NewSyscallError("setsockopt", stampReceived(fd))
}

// control applies f to the file descriptor of a socket.
func control(c syscall.RawConn, f func(fd int) error) error {
	var inner error
	if err := c.Control(func(fd uintptr) { inner = f(int(fd)) }); err != nil {
		return err
	}
	return inner
}

// apply applies f to the file descriptor of the socket.
func (s *socket) apply(f func(fd int) error) error {
	c, err := s.conn.SyscallConn()
	if err != nil {
		return err
	}
	return control(c, f)
}

// departure is when a packet left.
type departure struct {
	before timebase.Pair // read before it was sent
	at     stamp
	number uint32
}

// send sends a packet.
func (s *socket) send(p []byte) (departure, error) {
	d := departure{before: s.clock.Pair(), number: s.sent}
	d.at = daemonStamp(d.before)
	if _, err := s.conn.Write(p); err != nil {
		return d, explain(err)
	}
	s.sent++
	if s.hardware != nil {
		s.hardware.Read()
	}
	return d, nil
}

// received is a packet with the time of its arrival.
type received struct {
	data []byte
	at   stamp
	pair timebase.Pair // read after it had come
}

// receive reads one packet until the deadline; ErrTimeout then. Whoever ends
// ctx sets a deadline that has passed.
func (s *socket) receive(ctx context.Context, buf []byte, deadline time.Time) (received, error) {
	if err := s.conn.SetReadDeadline(deadline); err != nil {
		return received{}, err
	}
	if ctx.Err() != nil { // its deadline was overwritten
		return received{}, ErrTimeout
	}
	var oob [oobLen]byte
	n, on, flags, _, err := s.conn.ReadMsgUDPAddrPort(buf, oob[:])
	pair := s.clock.Pair()
	if err != nil {
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			return received{}, ErrTimeout
		}
		return received{}, explain(err)
	}
	if flags&unix.MSG_TRUNC != 0 {
		n = 0 // longer than any answer
	}
	// Authenticators may keep parts of a packet, as Autokey does certificates.
	r := received{data: bytes.Clone(buf[:n]), at: daemonStamp(pair), pair: pair}
	a := parseAncillary(oob[:on])
	if a.software != 0 {
		r.take(stampAt(pair, a.software, StampKernel))
	}
	if s.hardware != nil && a.hardware != 0 {
		s.hardware.Read()
		raw, ok := s.hardware.Arrival(a.hardware, n, s.local.Is6())
		if ok && (a.software == 0 || nic.Arrived(raw, pair.At(a.software))) {
			r.take(rawStamp(pair, raw, StampHardware))
		}
	}
	return r, nil
}

// longestWait is how long a packet may wait in the kernel for this process;
// a timestamp from before that is of something else.
const longestWait = 10 * time.Second

// take takes a timestamp if it can be that of the packet.
func (r *received) take(s stamp) {
	if waited := time.Duration(r.pair.Raw - s.raw); waited >= -readingSlop && waited <= longestWait {
		r.at = s
	}
}

// explain says what an error of a socket means to an operator.
func explain(err error) error {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("no NTP server on that port (ICMP port unreachable): %w", err)
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return fmt.Errorf("no way to the host: %w", err)
	case errors.Is(err, syscall.EPERM):
		return fmt.Errorf("a packet filter of this host refuses: %w", err)
	}
	return err
}
