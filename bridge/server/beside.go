package server

import (
	"net/netip"

	"ntsbridge/bridge/access"
	"ntsbridge/bridge/ntp"
)

// Beside answers some plain requests before they reach the sockets
// (bridge/fastpath). It is told all that decides what an answer is. A method
// may be called by any goroutine.
type Beside interface {
	// Begin says what the time of rate limits is, nanoseconds.
	Begin(mono func() int64)
	// Pause makes it answer nothing until Govern has returned.
	Pause()
	// Govern says by which rules requests are judged, and which buckets hold
	// for them.
	Govern(*access.Table, *access.Limiter)
	// SetClock says what is served.
	SetClock(*ntp.ClockState)
	// Listen says where the sockets are.
	Listen([]netip.AddrPort)
	// Answered returns how many requests it answered so far, by version: all
	// plain, in client mode, and with time. stamped is how many of them had a
	// receive timestamp of the kernel.
	Answered() (versions [8]uint64, stamped uint64)
	// Received returns how many requests to a listen address it answered.
	Received(netip.AddrPort) uint64
	// Hits adds, for the rules of the table in force, how many requests of each
	// it answered since Govern.
	Hits(hits []uint64)
}

// addBeside adds what was answered beside the sockets.
func (sum *Counters) addBeside(b Beside) {
	if b == nil {
		return
	}
	versions, stamped := b.Answered()
	var all uint64
	for version, n := range versions {
		sum.Packets[ntp.KindNone][version][ntp.ReasonOK] += n
		all += n
	}
	sum.Actions[ntp.KindNone][ntp.Answer] += all
	sum.Modes[ntp.ModeClient] += all
	sum.Received += all
	sum.Beside += all
	sum.RXKernel += stamped
	sum.RXDaemon += all - min(stamped, all)
	sum.TXDaemon += all
}
