package source

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"ntsbridge/bridge/ntp"
)

// dial opens a UDP socket to a server, which gets packets of nobody else, with
// kernel receive timestamps.
func dial(ctx context.Context, local netip.Addr, remote netip.AddrPort) (*net.UDPConn, error) {
	d := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error { return control(c, stampReceived) }}
	if local.IsValid() {
		d.LocalAddr = net.UDPAddrFromAddrPort(netip.AddrPortFrom(local, 0))
	}
	c, err := d.DialContext(ctx, "udp", remote.String())
	if err != nil {
		return nil, err
	}
	return c.(*net.UDPConn), nil
}

// control applies f to the file descriptor of a socket.
func control(c syscall.RawConn, f func(fd int) error) error {
	var inner error
	if err := c.Control(func(fd uintptr) { inner = f(int(fd)) }); err != nil {
		return err
	}
	return inner
}

func stampReceived(fd int) error {
	return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1)
}

// ancillary is what the control messages of a packet tell.
type ancillary struct {
	received ntp.Timestamp // 0: not told
	to       netip.Addr    // local address; invalid: not told
	dest     netip.Addr    // destination of the packet, for IPv4 also broadcast
	ifindex  int
}

// parseAncillary reads control messages.
func parseAncillary(oob []byte) (a ancillary) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return a
	}
	for _, m := range messages {
		switch h, d := m.Header, m.Data; {
		case h.Level == unix.SOL_SOCKET && h.Type == unix.SO_TIMESTAMPNS && len(d) >= 16:
			ts := (*unix.Timespec)(unsafe.Pointer(&d[0]))
			a.received = ntp.TimestampFromUnix(ts.Sec, ts.Nsec)
		case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_PKTINFO && len(d) >= unix.SizeofInet4Pktinfo:
			info := (*unix.Inet4Pktinfo)(unsafe.Pointer(&d[0]))
			a.to, a.dest, a.ifindex = netip.AddrFrom4(info.Spec_dst), netip.AddrFrom4(info.Addr), int(info.Ifindex)
		case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_PKTINFO && len(d) >= unix.SizeofInet6Pktinfo:
			info := (*unix.Inet6Pktinfo)(unsafe.Pointer(&d[0]))
			a.dest, a.ifindex = netip.AddrFrom16(info.Addr), int(info.Ifindex)
			if !a.dest.IsMulticast() {
				a.to = a.dest
			}
		}
	}
	return a
}

// oobLen is room for the control messages of a packet, octets.
const oobLen = 256

// received is a packet with the time of its arrival.
type received struct {
	data []byte
	at   ntp.Timestamp
}

// read reads one packet until the deadline; ErrTimeout then.
func read(c *net.UDPConn, clock Clock, buf []byte, deadline time.Time) (received, error) {
	if err := c.SetReadDeadline(deadline); err != nil {
		return received{}, err
	}
	var oob [oobLen]byte
	n, on, _, _, err := c.ReadMsgUDPAddrPort(buf, oob[:])
	if err != nil {
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			return received{}, ErrTimeout
		}
		return received{}, explain(err)
	}
	r := received{buf[:n], clock.Now()}
	if a := parseAncillary(oob[:on]); a.received != 0 {
		r.at = a.received
	}
	return r, nil
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
