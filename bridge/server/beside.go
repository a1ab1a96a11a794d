package server

import (
	"net/netip"

	"ntsbridge/bridge/access"
	"ntsbridge/bridge/ntp"
	"ntsbridge/symkey"
)

// Beside answers some requests before they reach the sockets: plain ones, and
// those with a symmetric key (bridge/fastpath). It is told all that decides what
// an answer is. A method may be called by any goroutine.
type Beside interface {
	// Begin says what the time of rate limits is, nanoseconds.
	Begin(mono func() int64)
	// Pause makes it answer nothing until Govern has returned.
	Pause()
	// Govern says by which rules and keys requests are judged, and which buckets
	// hold for them.
	Govern(*access.Table, *access.Limiter, *symkey.Table)
	// SetClock says what is served.
	SetClock(*ntp.ClockState)
	// Listen says where the sockets are.
	Listen([]netip.AddrPort)
	// Answered returns how many requests it answered so far, by kind and
	// version: all in client mode, and with time. stamped is how many of them
	// had a receive timestamp of the kernel.
	Answered() (kinds [ntp.KindCount][8]uint64, stamped uint64)
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
	kinds, stamped := b.Answered()
	var all uint64
	for kind := range kinds {
		for version, n := range kinds[kind] {
			sum.Packets[kind][version][ntp.ReasonOK] += n
			sum.Actions[kind][ntp.Answer] += n
			all += n
		}
	}
	sum.Modes[ntp.ModeClient] += all
	sum.Received += all
	sum.Beside += all
	sum.RXKernel += stamped
	sum.RXDaemon += all - min(stamped, all)
	sum.TXDaemon += all
}
