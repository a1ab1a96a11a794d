//go:build linux

package load

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"

	"ntsbridge/bridge/ntp"
	"ntsbridge/bridge/server/mmsg"
)

// maxPacket is room for the longest answer expected, octets.
const maxPacket = 2048

// slot is one prepared request.
type slot struct {
	request  []byte
	transmit ntp.Timestamp
	sent     int64 // engine's clock; 0: not outstanding
	maker    Maker
}

// source is one socket with its prepared requests. The low 16 bits of a
// request's transmit timestamp are its slot, the rest is random, so that the
// origin timestamp of an answer finds the slot and proves it was asked.
type source struct {
	fd          int
	window      int
	outstanding int
	slots       []slot
	next        int
	in, out     *mmsg.Batch
	order       []int // slots of the batch being sent
}

func newSource(server netip.AddrPort, from netip.Addr, index, window int, maker Maker) (*source, error) {
	fd, err := Dial(server, from)
	if err != nil {
		return nil, err
	}
	s := &source{fd: fd, window: window, slots: make([]slot, 2*window)}
	shape := mmsg.Shape{Slots: window, Size: maxPacket}
	s.in, s.out = mmsg.New(shape), mmsg.New(shape)
	for i := range s.slots {
		transmit := ntp.Timestamp(rand.Uint64()&^0xffff | uint64(i))
		request, err := maker.Request(transmit)
		if err != nil {
			_ = unix.Close(fd)
			return nil, fmt.Errorf("preparing a request of kind %s: %w", maker.Name(), err)
		}
		s.slots[i] = slot{request: request, transmit: transmit, maker: maker}
	}
	return s, nil
}

// Dial returns a non-blocking socket connected to the server, bound to from
// where valid, even if the address is not the machine's (a route to it as
// local is needed).
func Dial(server netip.AddrPort, from netip.Addr) (int, error) {
	family := unix.AF_INET
	if server.Addr().Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("socket: %w", err)
	}
	if from.IsValid() {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_FREEBIND, 1)
		if err := unix.Bind(fd, sockaddr(netip.AddrPortFrom(from, 0))); err != nil {
			_ = unix.Close(fd)
			return -1, fmt.Errorf("bind to %s: %w", from, err)
		}
	}
	if err := unix.Connect(fd, sockaddr(server)); err != nil {
		_ = unix.Close(fd)
		return -1, fmt.Errorf("connect to %s: %w", server, err)
	}
	return fd, nil
}

// FreeBind lets a socket be bound to an address that only a route makes the
// machine's; it is a net.Dialer's Control.
func FreeBind(_, _ string, c syscall.RawConn) error {
	var err error
	if e := c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_FREEBIND, 1) }); e != nil {
		return e
	}
	return err
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}

// free returns how many more requests may be outstanding.
func (s *source) free() int { return s.window - s.outstanding }

// send sends up to n prepared requests and returns how many went.
func (s *source) send(now int64, n int) int {
	s.order = s.order[:0]
	for tried := 0; tried < len(s.slots) && len(s.order) < n; tried++ {
		i := s.next
		s.next = (s.next + 1) % len(s.slots)
		if s.slots[i].sent != 0 {
			continue
		}
		k := len(s.order)
		copy(s.out.Buffer(k), s.slots[i].request)
		s.out.SetLen(k, len(s.slots[i].request))
		s.order = append(s.order, i)
	}
	sent, _ := s.out.Send(s.fd, 0, len(s.order))
	for _, i := range s.order[:sent] {
		s.slots[i].sent = now
	}
	s.outstanding += sent
	return sent
}

// match finds the request that an answer belongs to and tells how good it is;
// latency is in nanoseconds.
func (s *source) match(answer []byte, now int64, verify bool) (o outcome, latency int64) {
	if len(answer) < ntp.HeaderLen {
		return outcomeMalformed, 0
	}
	origin := ntp.Timestamp(binary.BigEndian.Uint64(answer[24:]))
	i := int(origin & 0xffff)
	if i >= len(s.slots) || s.slots[i].transmit != origin || s.slots[i].sent == 0 {
		return outcomeUnmatched, 0
	}
	q := &s.slots[i]
	latency = now - q.sent
	q.sent = 0
	s.outstanding--
	if o = inspect(q, answer); o == outcomeAnswer && verify {
		if err := q.maker.Verify(q.request, answer); err != nil {
			return outcomeForged, latency
		}
		o = outcomeVerified
	}
	return o, latency
}

// inspect tells a time answer from a refusal without any cryptography.
func inspect(q *slot, answer []byte) outcome {
	switch {
	case ntp.ModeOf(answer) != ntp.ModeServer:
		return outcomeMalformed
	case answer[1] == 0:
		return outcomeKiss
	case len(answer) < q.maker.MinAnswer():
		return outcomeUnauthenticated
	}
	return outcomeAnswer
}

// expire frees requests sent before the given time and returns how many.
func (s *source) expire(before int64) (n int) {
	for i := range s.slots {
		if t := s.slots[i].sent; t != 0 && t < before {
			s.slots[i].sent = 0
			s.outstanding--
			n++
		}
	}
	return n
}
