package process

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"

	"ntsbridge/bridge/clock"
	"ntsbridge/bridge/clock/timebase"
)

// Server does what clients ask for, and nothing else ever.
type Server struct {
	// Open returns the clock, or why it may not be set: usually
	// clock.OpenSystem. It is called when somebody begins to steer.
	Open func() (clock.System, error)
	// Look returns who else steers the clock: usually clock.OtherDaemon.
	Look func() error
	User int // number of the user who may ask, beside root
	Log  hclog.Logger

	mu     sync.Mutex // one request at a time
	holder *client    // who steers; nil: nobody
	system clock.System
}

// client is one who asks.
type client struct {
	conn *net.UnixConn
	pid  int32
	uid  uint32
}

// mostClients is how many are heard at a time.
const mostClients = 16

// Serve answers on a listening socket until the context ends, and closes it.
func (s *Server) Serve(ctx context.Context, l *net.UnixListener) error {
	defer context.AfterFunc(ctx, func() { _ = l.Close() })()
	places := make(chan struct{}, mostClients)
	for {
		places <- struct{}{}
		conn, err := l.AcceptUnix()
		if err != nil {
			_ = l.Close()
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		go func() {
			stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
			s.attend(conn)
			stop()
			<-places
		}()
	}
}

// attend answers one client until it goes.
func (s *Server) attend(conn *net.UnixConn) {
	defer conn.Close()
	c, err := s.admit(conn)
	var buffer [2 * requestLength]byte
	if err != nil {
		s.Log.Warn("somebody was refused", "reason", err)
		_ = conn.SetReadDeadline(time.Now().Add(replyTime))
		_, _ = conn.Read(buffer[:]) // what is not read makes the end of the connection an error
		_ = reply(conn, &answer{code: codeRefused, why: err.Error()})
		return
	}
	defer s.gone(c)
	for {
		n, err := conn.Read(buffer[:])
		if err != nil {
			return
		}
		r, err := parse(buffer[:n])
		if err != nil {
			s.Log.Warn("a request was refused", "process", c.pid, "user", c.uid, "reason", err)
			_ = reply(conn, &answer{verb: r.verb, code: codeRefused, why: err.Error()})
			return
		}
		a := s.answer(c, &r)
		if reply(conn, &a) != nil {
			return
		}
	}
}

// admit asks the kernel who a client is.
func (s *Server) admit(conn *net.UnixConn) (*client, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	var peer *unix.Ucred
	if failed := raw.Control(func(fd uintptr) {
		peer, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); failed != nil {
		return nil, failed
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("not known who it is: %w", err)
	case peer.Uid != 0 && int(peer.Uid) != s.User:
		return nil, fmt.Errorf("user %d (process %d) may not set the clock, user %d may", peer.Uid, peer.Pid, s.User)
	}
	return &client{conn: conn, pid: peer.Pid, uid: peer.Uid}, nil
}

// replyTime is how long a client that does not take its answer is waited for.
const replyTime = time.Second

func reply(conn *net.UnixConn, a *answer) error {
	if err := conn.SetWriteDeadline(time.Now().Add(replyTime)); err != nil {
		return err
	}
	_, err := conn.Write(a.append(nil))
	return err
}

// gone lets another one steer.
func (s *Server) gone(c *client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.holder == c {
		s.holder = nil
	}
}

// answer carries a request out.
func (s *Server) answer(c *client, r *request) answer {
	a := answer{verb: r.verb}
	if r.verb == verbLook { // it may take long, and nobody waits for it
		if err := s.Look(); err != nil {
			a.code, a.why = codeFailed, err.Error()
		}
		return a
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if timebase.Since(r.until) > 0 {
		a.code, a.why = codeLate, "the request came too late, and was not carried out"
		return a
	}
	if code, err := s.take(c); err != nil {
		a.code, a.why = code, err.Error()
		return a
	}
	a.code, a.why = s.carryOut(c, r)
	return a
}

// take makes a client the one who steers. One whose connection ended is known
// by its process, before its end was seen here.
func (s *Server) take(c *client) (code, error) {
	if s.holder == c {
		return codeDone, nil
	}
	if h := s.holder; h != nil && (h.pid != c.pid || c.pid == 0) {
		return codeTaken, fmt.Errorf("process %d steers it", h.pid)
	}
	system, err := s.Open()
	if err != nil {
		return codeOf(err), err
	}
	if s.holder == nil {
		s.Log.Info("the clock is steered", "by", c.pid, "user", c.uid)
	}
	s.holder, s.system = c, system
	return codeDone, nil
}

// carryOut does what a good request asks for.
func (s *Server) carryOut(c *client, r *request) (code, string) {
	var err error
	switch r.verb {
	case verbReset:
		err = s.system.Reset()
	case verbRate:
		err = s.system.SetRate(r.rate())
	case verbStep:
		if err := s.believable(r.first); err != nil {
			s.Log.Warn("a step was refused", "process", c.pid, "user", c.uid, "reason", err)
			return codeRefused, err.Error()
		}
		s.Log.Warn("the system clock is stepped", "seconds", float64(r.first)/1e9, "for", c.pid)
		err = s.system.Step(r.first)
	case verbStatus:
		err = s.system.SetStatus(r.status())
	case verbTAI:
		err = s.system.SetTAI(int(r.first))
	}
	if err != nil {
		return codeOf(err), err.Error()
	}
	return codeDone, ""
}

// believable tells whether a step leads to a time that may be one.
func (s *Server) believable(by int64) error {
	now, err := s.system.Read()
	if err != nil {
		return err
	}
	to := time.Unix(0, now.System+by).UTC()
	if !clock.Believable(to) {
		return fmt.Errorf("a step to %s leaves what is believed, 1985 to 2096", to.Format(time.RFC3339))
	}
	return nil
}

func codeOf(err error) code {
	if errors.Is(err, clock.ErrPrivilege) {
		return codeMayNot
	}
	return codeFailed
}
