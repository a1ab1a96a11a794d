package control

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"
)

// ChronySockets answer chronyc: on a Unix socket of datagrams, whose users may
// do everything, so that who may use it is a matter of file permissions; and on
// UDP, where little may be asked, by those whom Chrony.MayAsk allows. chronyc
// makes a socket of its own beside the first, so that the directory must be
// writable for it.
type ChronySockets struct {
	answers *Chrony
	log     hclog.Logger
	local   *net.UnixConn // nil: none
	path    string
	udp     []*net.UDPConn
	running sync.WaitGroup
}

// ListenChrony answers on a path, unless it is empty, and on UDP addresses. A
// socket that is left over is replaced; where somebody answers, such as a
// chronyd, it is an error. What can be answered is, whatever the error.
func ListenChrony(path string, addresses []netip.AddrPort, answers *Chrony, log hclog.Logger) (*ChronySockets, error) {
	s := &ChronySockets{answers: answers, log: log, path: path}
	var errs []error
	if path != "" {
		var err error
		if s.local, err = listenLocal(path); err != nil {
			errs = append(errs, fmt.Errorf("chronyc.socket: %w", err))
		} else {
			s.running.Go(s.serveLocal)
		}
	}
	for i, a := range addresses {
		network := "udp4"
		if a.Addr().Is6() {
			network = "udp6"
		}
		conn, err := net.ListenUDP(network, net.UDPAddrFromAddrPort(a))
		if err != nil {
			errs = append(errs, fmt.Errorf("chronyc.listen[%d]: %w", i, err))
			continue
		}
		s.udp = append(s.udp, conn)
		s.running.Go(func() { s.serveUDP(conn) })
	}
	return s, errors.Join(errs...)
}

// listenLocal makes the Unix socket.
func listenLocal(path string) (*net.UnixConn, error) {
	if info, err := os.Lstat(path); err == nil && info.Mode()&os.ModeSocket != 0 {
		c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
		if err == nil {
			c.Close()
			return nil, fmt.Errorf("a program answers on %s already: stop it, or choose another path", path)
		}
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	c := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var failed error
		err := raw.Control(func(fd uintptr) {
			failed = errors.Join(unix.Fchmod(int(fd), socketMode), unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PASSCRED, 1))
		})
		return errors.Join(err, failed)
	}}
	conn, err := c.ListenPacket(context.Background(), "unixgram", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, socketMode); err != nil { // what the umask took
		return nil, errors.Join(err, conn.Close())
	}
	return conn.(*net.UnixConn), nil
}

// chronyPatience is how long a reply waits for somebody who does not read.
const chronyPatience = 100 * time.Millisecond

// chronyBuffer is longer than any request that is answered.
const chronyBuffer = 2048

func (s *ChronySockets) serveLocal() {
	request, ancillary := make([]byte, chronyBuffer), make([]byte, unix.CmsgSpace(unix.SizeofUcred))
	for {
		n, more, _, from, err := s.local.ReadMsgUnix(request, ancillary)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil || from == nil || from.Name == "" {
			continue // nobody to answer
		}
		s.answers.Received.Add(1)
		reply := s.answers.respond(request[:n], true, sender(ancillary[:more]))
		if reply == nil {
			continue
		}
		_ = s.local.SetWriteDeadline(time.Now().Add(chronyPatience))
		if _, err := s.local.WriteToUnix(reply, from); err != nil {
			s.log.Debug("reply to chronyc not sent", "error", err)
		}
	}
}

// sender returns who sent a packet, as text for the log.
func sender(ancillary []byte) string {
	messages, err := unix.ParseSocketControlMessage(ancillary)
	if err == nil {
		for i := range messages {
			if who, err := unix.ParseUnixCredentials(&messages[i]); err == nil {
				return fmt.Sprintf("user %d, process %d", who.Uid, who.Pid)
			}
		}
	}
	return "unknown"
}

func (s *ChronySockets) serveUDP(conn *net.UDPConn) {
	request := make([]byte, chronyBuffer)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(request)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		s.answers.Received.Add(1)
		if s.answers.MayAsk == nil || !s.answers.MayAsk(from.Addr().Unmap()) {
			s.answers.Dropped.Add(1)
			continue
		}
		if reply := s.answers.Respond(request[:n], false); reply != nil {
			_, _ = conn.WriteToUDPAddrPort(reply, from)
		}
	}
}

// Addresses returns the UDP addresses that are answered on.
func (s *ChronySockets) Addresses() (list []netip.AddrPort) {
	for _, c := range s.udp {
		list = append(list, c.LocalAddr().(*net.UDPAddr).AddrPort())
	}
	return list
}

// Close ends it and removes the socket.
func (s *ChronySockets) Close() error {
	if s == nil {
		return nil
	}
	var errs []error
	for _, c := range s.udp {
		errs = append(errs, c.Close())
	}
	if s.local != nil {
		errs = append(errs, s.local.Close())
	}
	s.running.Wait()
	if s.local != nil {
		errs = append(errs, removeSocket(s.path))
	}
	return errors.Join(errs...)
}

func removeSocket(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
