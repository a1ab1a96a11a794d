//go:build linux

// Package mmsg receives and sends batches of datagrams with recvmmsg(2) and
// sendmmsg(2) on a non-blocking socket, without allocating.
//
// The system calls are made raw: the Go scheduler does not hear of them, which
// saves about half a microsecond each. A raw call must therefore never block;
// every call here carries MSG_DONTWAIT, and waiting is the caller's business.
//
// The package is for the load generator and its echo responder. It knows
// nothing of NTP.
package mmsg

import (
	"encoding/binary"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ControlLen is the room for control messages of one datagram, octets: a
// timespec and an IPv6 packet info, each with its header.
const ControlLen = 96

// Batch is a fixed number of datagram slots, each with its own buffer, peer
// address and control messages. It belongs to one goroutine.
type Batch struct {
	hdrs     []unix.Mmsghdr
	iovs     []unix.Iovec
	names    []unix.RawSockaddrInet6 // large enough for IPv4 too
	controls []byte
	buffers  []byte
	size     int
	named    bool
	control  bool
	poll     unix.PollFd
	wait     unix.Timespec
}

// New returns a batch of n slots of size octets. named batches carry peer
// addresses (unconnected sockets), control ones control messages.
func New(n, size int, named, control bool) *Batch {
	b := &Batch{
		hdrs:     make([]unix.Mmsghdr, n),
		iovs:     make([]unix.Iovec, n),
		names:    make([]unix.RawSockaddrInet6, n),
		controls: make([]byte, n*ControlLen),
		buffers:  make([]byte, n*size),
		size:     size,
		named:    named,
		control:  control,
	}
	for i := range b.hdrs {
		b.iovs[i].Base = &b.buffers[i*size]
		b.hdrs[i].Hdr.Iov = &b.iovs[i]
		b.hdrs[i].Hdr.SetIovlen(1)
		if named {
			b.hdrs[i].Hdr.Name = (*byte)(unsafe.Pointer(&b.names[i]))
		}
	}
	return b
}

// Len returns the number of slots.
func (b *Batch) Len() int { return len(b.hdrs) }

// Buffer returns the whole buffer of slot i.
func (b *Batch) Buffer(i int) []byte { return b.buffers[i*b.size : (i+1)*b.size] }

// Packet returns the octets received into slot i, or set for sending.
func (b *Batch) Packet(i int) []byte { return b.Buffer(i)[:b.iovs[i].Len] }

// SetLen sets how many octets of slot i are sent.
func (b *Batch) SetLen(i, n int) { b.iovs[i].SetLen(n) }

// Recv receives up to n datagrams (at most Len) without waiting and returns
// how many came. EAGAIN means none; the batch's lengths then are undefined.
func (b *Batch) Recv(fd, n int) (int, syscall.Errno) {
	b.prepare(n)
	r, _, e := syscall.RawSyscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&b.hdrs[0])),
		uintptr(n), unix.MSG_DONTWAIT, 0, 0)
	if e != 0 {
		return 0, e
	}
	b.received(int(r))
	return int(r), 0
}

// RecvWait is Recv that waits in the kernel for the first datagram, through
// the scheduler, so that a collector need not wait for this thread.
func (b *Batch) RecvWait(fd, n int) (int, syscall.Errno) {
	b.prepare(n)
	r, _, e := syscall.Syscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&b.hdrs[0])),
		uintptr(n), unix.MSG_WAITFORONE, 0, 0)
	if e != 0 {
		return 0, e
	}
	b.received(int(r))
	return int(r), 0
}

// prepare resets the first n slots for receiving.
func (b *Batch) prepare(n int) {
	for i := range n {
		h := &b.hdrs[i].Hdr
		b.iovs[i].SetLen(b.size)
		if b.named {
			h.Namelen = unix.SizeofSockaddrInet6
		}
		if b.control {
			h.Control = &b.controls[i*ControlLen]
			h.SetControllen(ControlLen)
		}
	}
}

// received takes over the lengths of the first n slots from the kernel.
func (b *Batch) received(n int) {
	for i := range n {
		b.iovs[i].SetLen(int(b.hdrs[i].Len))
	}
}

// Send sends slots first to last-1 without waiting and returns how many went.
func (b *Batch) Send(fd, first, last int) (int, syscall.Errno) {
	if first >= last {
		return 0, 0
	}
	r, _, e := syscall.RawSyscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&b.hdrs[first])),
		uintptr(last-first), unix.MSG_DONTWAIT, 0, 0)
	if e != 0 {
		return 0, e
	}
	return int(r), 0
}

// DropControl makes slot i be sent without control messages.
func (b *Batch) DropControl(i int) {
	b.hdrs[i].Hdr.Control = nil
	b.hdrs[i].Hdr.SetControllen(0)
}

// Stamp returns the kernel's receive time of slot i (SO_TIMESTAMPNS), Unix
// seconds and nanoseconds, and the packet info found, for SetPacketInfo. ok is false if there was no timestamp.
func (b *Batch) Stamp(i int) (sec, nsec int64, info PacketInfo, ok bool) {
	h := &b.hdrs[i].Hdr
	c := b.controls[i*ControlLen:][:min(int(h.Controllen), ControlLen)]
	for len(c) >= unix.SizeofCmsghdr {
		n := int(binary.NativeEndian.Uint64(c))
		if n < unix.SizeofCmsghdr || n > len(c) {
			break
		}
		level := int32(binary.NativeEndian.Uint32(c[8:]))
		kind := int32(binary.NativeEndian.Uint32(c[12:]))
		body := c[unix.SizeofCmsghdr:n]
		switch {
		case level == unix.SOL_SOCKET && kind == unix.SO_TIMESTAMPNS && len(body) >= 16:
			sec = int64(binary.NativeEndian.Uint64(body))
			nsec = int64(binary.NativeEndian.Uint64(body[8:]))
			ok = true
		case level == unix.IPPROTO_IP && kind == unix.IP_PKTINFO && len(body) >= 12:
			copy(info.v4[:], body[8:12])
			info.is4 = true
		}
		c = c[min((n+7)&^7, len(c)):]
	}
	return sec, nsec, info, ok
}

// PacketInfo is the local address that a datagram was sent to.
type PacketInfo struct {
	v4  [4]byte
	is4 bool
}

// SetPacketInfo makes slot i leave from the address of info (IPv4).
func (b *Batch) SetPacketInfo(i int, info PacketInfo) {
	if !info.is4 {
		b.DropControl(i)
		return
	}
	c := b.controls[i*ControlLen:]
	binary.NativeEndian.PutUint64(c, unix.SizeofCmsghdr+12)
	binary.NativeEndian.PutUint32(c[8:], unix.IPPROTO_IP)
	binary.NativeEndian.PutUint32(c[12:], unix.IP_PKTINFO)
	clear(c[16:32])
	copy(c[20:24], info.v4[:]) // ipi_spec_dst
	h := &b.hdrs[i].Hdr
	h.Control = &c[0]
	h.SetControllen(32)
}

// SendWait is Send through the scheduler, waiting for room.
func (b *Batch) SendWait(fd, first, last int) (int, syscall.Errno) {
	r, _, e := syscall.Syscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&b.hdrs[first])),
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
