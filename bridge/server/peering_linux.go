package server

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"ntsbridge/bridge/ntp"
)

// Peering is a packet of mode 1 (symmetric active), 2 (passive), 4 (server) or
// 5 (broadcast): it may belong to an association of this host.
type Peering struct {
	Data []byte // good until the handler returns
	From netip.AddrPort
	// To is the local address that answers leave from, invalid if the kernel
	// has to choose it; Destination is the one in the packet, which may be a
	// broadcast or multicast address.
	To, Destination netip.Addr
	Received        ntp.Timestamp
}

// PeeringHandler takes packets of associations, from any worker and before
// access rules and rate limits. It reports whether the packet belongs to one;
// if not, the server deals with it as with any other. It must not block.
type PeeringHandler func(*Peering) bool

// Handle registers the handler; nil: none.
func (s *Server) Handle(h PeeringHandler) {
	if h == nil {
		s.peering.Store(nil)
		return
	}
	s.peering.Store(&h)
}

// peeringMode tells whether packets of a mode are shown to the handler.
func peeringMode(m ntp.Mode) bool {
	const modes = 1<<ntp.ModeSymmetricActive | 1<<ntp.ModeSymmetricPassive | 1<<ntp.ModeServer | 1<<ntp.ModeBroadcast
	return modes>>m&1 != 0
}

// taken shows a packet to the handler of associations.
func (w *worker) taken(slot *slot, destination netip.Addr) bool {
	req := &slot.req
	h := w.srv.peering.Load()
	if h == nil || len(req.Packet) < ntp.HeaderLen || !peeringMode(ntp.ModeOf(req.Packet)) || !answerable(req.From) {
		return false
	}
	if !(*h)(&Peering{Data: req.Packet, From: req.From, To: req.To, Destination: destination, Received: req.Received}) {
		return false
	}
	slot.verdict = drop(ntp.Classify(req.Packet, w.handler.state.Keys).Kind, ntp.ReasonOK)
	w.handler.countVerdict(slot)
	return true
}

// answerable tells whether there can be somebody at a source address.
func answerable(from netip.AddrPort) bool {
	return !from.Addr().IsMulticast() && !from.Addr().IsUnspecified() && from.Port() != 0
}

// shared tells whether a packet went to a broadcast or multicast address, of
// which the kernel gives a copy to every socket of the port, whichever joined
// the group. (Without IP_MULTICAST_ALL it would find the joined one alone, and
// then choose any of the SO_REUSEPORT group in its place: seen with 6.18.)
func (a *ancillary) shared() bool { return a.destination.IsValid() && a.destination != a.to }

// Sending says how Send sends a packet.
type Sending struct {
	From netip.Addr // local address; invalid: the kernel chooses
	To   netip.AddrPort
	// TTL bounds the routers that the packet may pass, 1 to 255. 0: the
	// kernel's default, which for multicast is 1: no router.
	TTL uint8
}

// Send sends a packet from one of the server's ports. It may be called at any
// time by anybody.
func (s *Server) Send(p []byte, how Sending) error {
	to := netip.AddrPortFrom(how.To.Addr().Unmap(), how.To.Port())
	k := s.sender(how.From, to)
	if k == nil {
		return fmt.Errorf("no socket to send to %v from: add an address of its family to server.listen", to.Addr())
	}
	var control [controlLen]byte
	n := 0
	if k.wildcard && how.From.IsValid() && !how.From.IsUnspecified() {
		n = putSource(control[:], how.From.Unmap(), zoneIndex(how.From.Zone()))
	}
	if how.TTL > 0 {
		n += putTTL(control[n:], to.Addr(), how.TTL)
	}
	return k.send(p, control[:n], to)
}

// sender chooses a socket: of the right family, bound to the address or to
// all, and of the port that is to be sent to if there are several.
func (s *Server) sender(from netip.Addr, to netip.AddrPort) *socket {
	sockets := s.senders.Load()
	if sockets == nil {
		return nil
	}
	var best *socket
	points := 0
	for _, k := range *sockets {
		if k.listen.Addr().Is4() != to.Addr().Is4() {
			continue
		}
		p := 1
		if k.listen.Port() == to.Port() {
			p += 4
		}
		switch {
		case from.IsValid() && k.local == from.Unmap().WithZone(""):
			p += 3
		case k.wildcard:
			p += 2
		case from.IsValid() && !from.IsUnspecified():
			continue
		}
		if p > points {
			best, points = k, p
		}
	}
	return best
}

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

// Join makes packets to a multicast group arrive, also on sockets that are
// opened later.
func (s *Server) Join(group netip.Addr) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.Contains(s.joined, group) {
		return nil
	}
	heard := false
	for _, workers := range s.groups {
		ok, err := workers[0].socket.join(group)
		if err != nil {
			return err
		}
		heard = heard || ok
	}
	if !heard {
		return fmt.Errorf("multicast group %v cannot be heard: only an unspecified address of its family in server.listen, "+
			"0.0.0.0 or [::], gets packets to a group", group)
	}
	s.joined = append(s.joined, group)
	return nil
}

// Leave ends what Join began.
func (s *Server) Leave(group netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.Index(s.joined, group)
	if i < 0 {
		return
	}
	s.joined = slices.Delete(s.joined, i, i+1)
	for _, workers := range s.groups {
		_ = workers[0].socket.membership(group, unix.IP_DROP_MEMBERSHIP, unix.IPV6_LEAVE_GROUP)
	}
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

// publish makes the sockets known to Send, in the order of the addresses. The
// first of each group joins what was joined before it was opened.
func (s *Server) publish(addresses []netip.AddrPort, groups map[netip.AddrPort][]*worker) {
	sockets := make([]*socket, 0, len(addresses))
	for _, a := range addresses {
		sockets = append(sockets, groups[a][0].socket)
	}
	s.senders.Store(&sockets)
}
