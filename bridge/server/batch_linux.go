package server

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// maxPacket is the longest request that is read: header, the longest Autokey
// extension field and its MAC are 2120 octets. A longer one is cut off by the
// kernel and dropped as malformed.
const maxPacket = 2176

// mmsghdr is struct mmsghdr of sendmmsg(2) on 64-bit systems.
type mmsghdr struct {
	hdr unix.Msghdr
	len uint32
	_   [4]byte
}

// batch is the memory of one worker: requests and answers at the same index.
// The kernel holds pointers into it only during a call.
type batch struct {
	size     int
	in, out  []mmsghdr
	inVec    []unix.Iovec
	outVec   []unix.Iovec
	names    []rawAddr
	control  []byte
	outCtl   []byte
	requests []byte
	answers  []byte
	outSlot  []int // which slot an outgoing message answers
}

func newBatch(size int) *batch {
	b := &batch{
		size: size,
		in:   make([]mmsghdr, size), out: make([]mmsghdr, size),
		inVec: make([]unix.Iovec, size), outVec: make([]unix.Iovec, size),
		names:   make([]rawAddr, size),
		control: make([]byte, size*controlLen), outCtl: make([]byte, size*controlLen),
		requests: make([]byte, size*maxPacket), answers: make([]byte, size*maxPacket),
		outSlot: make([]int, size),
	}
	for i := range size {
		b.inVec[i].Base = &b.requests[i*maxPacket]
		b.inVec[i].SetLen(maxPacket)
		h := &b.in[i].hdr
		h.Name, h.Iov, h.Control = (*byte)(unsafe.Pointer(&b.names[i])), &b.inVec[i], &b.control[i*controlLen]
		h.SetIovlen(1)
		b.out[i].hdr.Iov = &b.outVec[i]
		b.out[i].hdr.SetIovlen(1)
	}
	return b
}

func (b *batch) request(i int) []byte { return b.requests[i*maxPacket:][:b.in[i].len] }
func (b *batch) answer(i int) []byte  { return b.answers[i*maxPacket:][:maxPacket] }
func (b *batch) ancillary(i int) []byte {
	return b.control[i*controlLen:][:min(uint64(b.in[i].hdr.Controllen), controlLen)]
}

// receive reads up to a batch without blocking. It goes around the scheduler
// (RawSyscall): a call that cannot block need not tell it.
func (b *batch) receive(fd int, flags uintptr) (int, syscall.Errno) {
	for i := range b.in {
		b.in[i].hdr.Namelen = unix.SizeofSockaddrInet6
		b.in[i].hdr.SetControllen(controlLen)
	}
	n, _, errno := syscall.RawSyscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&b.in[0])),
		uintptr(b.size), unix.MSG_DONTWAIT|flags, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}

// sendFrom writes the outgoing messages from first to before end without
// blocking and returns how many the kernel took.
func (b *batch) sendFrom(fd, first, end int) (int, syscall.Errno) {
	sent, _, errno := syscall.RawSyscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&b.out[first])),
		uintptr(end-first), unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(sent), 0
}

// queue makes outgoing message j the answer in slot i of length n, to where
// the request came from.
func (b *batch) queue(j, i, n int) *unix.Msghdr {
	b.outSlot[j] = i
	b.outVec[j].Base = &b.answers[i*maxPacket]
	b.outVec[j].SetLen(n)
	h := &b.out[j].hdr
	h.Name, h.Namelen = b.in[i].hdr.Name, b.in[i].hdr.Namelen
	h.Control = nil
	h.SetControllen(0)
	return h
}

// attach gives outgoing message j the n octets of control messages that were
// written to its room.
func (b *batch) attach(j, n int) {
	if n > 0 {
		b.out[j].hdr.Control = &b.outCtl[j*controlLen]
		b.out[j].hdr.SetControllen(n)
	}
}
