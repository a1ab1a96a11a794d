package nke

import (
	"context"
	"io"
	"net"
	"time"
)

// holdTime is how long a connection that an access rule refuses is kept open,
// in silence: as long as ntpd-rs waits for an exchange, which tries again a
// second after each failure. A reset would have it here each second. holdRoom
// is how many are held at once; more are closed at once.
const (
	holdTime = 5 * time.Second
	holdRoom = 1024
)

// hold keeps a refused connection open and then closes it in order. What
// comes is read, since closing a connection with something unread resets it.
func (s *Server) hold(conn net.Conn) {
	select {
	case s.held <- struct{}{}:
	default:
		_ = conn.Close()
		return
	}
	s.wait.Go(func() {
		defer func() { <-s.held }()
		defer conn.Close()
		stop := context.AfterFunc(s.ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })
		defer stop()
		if conn.SetReadDeadline(time.Now().Add(holdTime)) == nil && s.ctx.Err() == nil {
			_, _ = io.Copy(io.Discard, conn)
		}
	})
}
