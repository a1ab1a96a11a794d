package server

import (
	"fmt"
	"net/netip"
	"slices"

	"ntsbridge/bridge/netif"

	"golang.org/x/sys/unix"
)

// Handle registers the handler; nil: none.
func (s *Server) Handle(h PeeringHandler) {
	if h == nil {
		s.peering.Store(nil)
		return
	}
	s.peering.Store(&h)
}

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
	if from := how.From.Unmap(); from.IsValid() && !from.IsUnspecified() {
		if from.Is4() != to.Addr().Is4() {
			return fmt.Errorf("%v cannot send to %v", from, to.Addr())
		}
		switch {
		case !k.wildcard:
		case to.Addr().Is6() && to.Addr().IsMulticast() && to.Addr().Zone() == "":
			// IPv6 would choose an interface by the group, whatever the source.
			n = putSource6(control[:], from, uint32(netif.IndexOf(from)))
		default:
			n = putSource(control[:], from, zoneIndex(from.Zone()))
		}
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
