package interop

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"ntsbridge/bridge/netif"

	"golang.org/x/sys/unix"

	"ntsbridge/bridge/ntp"
	"ntsbridge/bridge/source"
)

// port is a source.Port of its own.
type port struct {
	conns   []*net.UDPConn
	handler atomic.Pointer[source.Handler]
	other   source.Handler
	done    sync.WaitGroup
}

// multicastTTL is how many routers a multicast packet may pass; ntpd's default
// is 3 (tos ttl), and 1 keeps it on the link. A site that wants more uses
// unicast.
const multicastTTL = 3

// listen opens UDP ports, such as 0.0.0.0:123 and [::]:123: packets to
// broadcast and multicast addresses come to unspecified addresses only. other
// gets the packets that no association takes.
func listen(addrs []netip.AddrPort, other source.Handler) (*port, error) {
	l := &port{other: other}
	for _, a := range addrs {
		lc := net.ListenConfig{Control: func(network, _ string, c syscall.RawConn) error {
			return controlled(c, func(fd int) error { return preparePort(fd, network == "udp6") })
		}}
		network := "udp4"
		if a.Addr().Is6() {
			network = "udp6"
		}
		c, err := lc.ListenPacket(context.Background(), network, a.String())
		if err != nil {
			l.Close()
			return nil, fmt.Errorf("port %v: %w", a, err)
		}
		l.conns = append(l.conns, c.(*net.UDPConn))
	}
	for _, c := range l.conns {
		l.done.Go(func() { l.read(c) })
	}
	return l, nil
}

func preparePort(fd int, v6 bool) error {
	options := [][3]int{
		{unix.IPPROTO_IP, unix.IP_PKTINFO, 1},
		{unix.SOL_SOCKET, unix.SO_BROADCAST, 1},
		{unix.IPPROTO_IP, unix.IP_MULTICAST_TTL, multicastTTL},
	}
	if v6 {
		options = [][3]int{
			{unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1},
			{unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1},
			{unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, multicastTTL},
		}
	}
	for _, o := range options {
		if err := os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, o[0], o[1], o[2])); err != nil {
			return err
		}
	}
	return nil
}

// Close closes the ports and waits for the handlers.
func (l *port) Close() {
	for _, c := range l.conns {
		c.Close()
	}
	l.done.Wait()
}

// Handle implements Port.
func (l *port) Handle(h source.Handler) {
	if h == nil {
		l.handler.Store(nil)
		return
	}
	l.handler.Store(&h)
}

// read hands packets to the handlers until the port is closed.
func (l *port) read(c *net.UDPConn) {
	buf, oob := make([]byte, 2304), make([]byte, 512)
	for {
		n, on, flags, from, err := c.ReadMsgUDPAddrPort(buf, oob)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil || flags&unix.MSG_TRUNC != 0 {
			continue
		}
		p := source.Packet{Data: buf[:n], From: netip.AddrPortFrom(from.Addr().Unmap(), from.Port()),
			Received: ntp.TimestampFromTime(time.Now())}
		p.To, p.Destination = destinations(oob[:on])
		if h := l.handler.Load(); h != nil && (*h)(p) {
			continue
		}
		l.other(p)
	}
}

// destinations returns the local address of a packet and the one in it, which
// may be a broadcast or multicast address.
func destinations(oob []byte) (to, destination netip.Addr) {
	messages, _ := unix.ParseSocketControlMessage(oob)
	for _, m := range messages {
		switch h, d := m.Header, m.Data; {
		case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_PKTINFO && len(d) >= unix.SizeofInet4Pktinfo:
			return netip.AddrFrom4([4]byte(d[4:8])), netip.AddrFrom4([4]byte(d[8:12]))
		case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_PKTINFO && len(d) >= unix.SizeofInet6Pktinfo:
			if destination = netip.AddrFrom16([16]byte(d[:16])); !destination.IsMulticast() {
				to = destination
			}
			return to, destination
		}
	}
	return to, destination
}

// conn returns the socket of an address family.
func (l *port) conn(v4 bool) *net.UDPConn {
	for _, c := range l.conns {
		if c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap().Is4() == v4 {
			return c
		}
	}
	return nil
}

// Send implements Port.
func (l *port) Send(p []byte, from netip.Addr, to netip.AddrPort) error {
	v4 := to.Addr().Unmap().Is4()
	c := l.conn(v4)
	if c == nil {
		return fmt.Errorf("no port open for %v", to)
	}
	var oob []byte
	index := 0
	if to.Addr().IsMulticast() {
		index = netif.IndexOf(from) // there need not be a route
	}
	switch from = from.Unmap(); {
	case !from.IsValid() || from.IsUnspecified():
	case from.Is4() != v4:
		return fmt.Errorf("%v cannot send to %v", from, to)
	case v4:
		oob = unix.PktInfo4(&unix.Inet4Pktinfo{Spec_dst: from.As4(), Ifindex: int32(index)})
	default:
		oob = unix.PktInfo6(&unix.Inet6Pktinfo{Addr: from.As16(), Ifindex: uint32(index)})
	}
	_, _, err := c.WriteMsgUDPAddrPort(p, oob, to)
	return err
}

// Join implements Port. It joins on every interface that has multicast.
func (l *port) Join(group netip.Addr) error {
	c := l.conn(group.Is4())
	if c == nil {
		return fmt.Errorf("no port open for %v", group)
	}
	interfaces, err := net.Interfaces()
	if err != nil {
		return err
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	joined := 0
	var last error
	for _, i := range interfaces {
		if i.Flags&(net.FlagUp|net.FlagMulticast) != net.FlagUp|net.FlagMulticast {
			continue
		}
		err := join(raw, group, i.Index)
		if err == nil || errors.Is(err, unix.EADDRINUSE) {
			joined++
		} else {
			last = err
		}
	}
	if joined == 0 {
		return fmt.Errorf("no interface to join %v on: %v", group, last)
	}
	return nil
}

// join joins a group on one interface.
func join(c syscall.RawConn, group netip.Addr, index int) error {
	return controlled(c, func(fd int) error {
		if group.Is4() {
			return unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP,
				&unix.IPMreqn{Multiaddr: group.As4(), Ifindex: int32(index)})
		}
		return unix.SetsockoptIPv6Mreq(fd, unix.IPPROTO_IPV6, unix.IPV6_JOIN_GROUP,
			&unix.IPv6Mreq{Multiaddr: group.As16(), Interface: uint32(index)})
	})
}

var _ source.Port = (*port)(nil)

// controlled applies f to the file descriptor of a socket.
func controlled(c syscall.RawConn, f func(fd int) error) error {
	var inner error
	if err := c.Control(func(fd uintptr) { inner = f(int(fd)) }); err != nil {
		return err
	}
	return inner
}
