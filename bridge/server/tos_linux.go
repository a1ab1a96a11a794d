package server

import (
	"time"

	"golang.org/x/sys/unix"
)

// tosWatch asks the kernel for the type of service of requests: of all while
// they are few, and of those of one second in sixteen while they are many. It
// only helps to guess at programs, and telling it is 2 per cent of what an
// answer costs.
type tosWatch struct {
	wanted, on bool
	second     int64 // since the server started
	requests   int   // since then
}

const (
	tosMany  = 1000 // requests in a second
	tosTurns = 16
)

// count takes in n requests at mono nanoseconds.
func (t *tosWatch) count(s *socket, n int, mono int64) {
	t.requests += n
	second := mono / int64(time.Second)
	if second == t.second || !t.wanted {
		return
	}
	many := int64(t.requests) > tosMany*(second-t.second)
	t.second, t.requests = second, 0
	if on := !many || second%tosTurns == 0; on != t.on {
		t.on = on
		s.tellTOS(on)
	}
}

// tellTOS makes the kernel tell, or no longer, the type of service (IPv4) or
// traffic class of requests.
func (s *socket) tellTOS(on bool) {
	value := 0
	if on {
		value = 1
	}
	_ = unix.SetsockoptInt(s.fd, unix.IPPROTO_IP, unix.IP_RECVTOS, value)
	if s.listen.Addr().Is6() {
		_ = unix.SetsockoptInt(s.fd, unix.IPPROTO_IPV6, unix.IPV6_RECVTCLASS, value)
	}
}
