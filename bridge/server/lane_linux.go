package server

import (
	"encoding/binary"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"ntsbridge/bridge/ntp"

	"ntsbridge/autokey"
	"ntsbridge/bridge/fleet/feed"
	"ntsbridge/bridge/server/mmsg"
)

// lane answers requests one after the other, away from the workers. Its memory
// is fixed.
type lane struct {
	srv   *shared
	queue *fairQueue[*slowRequest]
	done  chan struct{}
	count counters
	feed  *feed.Feed // to the inventory of clients, nil: off
}

// slowRequest is a copy of a request; the batch it came in is used again.
type slowRequest struct {
	socket  *socket
	name    mmsg.Name
	nameLen uint32
	slot    slot
	packet  [maxPacket]byte
	answer  [maxPacket]byte
	control [controlLen]byte
	arrived int64 // when it was copied, nanoseconds of shared.mono
}

func newLane(srv *shared, depth int, room [classCount]int) lane {
	memory := make([]*slowRequest, depth+1) // one more is being worked on
	for i := range memory {
		memory[i] = &slowRequest{slot: slot{autokey: new(autokey.Session)}}
	}
	return lane{srv: srv, feed: srv.clients.attach(), queue: newFairQueue(memory, room), done: make(chan struct{})}
}

// work answers by answer until the queue is closed.
func (l *lane) work(h handler, answer func(*handler, *slowRequest)) {
	defer l.srv.clients.detach(l.feed)
	for {
		r, ok := l.queue.take()
		if !ok {
			return
		}
		h.state, h.clock = l.srv.state.Load(), l.srv.clock.Load()
		h.mono = l.srv.mono(time.Now())
		answer(&h, r)
		r.socket = nil
		l.queue.done(r)
	}
}

// end lets the lane answer what it is working on, and waits until it is done.
func (l *lane) end() {
	l.queue.close()
	<-l.done
}

// fill copies a request.
func (r *slowRequest) fill(s *socket, from *slot, name *mmsg.Name, nameLen uint32, mono int64) {
	r.socket, r.name, r.nameLen, r.arrived = s, *name, nameLen, mono
	r.slot.req, r.slot.verdict = from.req, from.verdict
	r.slot.ifindex = from.ifindex
	r.slot.req.Packet = r.packet[:copy(r.packet[:], from.req.Packet)]
}

// clientOf returns who counts as one client: an IPv4 address or 64 bits of an
// IPv6 one.
func clientOf(req *ntp.Request) uint64 {
	b := req.From.Addr().As16()
	if req.From.Addr().Is4() {
		return uint64(binary.BigEndian.Uint32(b[12:]))
	}
	return binary.BigEndian.Uint64(b[:8])
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
	if errno != 0 {
		r.socket.besideFailed.Add(1)
	} else {
		r.socket.beside.Add(1)
	}
	return errno
}
