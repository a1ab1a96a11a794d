package server

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"ntsbridge/bridge/ntp"
	"ntsbridge/bridge/server/mmsg"
)

// receiveBuffer is asked for on each socket, octets; it holds some ten
// thousand requests while a worker is not scheduled.
const receiveBuffer = 4 << 20

// socket is one UDP socket of one worker.
type socket struct {
	fd       int
	file     *os.File // owns fd, for Go's poller
	conn     syscall.RawConn
	listen   netip.AddrPort
	local    netip.Addr // invalid on a wildcard socket: the packet tells
	wildcard bool
	adopted  bool // bound by somebody else
	kernelTX bool
	hardware *Hardware // nil: no timestamps of interfaces
	stampsTX uint32    // of answers, asked for

	// Answers whose transmit timestamp the kernel was asked for, by the number
	// that it will give them (SOF_TIMESTAMPING_OPT_ID counts from 0).
	asked   [64]awaitedStamp
	nextTX  uint32
	pending int

	mu     sync.Mutex // slow lane against close
	closed bool

	beside, besideFailed atomic.Uint64 // what others than its worker sent by it, or could not
}

// awaitedStamp is an answer whose transmit timestamps are awaited.
type awaitedStamp struct {
	receive ntp.Timestamp // that it carries
	ifindex uint32        // by which its request came
	kernel  bool          // the kernel's was taken
}

// expect notes that the next timestamped answer is the one that carries this
// receive timestamp.
func (s *socket) expect(receive ntp.Timestamp, ifindex uint32) {
	s.asked[s.nextTX%uint32(len(s.asked))] = awaitedStamp{receive: receive, ifindex: ifindex}
	s.nextTX++
	s.pending++
}

// expected returns the answer with that number.
func (s *socket) expected(number uint32) (*awaitedStamp, bool) {
	if age := s.nextTX - number; age == 0 || age > uint32(len(s.asked)) {
		return nil, false
	}
	s.pending = max(0, s.pending-1)
	return &s.asked[number%uint32(len(s.asked))], true
}

// interrupt makes whoever waits for the socket return, now and later.
func (s *socket) interrupt() { _ = s.file.SetReadDeadline(time.Unix(1, 0)) }

// close closes the socket once nobody of the slow lane is sending on it.
func (s *socket) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.closed = true
		s.file.Close()
	}
}

// SocketOptions are the settings that every socket gets.
type SocketOptions struct {
	DSCP             int       // 0 to 63
	KernelTimestamps bool      // receive, and transmit for interleaved clients
	FreeBind         bool      // bind addresses that this host does not have
	TOS              bool      // tell the type of service or traffic class of requests
	Hardware         *Hardware // with KernelTimestamps: those of interfaces; nil: none
}

// openSocket binds a non-blocking UDP socket with SO_REUSEPORT. alone binds it
// without, which fails where anybody else has the address, and lets the port be
// shared only then: so two servers that share never both begin.
func openSocket(listen netip.AddrPort, opt SocketOptions, alone bool) (*socket, error) {
	family := unix.AF_INET
	if listen.Addr().Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_UDP)
	if err != nil {
		return nil, fmt.Errorf("listen %v: %w", listen, err)
	}
	s := &socket{fd: fd, listen: listen, wildcard: listen.Addr().IsUnspecified()}
	if !s.wildcard {
		s.local = listen.Addr().WithZone("")
	}
	if err := s.configure(family, opt); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("listen %v: %w", listen, err)
	}
	err = s.bind(alone)
	if opt.FreeBind && errors.Is(err, unix.EADDRNOTAVAIL) && s.freeBind(family) == nil {
		err = s.bind(alone)
	}
	if err != nil {
		unix.Close(fd)
		return nil, bindError(listen, err)
	}
	return s.finish()
}

// finish gives the descriptor to Go's poller.
func (s *socket) finish() (_ *socket, err error) {
	s.file = os.NewFile(uintptr(s.fd), s.listen.String())
	if s.conn, err = s.file.SyscallConn(); err != nil {
		s.file.Close()
		return nil, fmt.Errorf("listen %v: %w", s.listen, err)
	}
	return s, nil
}

// adoptSocket makes a socket of a copy of one that somebody else has bound.
func adoptSocket(f *os.File, listen netip.AddrPort, opt SocketOptions) (*socket, error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("passed socket of %v: %w", listen, err)
	}
	fd, family := -1, unix.AF_INET
	if listen.Addr().Is6() {
		family = unix.AF_INET6
	}
	failed := raw.Control(func(original uintptr) { fd, err = unix.FcntlInt(original, unix.F_DUPFD_CLOEXEC, 0) })
	if err = errors.Join(failed, err); err != nil {
		return nil, fmt.Errorf("passed socket of %v: %w", listen, err)
	}
	s := &socket{fd: fd, listen: listen, wildcard: listen.Addr().IsUnspecified(), adopted: true}
	if !s.wildcard {
		s.local = listen.Addr().WithZone("")
	}
	if err := errors.Join(unix.SetNonblock(fd, true), s.configure(family, opt)); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("passed socket of %v: %w", listen, err)
	}
	return s.finish()
}

// onlyIPv6 keeps IPv4 off a socket for IPv6. That of one that is bound is as it
// is.
func (s *socket) onlyIPv6(set func(level, name, value int) error) error {
	if !s.adopted {
		return set(unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1)
	}
	if only, err := unix.GetsockoptInt(s.fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY); err == nil && only == 0 && s.wildcard {
		return errors.New("it takes IPv4 too: write BindIPv6Only=ipv6-only into the socket unit, and ListenDatagram=0.0.0.0:123 beside")
	}
	return nil
}

func (s *socket) bind(alone bool) error {
	share := func() error { return unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) }
	if alone {
		return errors.Join(unix.Bind(s.fd, sockaddr(s.listen)), share())
	}
	return errors.Join(share(), unix.Bind(s.fd, sockaddr(s.listen)))
}

// freeBind allows to bind an address that no interface has: its packets come
// when one has it.
func (s *socket) freeBind(family int) error {
	if family == unix.AF_INET6 {
		return unix.SetsockoptInt(s.fd, unix.SOL_IPV6, unix.IPV6_FREEBIND, 1)
	}
	return unix.SetsockoptInt(s.fd, unix.SOL_IP, unix.IP_FREEBIND, 1)
}

func bindError(listen netip.AddrPort, err error) error {
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		return fmt.Errorf("listen %v: %w: another NTP server has this port; stop it or choose another address", listen, err)
	case errors.Is(err, unix.EACCES):
		return fmt.Errorf("listen %v: %w: a port below 1024 needs root or CAP_NET_BIND_SERVICE", listen, err)
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return fmt.Errorf("listen %v: %w: no interface of this host has that address", listen, err)
	}
	return fmt.Errorf("listen %v: %w", listen, err)
}

func (s *socket) configure(family int, opt SocketOptions) error {
	set := func(level, name, value int) error {
		return os.NewSyscallError("setsockopt", unix.SetsockoptInt(s.fd, level, name, value))
	}
	// As root the limit of the system is passed over, otherwise it is taken.
	if set(unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer) != nil {
		_ = set(unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer)
	}
	if err := s.configureTimestamps(set, opt); err != nil {
		return err
	}
	if opt.TOS {
		s.tellTOS(true)
	}
	if family == unix.AF_INET6 {
		if err := s.onlyIPv6(set); err != nil {
			return err
		}
		if err := set(unix.IPPROTO_IPV6, unix.IPV6_TCLASS, opt.DSCP<<2); err != nil {
			return err
		}
		if s.wildcard {
			return set(unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
		}
		return nil
	}
	if err := set(unix.IPPROTO_IP, unix.IP_TOS, opt.DSCP<<2); err != nil {
		return err
	}
	if s.wildcard {
		return set(unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
	}
	return nil
}

// configureTimestamps asks for receive timestamps on all packets and makes
// transmit timestamps available to the packets that ask for one by a control
// message. Kernels without the second get the first alone.
func (s *socket) configureTimestamps(set func(level, name, value int) error, opt SocketOptions) error {
	if !opt.KernelTimestamps {
		return nil
	}
	flags := unix.SOF_TIMESTAMPING_RX_SOFTWARE | unix.SOF_TIMESTAMPING_SOFTWARE |
		unix.SOF_TIMESTAMPING_OPT_ID | unix.SOF_TIMESTAMPING_OPT_TSONLY
	s.stampsTX = unix.SOF_TIMESTAMPING_TX_SOFTWARE
	if opt.Hardware != nil && set(unix.SOL_SOCKET, unix.SO_TIMESTAMPING, flags|hardwareStamps) == nil {
		s.kernelTX, s.hardware = true, opt.Hardware
		s.stampsTX |= unix.SOF_TIMESTAMPING_TX_HARDWARE
		return nil
	}
	if set(unix.SOL_SOCKET, unix.SO_TIMESTAMPING, flags) == nil {
		s.kernelTX = true
		return nil
	}
	return set(unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1)
}

// sockaddr returns the bind address; a zone is an interface name.
func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	sa := &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
	if zone := a.Addr().Zone(); zone != "" {
		sa.ZoneId = zoneIndex(zone)
	}
	return sa
}

// zoneIndex returns the index of an interface given by name, 0 if there is
// none, which bind refuses.
func zoneIndex(zone string) uint32 {
	ifi, err := net.InterfaceByName(zone)
	if err != nil {
		return 0
	}
	return uint32(ifi.Index)
}

// addrPort reads the address that the kernel left; the zone of a link-local
// address stays in raw, which the answer goes back to as it is.
func addrPort(n *mmsg.Name) netip.AddrPort {
	if n.Raw.Family == unix.AF_INET {
		in := (*unix.RawSockaddrInet4)(unsafe.Pointer(&n.Raw))
		return netip.AddrPortFrom(netip.AddrFrom4(in.Addr), networkOrder(in.Port))
	}
	return netip.AddrPortFrom(netip.AddrFrom16(n.Raw.Addr).Unmap(), networkOrder(n.Raw.Port))
}

// networkOrder turns a port as it stands in a socket address into a number.
func networkOrder(port uint16) uint16 {
	b := (*[2]byte)(unsafe.Pointer(&port))
	return uint16(b[0])<<8 | uint16(b[1])
}

// localAddr returns the address that a socket is bound to.
func localAddr(fd int) (netip.AddrPort, error) {
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return netip.AddrPort{}, err
	}
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port)), nil
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), uint16(sa.Port)), nil
	}
	return netip.AddrPort{}, unix.EAFNOSUPPORT
}
