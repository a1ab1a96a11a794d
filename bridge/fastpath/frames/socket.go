package frames

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Of the memory that a socket shares with the kernel.
const (
	frameLen = 2048
	ringLen  = 2048
	frames   = 2 * ringLen // the first half is for requests, the rest for answers
	stampLen = 8           // in front of a request
)

// ring is one of the four rings of a socket. This program is at one end of it,
// and only its own goroutine.
type ring struct {
	producer, consumer, flags *uint32
	next                      uint32 // of this end
	addrs                     []uint64
	descs                     []unix.XDPDesc
}

// waiting is how many entries the kernel has put into a ring.
func (r *ring) waiting() uint32 { return atomic.LoadUint32(r.producer) - r.next }

// consumed gives the kernel the entries back that were taken.
func (r *ring) consumed() { atomic.StoreUint32(r.consumer, r.next) }

// produced gives the kernel the entries that were put.
func (r *ring) produced() { atomic.StoreUint32(r.producer, r.next) }

func (r *ring) wantsWakeup() bool { return atomic.LoadUint32(r.flags)&unix.XDP_RING_NEED_WAKEUP != 0 }

// Socket is an AF_XDP socket of one queue of an interface. It belongs to one
// goroutine, but for Interrupt.
type Socket struct {
	fd                     int
	file                   *os.File
	conn                   syscall.RawConn
	memory                 []byte
	mapped                 [][]byte // rings; the kernel keeps the socket while they are
	fill, complete, rx, tx ring
	free                   []uint64       // frames for answers
	batch                  []unix.XDPDesc // requests that were received last
}

// Open makes a socket for a queue of an interface. It takes CAP_NET_RAW.
func Open(ifindex, queue int) (*Socket, error) {
	fd, err := unix.Socket(unix.AF_XDP, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if errors.Is(err, unix.EPERM) {
		return nil, fmt.Errorf("AF_XDP: %w: it takes CAP_NET_RAW", err)
	}
	if err != nil {
		return nil, fmt.Errorf("AF_XDP: %w", err)
	}
	s := &Socket{fd: fd, file: os.NewFile(uintptr(fd), "AF_XDP")}
	if err := errors.Join(s.share(), s.bind(ifindex, queue)); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// share makes memory and rings.
func (s *Socket) share() (err error) {
	if s.memory, err = unix.Mmap(-1, 0, frameLen*frames, unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_POPULATE); err != nil {
		return fmt.Errorf("AF_XDP: memory: %w", err)
	}
	reg := unix.XDPUmemReg{Addr: uint64(uintptr(unsafe.Pointer(&s.memory[0]))), Len: uint64(len(s.memory)), Size: frameLen}
	if err := s.set(unix.XDP_UMEM_REG, unsafe.Pointer(&reg), unsafe.Sizeof(reg)); err != nil {
		return err
	}
	n := uint32(ringLen)
	for _, name := range []int{unix.XDP_UMEM_FILL_RING, unix.XDP_UMEM_COMPLETION_RING, unix.XDP_RX_RING, unix.XDP_TX_RING} {
		if err := s.set(name, unsafe.Pointer(&n), unsafe.Sizeof(n)); err != nil {
			return err
		}
	}
	if err := s.mapRings(); err != nil {
		return err
	}
	for i := range uint64(ringLen) {
		s.fill.addrs[i] = i * frameLen
		s.free = append(s.free, (ringLen+i)*frameLen)
	}
	s.fill.next = ringLen
	s.fill.produced()
	return nil
}

func (s *Socket) set(name int, value unsafe.Pointer, size uintptr) error {
	if _, _, e := unix.Syscall6(unix.SYS_SETSOCKOPT, uintptr(s.fd), unix.SOL_XDP, uintptr(name), uintptr(value), size, 0); e != 0 {
		return fmt.Errorf("AF_XDP: option %d: %w", name, e)
	}
	return nil
}

func (s *Socket) mapRings() error {
	var at unix.XDPMmapOffsets
	size := uint32(unsafe.Sizeof(at))
	if _, _, e := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(s.fd), unix.SOL_XDP, unix.XDP_MMAP_OFFSETS,
		uintptr(unsafe.Pointer(&at)), uintptr(unsafe.Pointer(&size)), 0); e != 0 {
		return fmt.Errorf("AF_XDP: offsets: %w", e)
	}
	for _, r := range []struct {
		ring *ring
		at   unix.XDPRingOffset
		page int64
	}{{&s.fill, at.Fr, unix.XDP_UMEM_PGOFF_FILL_RING}, {&s.complete, at.Cr, unix.XDP_UMEM_PGOFF_COMPLETION_RING},
		{&s.rx, at.Rx, unix.XDP_PGOFF_RX_RING}, {&s.tx, at.Tx, unix.XDP_PGOFF_TX_RING}} {
		size := unsafe.Sizeof(uint64(0))
		if r.ring == &s.rx || r.ring == &s.tx {
			size = unsafe.Sizeof(unix.XDPDesc{})
		}
		m, err := unix.Mmap(s.fd, r.page, int(r.at.Desc)+ringLen*int(size), unix.PROT_READ|unix.PROT_WRITE,
			unix.MAP_SHARED|unix.MAP_POPULATE)
		if err != nil {
			return fmt.Errorf("AF_XDP: ring: %w", err)
		}
		s.mapped = append(s.mapped, m)
		word := func(offset uint64) *uint32 { return (*uint32)(unsafe.Pointer(&m[offset])) }
		r.ring.producer, r.ring.consumer, r.ring.flags = word(r.at.Producer), word(r.at.Consumer), word(r.at.Flags)
		if size == 8 {
			r.ring.addrs = unsafe.Slice((*uint64)(unsafe.Pointer(&m[r.at.Desc])), ringLen)
		} else {
			r.ring.descs = unsafe.Slice((*unix.XDPDesc)(unsafe.Pointer(&m[r.at.Desc])), ringLen)
		}
	}
	return nil
}

// bind waits for a socket of ours that is still going, and no longer.
func (s *Socket) bind(ifindex, queue int) (err error) {
	_ = unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, 8<<20)
	address := &unix.SockaddrXDP{Flags: unix.XDP_USE_NEED_WAKEUP, Ifindex: uint32(ifindex), QueueID: uint32(queue)}
	for range 100 {
		if err = unix.Bind(s.fd, address); !errors.Is(err, unix.EBUSY) {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if err != nil {
		return fmt.Errorf("AF_XDP: queue %d: %w", queue, err)
	}
	s.conn, err = s.file.SyscallConn()
	return err
}

// FD is the socket for a map of them.
func (s *Socket) FD() int { return s.fd }

// Wait calls f whenever there may be requests, until it returns true or
// Interrupt is called.
func (s *Socket) Wait(f func() bool) { _ = s.conn.Read(func(uintptr) bool { return f() }) }

// Interrupt makes Wait return, now and later. Any goroutine may call it.
func (s *Socket) Interrupt() { _ = s.file.SetReadDeadline(time.Unix(1, 0)) }

// Close gives everything back.
func (s *Socket) Close() {
	for _, m := range s.mapped {
		_ = unix.Munmap(m)
	}
	s.mapped = nil
	s.file.Close()
	if s.memory != nil {
		_ = unix.Munmap(s.memory)
		s.memory = nil
	}
}

// Receive takes up to n requests and returns how many there are. They are
// there until Flush.
func (s *Socket) Receive(n int) int {
	n = min(n, int(s.rx.waiting()))
	s.batch = s.batch[:0]
	for range n {
		s.batch = append(s.batch, s.rx.descs[s.rx.next%ringLen])
		s.rx.next++
	}
	s.rx.consumed()
	s.reclaim()
	return n
}

// reclaim takes back the frames of answers that have gone.
func (s *Socket) reclaim() {
	for range s.complete.waiting() {
		s.free = append(s.free, s.complete.addrs[s.complete.next%ringLen]) // there is room for all
		s.complete.next++
	}
	s.complete.consumed()
}

// Frame is a request, and what the program of XDP has put in front of it: when
// it arrived, system clock in ns since 1970; 0: it does not know.
func (s *Socket) Frame(i int) (frame []byte, stamp int64) {
	d := s.batch[i]
	if d.Addr < stampLen || d.Addr+uint64(d.Len) > uint64(len(s.memory)) {
		return nil, 0
	}
	return s.memory[d.Addr:][:d.Len:d.Len], int64(binary.NativeEndian.Uint64(s.memory[d.Addr-stampLen:]))
}

// Room is where the next answer goes; nil: there is none.
func (s *Socket) Room() []byte {
	if len(s.free) == 0 {
		return nil
	}
	return s.memory[s.free[len(s.free)-1]:][:frameLen:frameLen]
}

// Send puts the frame of n octets in Room on its way; Flush sends it.
func (s *Socket) Send(n int) {
	last := len(s.free) - 1
	s.tx.descs[s.tx.next%ringLen] = unix.XDPDesc{Addr: s.free[last], Len: uint32(n)}
	s.free = s.free[:last]
	s.tx.next++
}

// The kernel may have no room for answers for a moment: the other end of a veth
// may need this processor to take them.
const (
	sendTries = 50
	sendPause = 20 * time.Microsecond
)

// Flush gives the frames of the last requests back and sends the answers. It
// returns false if the kernel has not taken all: the next Flush tries again.
func (s *Socket) Flush() bool {
	for _, d := range s.batch {
		s.fill.addrs[s.fill.next%ringLen] = d.Addr / frameLen * frameLen
		s.fill.next++
	}
	s.batch = s.batch[:0]
	s.fill.produced()
	if s.fill.wantsWakeup() {
		_, _, _ = syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(s.fd), 0, 0, unix.MSG_DONTWAIT, 0, 0)
	}
	s.tx.produced()
	for tries := 0; s.tx.wantsWakeup() && atomic.LoadUint32(s.tx.consumer) != s.tx.next; tries++ {
		if _, _, e := syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(s.fd), 0, 0, unix.MSG_DONTWAIT, 0, 0); e == 0 {
			continue
		}
		if tries >= sendTries {
			return false
		}
		time.Sleep(sendPause)
	}
	return true
}
