package server

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// send sends one packet, unless the socket is closed. Broadcasting is allowed
// when it is first asked for: the answers of a server that does not broadcast
// never go to a broadcast address.
func (s *socket) send(p, control []byte, to netip.AddrPort) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return net.ErrClosed
	}
	_, err := unix.SendmsgN(s.fd, p, control, sockaddr(to), unix.MSG_DONTWAIT)
	if err == unix.EACCES && to.Addr().Is4() {
		if err := unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_BROADCAST, 1); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
		_, err = unix.SendmsgN(s.fd, p, control, sockaddr(to), unix.MSG_DONTWAIT)
	}
	return os.NewSyscallError("sendmsg", err)
}

// join joins a group on every interface that has multicast, or on the one of
// the zone. It reports false on a socket that gets no multicast.
func (s *socket) join(group netip.Addr) (bool, error) {
	if !s.wildcard || s.listen.Addr().Is4() != group.Is4() {
		return false, nil
	}
	if err := s.membership(group, unix.IP_ADD_MEMBERSHIP, unix.IPV6_JOIN_GROUP); err != nil {
		return false, fmt.Errorf("join multicast group %v: %w", group, err)
	}
	return true, nil
}

// membership sets the option on each interface; that one of them took it is
// enough.
func (s *socket) membership(group netip.Addr, v4, v6 int) error {
	interfaces, err := net.Interfaces()
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return net.ErrClosed
	}
	done := false
	last := errors.New("no interface has multicast")
	for _, i := range interfaces {
		if i.Flags&(net.FlagUp|net.FlagMulticast) != net.FlagUp|net.FlagMulticast || group.Zone() != "" && group.Zone() != i.Name {
			continue
		}
		if group.Is4() {
			err = unix.SetsockoptIPMreqn(s.fd, unix.IPPROTO_IP, v4, &unix.IPMreqn{Multiaddr: group.As4(), Ifindex: int32(i.Index)})
		} else {
			err = unix.SetsockoptIPv6Mreq(s.fd, unix.IPPROTO_IPV6, v6, &unix.IPv6Mreq{Multiaddr: group.As16(), Interface: uint32(i.Index)})
		}
		if err == nil || errors.Is(err, syscall.EADDRINUSE) {
			done = true
		} else {
			last = err
		}
	}
	if done {
		return nil
	}
	return last
}
