package server

import (
	"sync/atomic"

	"ntsbridge/bridge/ntp"
)

// actionCount is the number of ntp.Action values.
const actionCount = int(ntp.Defer) + 1

// counters belong to one worker: adding is an uncontended atomic operation.
type counters struct {
	// By kind, version, action and reason, so that a packet costs one addition.
	packets [ntp.KindCount][8][actionCount][ntp.ReasonCount]atomic.Uint64
	// By mode, but for ModeClient, which is the rest.
	modes [8]atomic.Uint64

	received      atomic.Uint64
	frames        atomic.Uint64
	interleaved   atomic.Uint64
	oldSecret     [ntp.KindCount]atomic.Uint64 // those marked so
	rxDaemon      atomic.Uint64
	rxHardware    atomic.Uint64
	txHardware    atomic.Uint64 // counted as the kernel's as well
	txDaemon      atomic.Uint64
	txKernel      atomic.Uint64
	sendErrors    atomic.Uint64
	receiveErrors atomic.Uint64
	slowDropped   atomic.Uint64
	signed        atomic.Uint64 // answers of MS-SNTP
	signDropped   atomic.Uint64 // requests for one, see Counters
	excessDropped atomic.Uint64
	amplifiedIn   atomic.Uint64     // octets of requests answered with more than they had
	amplifiedOut  atomic.Uint64     // octets of those answers
	queryIn       atomic.Uint64     // octets of answered requests of mode 6
	queryOut      atomic.Uint64     // octets of those answers
	autokeyOps    [16]atomic.Uint64 // answered requests by operation code
	_             [64]byte          // keeps workers' counters on lines of their own
}

// Counters is a sum over all workers, for reading.
type Counters struct {
	Received      uint64 // packets read from the sockets, or answered beside them
	Beside        uint64 // of them answered beside the sockets
	Frames        uint64 // of them those that came past the network stack, with NTS
	Interleaved   uint64 // answers in interleaved mode
	RXDaemon      uint64 // receive timestamps by our own clock reading
	RXKernel      uint64
	RXHardware    uint64 // by the network interface
	TXHardware    uint64
	TXDaemon      uint64 // transmit timestamps by our own clock reading
	TXKernel      uint64
	SendErrors    uint64
	ReceiveErrors uint64
	SlowDropped   uint64 // requests that found the slow lane, or their share of it, full
	Signed        uint64 // answers that Samba signed (MS-SNTP)
	SignDropped   uint64 // requests for such answers that were too many for the queue, or waited too long in it
	ExcessDropped uint64 // answers that were too long for State.Excess
	AmplifiedIn   uint64 // octets, see counters
	AmplifiedOut  uint64
	QueryIn       uint64  // octets of answered requests of mode 6
	QueryOut      uint64  // octets of those answers
	Held          int     // timestamps in the interleaved store
	Span          float64 // seconds between the oldest and newest of them
	Modes         [8]uint64
	OldSecret     [ntp.KindCount]uint64
	AutokeyOps    [16]uint64
	Actions       [ntp.KindCount][actionCount]uint64
	Packets       [ntp.KindCount][8][ntp.ReasonCount]uint64
}

func (c *counters) addTo(sum *Counters) {
	clients := uint64(0)
	for k := range c.packets {
		for v := range c.packets[k] {
			for a := range c.packets[k][v] {
				for r := range c.packets[k][v][a] {
					n := c.packets[k][v][a][r].Load()
					sum.Packets[k][v][r] += n
					sum.Actions[k][a] += n
					clients += n
				}
			}
		}
		sum.OldSecret[k] += c.oldSecret[k].Load()
	}
	for m := range c.modes {
		n := c.modes[m].Load()
		sum.Modes[m] += n
		clients -= min(n, clients)
	}
	sum.Modes[ntp.ModeClient] += clients
	for i := range c.autokeyOps {
		sum.AutokeyOps[i] += c.autokeyOps[i].Load()
	}
	others := c.rxDaemon.Load() + c.rxHardware.Load()
	sum.RXKernel += c.received.Load() - min(others, c.received.Load())
	for _, f := range []struct {
		to   *uint64
		from *atomic.Uint64
	}{
		{&sum.Received, &c.received}, {&sum.Interleaved, &c.interleaved},
		{&sum.RXDaemon, &c.rxDaemon}, {&sum.Frames, &c.frames}, {&sum.RXHardware, &c.rxHardware}, {&sum.TXHardware, &c.txHardware},
		{&sum.TXDaemon, &c.txDaemon}, {&sum.TXKernel, &c.txKernel},
		{&sum.SendErrors, &c.sendErrors}, {&sum.ReceiveErrors, &c.receiveErrors},
		{&sum.SlowDropped, &c.slowDropped}, {&sum.ExcessDropped, &c.excessDropped},
		{&sum.Signed, &c.signed}, {&sum.SignDropped, &c.signDropped},
		{&sum.QueryIn, &c.queryIn}, {&sum.QueryOut, &c.queryOut},
		{&sum.AmplifiedIn, &c.amplifiedIn}, {&sum.AmplifiedOut, &c.amplifiedOut},
	} {
		*f.to += f.from.Load()
	}
}

// Dropped returns how many packets got no answer.
func (c *Counters) Dropped() uint64 {
	var n uint64
	for k := range c.Actions {
		n += c.Actions[k][ntp.Drop]
	}
	return n
}

// Answered returns how many packets of the kind were answered with time.
func (c *Counters) Answered(kind ntp.Kind) uint64 { return c.Actions[kind][ntp.Answer] }
