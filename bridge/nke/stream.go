package nke

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// stream is a TCP connection that is cheap to serve. Its calls never block, so
// they go past the scheduler's account of threads that may do so, which wakes
// the runtime's monitor each time; and what is written can be held back, so
// that response and goodbye leave in one segment. One goroutine at a time reads
// or writes; any may close.
type stream struct {
	file *os.File
	raw  syscall.RawConn
	peer netip.AddrPort
	held []byte // written and not sent yet
	hold bool

	// Of the call that is being made.
	buf   []byte
	n     int
	errno syscall.Errno
	read  func(fd uintptr) bool
	write func(fd uintptr) bool
}

// newStream makes a stream of a connection that does not block.
func newStream(fd int, peer netip.AddrPort) (*stream, error) {
	s := &stream{file: os.NewFile(uintptr(fd), "NTS-KE"), peer: peer}
	var err error
	if s.raw, err = s.file.SyscallConn(); err != nil {
		_ = s.file.Close()
		return nil, err
	}
	s.read = func(fd uintptr) bool { return s.call(syscall.SYS_READ, fd) }
	s.write = func(fd uintptr) bool { return s.call(syscall.SYS_WRITE, fd) }
	return s, nil
}

// call makes a system call on buf; false: it is to be made again when the
// connection is ready.
func (s *stream) call(number, fd uintptr) bool {
	for {
		n, _, errno := syscall.RawSyscall(number, fd, uintptr(unsafe.Pointer(&s.buf[0])), uintptr(len(s.buf)))
		switch errno {
		case syscall.EINTR:
		case syscall.EAGAIN:
			return false
		default:
			s.n, s.errno = int(n), errno
			return true
		}
	}
}

// do makes a call, and waits as long as the deadline allows.
func (s *stream) do(op string, wait func(func(uintptr) bool) error, call func(uintptr) bool, p []byte) (int, error) {
	s.buf = p
	defer func() { s.buf = nil }()
	if err := wait(call); isTimeout(err) {
		return 0, err
	} else if err != nil { // which has no name outside the runtime's poller
		return 0, os.ErrClosed
	}
	if s.errno != 0 {
		return 0, &net.OpError{Op: op, Net: "tcp", Addr: s.RemoteAddr(), Err: s.errno}
	}
	return s.n, nil
}

// Read implements net.Conn.
func (s *stream) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, err := s.do("read", s.raw.Read, s.read, p)
	if err == nil && n == 0 {
		return 0, io.EOF
	}
	return n, err
}

// Write implements net.Conn.
func (s *stream) Write(p []byte) (int, error) {
	if s.hold {
		s.held = append(s.held, p...)
		return len(p), nil
	}
	for sent := 0; sent < len(p); {
		n, err := s.do("write", s.raw.Write, s.write, p[sent:])
		if err != nil {
			return sent, err
		}
		sent += n
	}
	return len(p), nil
}

// flush sends what was held back, and holds back no more.
func (s *stream) flush() error {
	s.hold = false
	_, err := s.Write(s.held)
	s.held = nil
	return err
}

// Close implements net.Conn.
func (s *stream) Close() error { return s.file.Close() }

// end says that nothing more is sent or read. Close must follow, at leisure.
func (s *stream) end() {
	_ = s.raw.Control(func(fd uintptr) { _, _, _ = syscall.RawSyscall(syscall.SYS_SHUTDOWN, fd, syscall.SHUT_RDWR, 0) })
}

// LocalAddr implements net.Conn: who asks for no name gets the certificate of
// the address.
func (s *stream) LocalAddr() net.Addr {
	var local unix.RawSockaddrAny
	err := s.raw.Control(func(fd uintptr) {
		size := uint32(unix.SizeofSockaddrAny)
		_, _, _ = syscall.RawSyscall(unix.SYS_GETSOCKNAME, fd, uintptr(unsafe.Pointer(&local)), uintptr(unsafe.Pointer(&size)))
	})
	if err != nil {
		return nil
	}
	return net.TCPAddrFromAddrPort(addrPortOf(&local))
}

// RemoteAddr implements net.Conn.
func (s *stream) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(s.peer) }

// SetDeadline implements net.Conn.
func (s *stream) SetDeadline(t time.Time) error { return s.file.SetDeadline(t) }

// SetReadDeadline implements net.Conn.
func (s *stream) SetReadDeadline(t time.Time) error { return s.file.SetReadDeadline(t) }

// SetWriteDeadline does nothing: SetDeadline is for both ways, and crypto/tls
// would end the time for writing with its goodbye, which may be held back.
func (s *stream) SetWriteDeadline(time.Time) error { return nil }

func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
