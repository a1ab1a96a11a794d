package control

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/net/netutil"
	"golang.org/x/sys/unix"
)

// Server is the local API. Access is by file permissions: the socket is for
// its owner and group.
type Server struct {
	http *http.Server
	done chan struct{}
	path string
}

// Listen serves on a Unix socket. A socket left over by a dead daemon is
// replaced; one that answers is an error.
func Listen(path string, src Sources, log hclog.Logger) (*Server, error) {
	a := newAPI(src.routes(), log)
	return listen(path, socketMode, src.Requests.Watch(ByControl, a, a.known), log)
}

// readers is how many connections of ListenReaders are served at a time.
const readers = 16

// ListenReaders serves everybody on this host on a Unix socket: what the clock,
// its sources and the counters show, and the metrics. Nothing about clients is
// told there, and nothing is done.
func ListenReaders(path string, src Sources, log hclog.Logger) (*Server, error) {
	src = Sources{Status: src.Status, ServerStats: src.ServerStats, NTS: src.NTS, Tracking: src.Tracking, Sources: src.Sources,
		SourceStats: src.SourceStats, AuthData: src.AuthData, SelectData: src.SelectData, SourceHistory: src.SourceHistory,
		Certificates: src.Certificates, Metrics: src.Metrics, Requests: src.Requests}
	open := newAPI(append(src.reports(), src.metrics()...), log)
	serve := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if t, _ := open.find(r); t == nil {
			refuse(w, statusError{ErrOwnersOnly, http.StatusForbidden, "control.socket", ""}, 0)
			return
		}
		open.ServeHTTP(w, r)
	})
	return listen(path, 0o666, src.Requests.Watch(ByReaders, serve, open.known), log)
}

// ErrOwnersOnly says that everybody may read, and what somebody asked for is
// not for everybody.
var ErrOwnersOnly = errors.New("this is for the owner and the group of the control socket: be one of them (as root, or in the daemon's group)")

func listen(path string, mode uint32, serve http.Handler, log hclog.Logger) (*Server, error) {
	if c, err := net.Dial("unix", path); err == nil {
		c.Close()
		return nil, fmt.Errorf("control socket %s: another ntsbridge answers on it; stop it, or give this one its own --run-dir", path)
	}
	if info, err := os.Lstat(path); err == nil && info.Mode()&os.ModeSocket != 0 {
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("control socket: %w", err)
		}
	}
	l, err := listenUnix(path, mode)
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	if mode != socketMode {
		l = netutil.LimitListener(l, readers)
	}
	s := &Server{http: &http.Server{Handler: serve, ConnContext: withAsker, ReadTimeout: 5 * time.Second,
		WriteTimeout:   5 * time.Second,
		MaxHeaderBytes: 16 << 10}, done: make(chan struct{}), path: path}
	go func() {
		defer close(s.done)
		if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			log.Error("control socket closed", "error", err)
		}
	}()
	return s, nil
}

// socketMode is for the owner and the group.
const socketMode = 0o660

// listenUnix makes a socket that has its mode from the first moment: the kernel
// gives it that of the descriptor, less the umask, which is put right.
func listenUnix(path string, mode uint32) (net.Listener, error) {
	c := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var failed error
		err := raw.Control(func(fd uintptr) { failed = unix.Fchmod(int(fd), mode) })
		return errors.Join(err, failed)
	}}
	l, err := c.Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, err
	}
	info, err := os.Lstat(path)
	switch {
	case err != nil:
	case uint32(info.Mode().Perm())&^mode != 0:
		err = fmt.Errorf("%s was made with mode %v", path, info.Mode())
	default:
		err = os.Chmod(path, os.FileMode(mode))
	}
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// Close stops the API and removes the socket.
func (s *Server) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	err := s.http.Shutdown(ctx)
	<-s.done
	return err
}
