package server

import (
	"net/netip"
	"slices"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"ntsbridge/bridge/access"
	"ntsbridge/bridge/ntp"
)

// Listened is what the sockets of a listen address did. What the slow lane sent
// is not among it.
type Listened struct {
	Address        netip.AddrPort
	Since          time.Time
	Received, Sent uint64
	Failed         uint64 // sends
	Dropped        uint64 // by the kernel, since the queue was full
	Wakeups, Idle  uint64 // of workers; of them without packets
	Buffers        int
	Groups         int // multicast groups
}

// Listening returns what the sockets of each listen address did, sorted.
func (s *Server) Listening() []Listened {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]Listened, 0, len(s.groups))
	for a, group := range s.groups {
		l := Listened{Address: a}
		for _, g := range s.joined {
			if g.Is4() == a.Addr().Is4() {
				l.Groups++
			}
		}
		var sum Counters
		for _, w := range group {
			w.count.addTo(&sum)
			l.Sent += w.socket.beside.Load()
			l.Failed += w.socket.besideFailed.Load()
			l.Since = w.began
			l.Dropped += w.socket.dropped()
			l.Wakeups += w.beat.Load()
			l.Idle += w.idle.Load()
			l.Buffers += w.in.Len()
		}
		l.Received, l.Sent, l.Failed = sum.Received, l.Sent+sum.Sent(), l.Failed+sum.SendErrors
		if s.opt.Beside != nil {
			beside := s.opt.Beside.Received(a)
			l.Received, l.Sent = l.Received+beside, l.Sent+beside
		}
		list = append(list, l)
	}
	slices.SortFunc(list, func(a, b Listened) int { return a.Address.Compare(b.Address) })
	return list
}

// Hits returns how many requests each access rule in force has judged since it
// came into force, in the order of the rules.
func (s *Server) Hits() ([]access.Rule, []uint64) {
	t := s.state.Load().Access
	hits := make([]uint64, len(t.Rules()))
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, group := range s.groups {
		for _, w := range group {
			w.handler.hits.addTo(hits, firstRule(t))
		}
	}
	for _, w := range s.frames {
		w.handler.hits.addTo(hits, firstRule(t))
	}
	if s.opt.Beside != nil {
		s.opt.Beside.Hits(hits)
	}
	return t.Rules(), hits
}

// Sent returns how many answers left, of whatever kind.
func (c *Counters) Sent() (n uint64) {
	for kind := range c.Actions {
		for action, count := range c.Actions[kind] {
			if ntp.Action(action) != ntp.Drop && ntp.Action(action) != ntp.Defer {
				n += count
			}
		}
	}
	return n
}

// The socket option SO_MEMINFO and its figure SK_MEMINFO_DROPS (Linux,
// sock_diag.h).
const (
	memInfoFigures = 9
	memInfoDrops   = 8
)

// dropped returns how many packets found the queue of the socket full. The
// kernel counts 32 bits of it.
func (s *socket) dropped() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return 0
	}
	var figures [memInfoFigures]uint32
	if getMemInfo(s.fd, &figures) != nil {
		return 0
	}
	return uint64(figures[memInfoDrops])
}

func getMemInfo(fd int, figures *[memInfoFigures]uint32) error {
	size := uint32(unsafe.Sizeof(*figures))
	_, _, errno := syscall.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(figures)), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return errno
	}
	return nil
}
