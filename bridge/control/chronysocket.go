package control

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"
)

// ChronySocket answers chronyc on a Unix socket of datagrams, as chronyd does:
// who may use it is a matter of file permissions. chronyc makes a socket of its
// own beside it, so that the directory must be writable for it.
type ChronySocket struct {
	conn *net.UnixConn
	path string
	done chan struct{}
}

// ListenChrony answers on a path. A socket that is left over is replaced: the
// caller has the directory to himself.
func ListenChrony(path string, reports func() *ChronyReports, log hclog.Logger) (*ChronySocket, error) {
	if info, err := os.Lstat(path); err == nil && info.Mode()&os.ModeSocket != 0 {
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("chronyc's socket: %w", err)
		}
	}
	c := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var failed error
		err := raw.Control(func(fd uintptr) { failed = unix.Fchmod(int(fd), socketMode) })
		return errors.Join(err, failed)
	}}
	conn, err := c.ListenPacket(context.Background(), "unixgram", path)
	if err != nil {
		return nil, fmt.Errorf("chronyc's socket: %w", err)
	}
	s := &ChronySocket{conn: conn.(*net.UnixConn), path: path, done: make(chan struct{})}
	if err := os.Chmod(path, socketMode); err != nil { // what the umask took
		return nil, errors.Join(fmt.Errorf("chronyc's socket: %w", err), conn.Close())
	}
	go s.serve(reports, log)
	return s, nil
}

// chronyPatience is how long a reply waits for somebody who does not read.
const chronyPatience = 100 * time.Millisecond

func (s *ChronySocket) serve(reports func() *ChronyReports, log hclog.Logger) {
	defer close(s.done)
	request := make([]byte, 2048)
	for {
		n, from, err := s.conn.ReadFromUnix(request)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil || from == nil || from.Name == "" {
			continue // nobody to answer
		}
		reply := RespondChrony(reports, request[:n])
		if reply == nil {
			continue
		}
		_ = s.conn.SetWriteDeadline(time.Now().Add(chronyPatience))
		if _, err := s.conn.WriteToUnix(reply, from); err != nil {
			log.Debug("reply to chronyc not sent", "error", err)
		}
	}
}

// Close ends it and removes the socket.
func (s *ChronySocket) Close() error {
	if s == nil {
		return nil
	}
	err := s.conn.Close()
	<-s.done
	return errors.Join(err, removeSocket(s.path))
}

func removeSocket(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
