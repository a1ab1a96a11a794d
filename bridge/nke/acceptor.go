package nke

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// acceptor takes connections from a listening socket, as stream does, by calls
// that go past the scheduler.
type acceptor struct {
	*net.TCPListener
	file *os.File // the same socket again, by which connections are taken
	raw  syscall.RawConn

	// Of the call that is being made.
	peer   unix.RawSockaddrAny
	fd     int
	errno  syscall.Errno
	accept func(fd uintptr) bool
}

// deferSeconds is how long the kernel keeps a connection to itself that says
// nothing. A client says hello at once: so it costs one wake-up less.
const deferSeconds = 1

func newAcceptor(l *net.TCPListener) (*acceptor, error) {
	file, err := l.File()
	if err != nil {
		return nil, err
	}
	a := &acceptor{TCPListener: l, file: file}
	if a.raw, err = file.SyscallConn(); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	a.accept = a.call
	// Connections inherit these. Each is a matter of speed alone.
	_ = a.raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, deferSeconds)
	})
	return a, nil
}

// Close ends the listening socket.
func (a *acceptor) Close() error { return errors.Join(a.file.Close(), a.TCPListener.Close()) }

func (a *acceptor) call(fd uintptr) bool {
	for {
		size := uint32(unix.SizeofSockaddrAny)
		n, _, errno := syscall.RawSyscall6(unix.SYS_ACCEPT4, fd, uintptr(unsafe.Pointer(&a.peer)), uintptr(unsafe.Pointer(&size)),
			unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
		switch errno {
		case syscall.EINTR, syscall.ECONNABORTED:
		case syscall.EAGAIN:
			return false
		default:
			a.fd, a.errno = int(n), errno
			return true
		}
	}
}

// next waits for a connection.
func (a *acceptor) next() (*stream, error) {
	if err := a.raw.Read(a.accept); err != nil {
		return nil, err
	}
	if a.errno != 0 {
		return nil, os.NewSyscallError("accept4", a.errno)
	}
	return newStream(a.fd, addrPortOf(&a.peer))
}

// addrPortOf reads an address of the kernel.
func addrPortOf(raw *unix.RawSockaddrAny) netip.AddrPort {
	switch raw.Addr.Family {
	case unix.AF_INET:
		in := (*unix.RawSockaddrInet4)(unsafe.Pointer(raw))
		return netip.AddrPortFrom(netip.AddrFrom4(in.Addr), ntohs(in.Port))
	case unix.AF_INET6:
		in := (*unix.RawSockaddrInet6)(unsafe.Pointer(raw))
		addr := netip.AddrFrom16(in.Addr).Unmap()
		if in.Scope_id != 0 {
			addr = addr.WithZone(zoneOf(in.Scope_id))
		}
		return netip.AddrPortFrom(addr, ntohs(in.Port))
	}
	return netip.AddrPort{}
}

func ntohs(port uint16) uint16 {
	var b [2]byte
	binary.NativeEndian.PutUint16(b[:], port)
	return binary.BigEndian.Uint16(b[:])
}

// zoneOf is the name of an interface, as the net package writes it.
func zoneOf(index uint32) string {
	if i, err := net.InterfaceByIndex(int(index)); err == nil {
		return i.Name
	}
	return strconv.FormatUint(uint64(index), 10)
}
