package refclock

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// sockDriver receives from a Unix datagram socket.
type sockDriver struct {
	path string

	opened bool
	fd     int
	file   fs.FileInfo // of the socket at path
	reads  int
	buffer [sockLen + 1]byte
}

// maxDatagrams is how many datagrams one read takes. Who sends more waits.
const maxDatagrams = 64

func (d *sockDriver) open() error {
	if err := clearPath(d.path); err != nil {
		return fmt.Errorf("socket %s: %w", d.path, err)
	}
	fd, err := listenPrivately(d.path)
	if err != nil {
		return fmt.Errorf("socket %s: %w", d.path, err)
	}
	info, err := os.Lstat(d.path)
	if err != nil {
		_ = unix.Close(fd)
		return err
	}
	d.fd, d.file, d.reads, d.opened = fd, info, 0, true
	return nil
}

// clearPath removes a socket that nobody listens to any more, and refuses to
// remove anything else.
func clearPath(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return errors.New("there is something that is not a socket; remove it, or choose another path")
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	switch err = unix.Connect(fd, &unix.SockaddrUnix{Name: path}); {
	case err == nil, errors.Is(err, unix.EPROTOTYPE):
		return errors.New("another program listens there; stop it (chronyd?), or choose another path")
	case errors.Is(err, unix.ECONNREFUSED):
		return os.Remove(path)
	}
	return err
}

// listenPrivately makes the socket, open to its owner only. The mode is set
// before the name exists: to set it afterwards would leave a gap, and the
// umask belongs to all threads.
func listenPrivately(path string) (fd int, err error) {
	fd, err = unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, err
	}
	if err = unix.Fchmod(fd, 0o600); err == nil {
		err = unix.Bind(fd, &unix.SockaddrUnix{Name: path})
	}
	if err != nil {
		_ = unix.Close(fd)
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%w: make its directory first", err)
		}
		return -1, err
	}
	return fd, nil
}

func (d *sockDriver) read(dst []stamp) ([]stamp, error) {
	if d.reads++; d.reads%audit == 0 {
		if info, err := os.Lstat(d.path); err != nil || !os.SameFile(info, d.file) {
			return dst, fmt.Errorf("socket %s: %w", d.path, errGone)
		}
	}
	for range maxDatagrams {
		// One octet more than any sample has, and the true length.
		n, _, err := unix.Recvfrom(d.fd, d.buffer[:], unix.MSG_DONTWAIT|unix.MSG_TRUNC)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			return dst, nil
		case err != nil:
			return dst, fmt.Errorf("socket %s: %w", d.path, err)
		}
		dst = append(dst, decodeSock(d.buffer[:min(n, len(d.buffer))]))
	}
	return dst, nil
}

func (d *sockDriver) close() {
	if !d.opened {
		return
	}
	d.opened = false
	if info, err := os.Lstat(d.path); err == nil && os.SameFile(info, d.file) {
		_ = os.Remove(d.path) // what stays is removed at the next start
	}
	_ = unix.Close(d.fd)
}
