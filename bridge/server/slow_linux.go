package server

import (
	"net/netip"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"ntsbridge/autokey"
	"ntsbridge/bridge/ntp"
	"ntsbridge/symkey"
)

// slowDepth is how many requests may wait, for public-key work or as queries. At
// the usual budget they are worked off within a second.
const slowDepth = 128

// slowLane answers the requests that need public-key work and those of mode 6,
// one after the other, away from the workers. Its memory is fixed.
type slowLane struct {
	srv   *Server
	free  chan *slowRequest
	queue chan *slowRequest
	done  chan struct{}
	count counters
}

// slowRequest is a copy of a request; the batch it came in is used again.
type slowRequest struct {
	socket  *socket
	name    rawAddr
	nameLen uint32
	slot    slot
	packet  [maxPacket]byte
	answer  [maxPacket]byte
	control [controlLen]byte
}

func newSlowLane(srv *Server) *slowLane {
	l := &slowLane{srv: srv, done: make(chan struct{}),
		free: make(chan *slowRequest, slowDepth), queue: make(chan *slowRequest, slowDepth)}
	for range slowDepth {
		l.free <- &slowRequest{slot: slot{autokey: new(autokey.Session)}}
	}
	return l
}

// offer copies a request into the lane; false if the lane is full.
func (l *slowLane) offer(s *socket, from *slot, name *rawAddr, nameLen uint32) bool {
	var r *slowRequest
	select {
	case r = <-l.free:
	default:
		return false
	}
	r.socket, r.name, r.nameLen = s, *name, nameLen
	r.slot.req = from.req
	r.slot.ifindex = from.ifindex
	r.slot.req.Packet = r.packet[:copy(r.packet[:], from.req.Packet)]
	l.queue <- r // has room for every request that exists
	return true
}

// run works until the queue is closed.
func (l *slowLane) run() {
	defer close(l.done)
	h := handler{store: l.srv.store, count: &l.count, sym: symkey.NewScratch(), now: systemTime, slow: true}
	for r := range l.queue {
		h.state, h.clock = l.srv.state.Load(), l.srv.clock.Load()
		h.mono = int64(time.Since(l.srv.started))
		l.answer(&h, r)
		r.socket = nil
		l.free <- r
	}
}

func (l *slowLane) answer(h *handler, r *slowRequest) {
	if h.isQuery(r.slot.req.Packet) {
		l.query(h, r)
		return
	}
	h.open(&r.slot)
	var base ntp.Header
	h.clock.FillServed(&base, systemTime())
	n := h.finish(&r.slot, &base, r.answer[:])
	if n == 0 {
		return
	}
	if len(r.slot.req.Packet) < n {
		l.count.amplifiedIn.Add(uint64(len(r.slot.req.Packet)))
		l.count.amplifiedOut.Add(uint64(n))
	}
	l.count.txDaemon.Add(1)
	if errno := r.send(n); errno != 0 {
		l.count.sendErrors.Add(1)
	}
}

// send sends the answer of n octets to where the request came from.
func (r *slowRequest) send(n int) syscall.Errno {
	vec := unix.Iovec{Base: &r.answer[0]}
	vec.SetLen(n)
	msg := unix.Msghdr{Name: (*byte)(unsafe.Pointer(&r.name)), Namelen: r.nameLen, Iov: &vec}
	msg.SetIovlen(1)
	if r.socket.wildcard {
		if c := putSource(r.control[:], r.slot.req.To, r.slot.ifindex); c > 0 {
			msg.Control = &r.control[0]
			msg.SetControllen(c)
		}
	}
	r.socket.mu.Lock()
	defer r.socket.mu.Unlock()
	if r.socket.closed {
		return unix.EBADF
	}
	_, _, errno := syscall.Syscall(unix.SYS_SENDMSG, uintptr(r.socket.fd), uintptr(unsafe.Pointer(&msg)), unix.MSG_DONTWAIT)
	return errno
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
