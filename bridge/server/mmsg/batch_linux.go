// Package mmsg receives and sends batches of datagrams with recvmmsg(2) and
// sendmmsg(2), without allocating.
//
// The calls that do not wait are made raw: the Go scheduler does not hear of
// them, which saves about half a microsecond each. They carry MSG_DONTWAIT,
// since a raw call must never block.
//
// It is for the server, the load generator and its echo responder, and knows
// nothing of NTP.
package mmsg

import (
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Name is room for the socket address of either family.
type Name struct{ Raw unix.RawSockaddrInet6 }

// Batch is a fixed number of datagram slots, each with its own buffer, peer
// address and room for control messages. It belongs to one goroutine; the
// kernel holds pointers into it only during a call.
type Batch struct {
	headers  []unix.Mmsghdr
	vectors  []unix.Iovec
	names    []Name
	controls []byte
	buffers  []byte
	size     int // octets of a buffer
	room     int // octets for the control messages of a slot
	named    bool
	used     int // slots from the first that the kernel may have written to
	poll     unix.PollFd
	wait     unix.Timespec
}

// Shape is how a Batch is made.
type Shape struct {
	Slots   int
	Size    int  // octets of a buffer
	Named   bool // with the peer's address: for sockets that are not connected
	Control int  // octets for the control messages of a slot, a multiple of 8
}

// New returns a batch.
func New(s Shape) *Batch {
	b := &Batch{
		headers: make([]unix.Mmsghdr, s.Slots), vectors: make([]unix.Iovec, s.Slots),
		names: make([]Name, s.Slots), controls: make([]byte, s.Slots*s.Control), buffers: make([]byte, s.Slots*s.Size),
		size: s.Size, room: s.Control, named: s.Named, used: s.Slots,
	}
	for i := range b.headers {
		b.vectors[i].Base = &b.buffers[i*s.Size]
		b.vectors[i].SetLen(s.Size)
		h := &b.headers[i].Hdr
		h.Iov = &b.vectors[i]
		h.SetIovlen(1)
		if s.Named {
			h.Name = (*byte)(unsafe.Pointer(&b.names[i]))
		}
	}
	return b
}

// Len returns the number of slots.
func (b *Batch) Len() int { return len(b.headers) }

// Buffer returns the whole buffer of slot i.
func (b *Batch) Buffer(i int) []byte { return b.buffers[i*b.size : (i+1)*b.size] }

// Packet returns the octets received into slot i.
func (b *Batch) Packet(i int) []byte { return b.Buffer(i)[:b.headers[i].Len] }

// Truncated tells whether the datagram in slot i was longer than the buffer.
func (b *Batch) Truncated(i int) bool { return b.headers[i].Hdr.Flags&unix.MSG_TRUNC != 0 }

// Name returns the address of slot i's peer, and its length as the kernel gave
// it.
func (b *Batch) Name(i int) (*Name, uint32) { return &b.names[i], b.headers[i].Hdr.Namelen }

// Control returns the control messages received with slot i.
func (b *Batch) Control(i int) []byte {
	return b.ControlRoom(i)[:min(uint64(b.headers[i].Hdr.Controllen), uint64(b.room))]
}

// ControlRoom returns the room for control messages of slot i.
func (b *Batch) ControlRoom(i int) []byte { return b.controls[i*b.room:][:b.room] }

// SetControl makes slot i be sent with the first n octets of its room for
// control messages; 0: with none.
func (b *Batch) SetControl(i, n int) {
	h := &b.headers[i].Hdr
	h.Control = nil
	h.SetControllen(n)
	if n > 0 {
		h.Control = &b.controls[i*b.room]
	}
}

// SetLen sets how many octets of slot i are sent.
func (b *Batch) SetLen(i, n int) { b.vectors[i].SetLen(n) }

// SendTo makes slot i be sent to the peer of slot j of another batch.
func (b *Batch) SendTo(i int, from *Batch, j int) {
	h := &b.headers[i].Hdr
	h.Name, h.Namelen = (*byte)(unsafe.Pointer(&from.names[j])), from.headers[j].Hdr.Namelen
}

// Recv receives up to n datagrams (at most Len) without waiting and returns
// how many came. EAGAIN means none. flags is 0 or MSG_ERRQUEUE.
func (b *Batch) Recv(fd, n int, flags uintptr) (int, syscall.Errno) {
	b.prepare()
	r, _, e := syscall.RawSyscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&b.headers[0])),
		uintptr(n), unix.MSG_DONTWAIT|flags, 0, 0)
	return b.received(r, e)
}

// RecvWait is Recv that waits in the kernel for the first datagram, through
// the scheduler, so that a collector need not wait for this thread.
func (b *Batch) RecvWait(fd, n int) (int, syscall.Errno) {
	b.prepare()
	r, _, e := syscall.Syscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&b.headers[0])),
		uintptr(n), unix.MSG_WAITFORONE, 0, 0)
	return b.received(r, e)
}

// received takes in what a receiving call has said. One slot more may have
// been begun with.
func (b *Batch) received(n uintptr, e syscall.Errno) (int, syscall.Errno) {
	b.used = 1
	if e != 0 {
		return 0, e
	}
	b.used = min(int(n)+1, len(b.headers))
	return int(n), 0
}

// prepare resets the slots of the last call, which may have been sent from
// since, for receiving. The others are still as they were made.
func (b *Batch) prepare() {
	for i := range b.used {
		b.vectors[i].SetLen(b.size)
		h := &b.headers[i].Hdr
		if b.named {
			h.Namelen = unix.SizeofSockaddrInet6
		}
		if b.room > 0 {
			h.Control = &b.controls[i*b.room]
			h.SetControllen(b.room)
		}
	}
}

// Send sends slots first to last-1 without waiting and returns how many went.
func (b *Batch) Send(fd, first, last int) (int, syscall.Errno) {
	if first >= last {
		return 0, 0
	}
	r, _, e := syscall.RawSyscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&b.headers[first])),
		uintptr(last-first), unix.MSG_DONTWAIT, 0, 0)
	if e != 0 {
		return 0, e
	}
	return int(r), 0
}

// SendWait is Send through the scheduler, waiting for room.
func (b *Batch) SendWait(fd, first, last int) (int, syscall.Errno) {
	r, _, e := syscall.Syscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&b.headers[first])),
		uintptr(last-first), 0, 0, 0)
	if e != 0 {
		return 0, e
	}
	return int(r), 0
}

// Poll waits at most d for the socket to become readable, without telling the
// scheduler: d must be short.
func (b *Batch) Poll(fd int, d time.Duration) bool {
	b.poll = unix.PollFd{Fd: int32(fd), Events: unix.POLLIN}
	b.wait = unix.NsecToTimespec(int64(d))
	n, _, e := syscall.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&b.poll)), 1,
		uintptr(unsafe.Pointer(&b.wait)), 0, 0, 0)
	return e == 0 && n > 0
}

// Message is a control message.
type Message struct {
	Level, Kind int32
	Data        []byte
}

// headerLen is the length of a control message's header.
const headerLen = unix.SizeofCmsghdr

// Next takes the first control message from b; ok is false if there is none.
func Next(b []byte) (m Message, rest []byte, ok bool) {
	if len(b) < headerLen {
		return m, nil, false
	}
	h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
	n := int(h.Len)
	if n < headerLen || n > len(b) {
		return m, nil, false
	}
	return Message{h.Level, h.Type, b[headerLen:n]}, b[min((n+7)&^7, len(b)):], true
}

// Put writes the header of a control message with n octets of data to b, and
// returns where the data goes and how many octets the message takes.
func Put(b []byte, level, kind int32, n int) (data []byte, octets int) {
	h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
	h.Level, h.Type = level, kind
	h.SetLen(unix.CmsgLen(n))
	return b[headerLen:][:n], unix.CmsgSpace(n)
}
