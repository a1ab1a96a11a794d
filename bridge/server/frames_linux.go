package server

import (
	"slices"
	"sync/atomic"
	"time"

	"ntsbridge/bridge/fastpath/frames"
	"ntsbridge/bridge/fleet/feed"
	"ntsbridge/bridge/ntp"
)

// frameWorker answers requests that come as frames, past the network stack: it
// is to a frames.Socket what worker is to a UDP socket. What it gets is chosen
// before (bridge/fastpath): requests with NTS to one of our addresses.
type frameWorker struct {
	handler
	srv     *shared
	socket  *frames.Socket
	slots   []slot
	partial bool  // checksums that a sender on this machine left to be done are good
	tos     uint8 // of answers
	count   counters
	base    ntp.Header
	feed    *feed.Feed

	arrived   time.Time // of the batch
	arrivedAt ntp.Timestamp

	stop atomic.Bool
	done chan struct{}
}

// ServeFrames answers requests that come by a socket until stop is called, which
// closes it. partial allows checksums that a sender on this machine has not
// computed.
func (s *Server) ServeFrames(socket *frames.Socket, partial bool) (stop func(), err error) {
	w := &frameWorker{srv: &s.shared, socket: socket, slots: make([]slot, s.opt.Batch), partial: partial,
		tos: uint8(s.opt.Socket.DSCP << 2), done: make(chan struct{})}
	for i := range w.slots {
		if err := w.slots[i].init(); err != nil {
			return nil, err
		}
	}
	w.handler = newHandler(w.srv, &w.count, false)
	w.handler.now = func() ntp.Timestamp { return w.arrivedAt.Add(time.Since(w.arrived)) }
	w.feed = s.clients.attach()
	s.mu.Lock()
	s.frames = append(s.frames, w)
	s.mu.Unlock()
	go w.run()
	return func() { s.endFrames(w) }, nil
}

// endFrames ends a worker after what has arrived, and keeps its counts.
func (s *Server) endFrames(w *frameWorker) {
	w.stop.Store(true)
	w.socket.Interrupt()
	<-w.done
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.frames, w); i >= 0 {
		w.count.addTo(&s.retired)
		s.frames = slices.Delete(s.frames, i, i+1)
	}
}

func (w *frameWorker) run() {
	defer close(w.done)
	for !w.stop.Load() {
		w.socket.Wait(func() bool {
			w.drain()
			return w.stop.Load()
		})
	}
	w.drain()
	w.socket.Close()
	w.srv.clients.detach(w.feed)
}

// drain answers what has arrived, for drainTime at most once it is to stop: a
// flood never ends.
func (w *frameWorker) drain() {
	for begin := time.Now(); ; {
		n := w.socket.Receive(len(w.slots))
		if n == 0 {
			return
		}
		w.serve(n)
		if w.stop.Load() && time.Since(begin) > drainTime {
			return
		}
	}
}

// serve answers the n frames of a batch.
func (w *frameWorker) serve(n int) {
	w.begin(time.Now())
	for i := range n {
		frame, stamp := w.socket.Frame(i)
		w.openFrame(&w.slots[i], frame, stamp)
	}
	for i := range n {
		frame, _ := w.socket.Frame(i)
		if room := w.socket.Room(); room == nil {
			w.count.sendErrors.Add(1)
		} else if length := w.finishFrame(&w.slots[i], frame, room); length > 0 {
			w.socket.Send(length)
			w.count.txDaemon.Add(1)
		}
	}
	if !w.socket.Flush() {
		w.count.sendErrors.Add(1)
	}
	if clients := w.feed.Begin(); clients != nil {
		for i := range n {
			w.slots[i].noteIn(clients)
		}
		w.feed.End(clients)
	}
}

// begin looks at clock and rules for a batch.
func (w *frameWorker) begin(now time.Time) {
	h := &w.handler
	h.state, h.clock, h.mono = w.srv.state.Load(), w.srv.clock.Load(), w.srv.mono(now)
	w.arrived, w.arrivedAt = now, ntp.TimestampFromTime(now)
	w.base = ntp.Header{}
	h.clock.FillServed(&w.base, w.arrivedAt)
}

// openFrame opens the request in a frame. stamp is when it arrived, system clock
// in ns; 0: not known. What the network stack would not have given to a socket
// is none.
func (w *frameWorker) openFrame(s *slot, frame []byte, stamp int64) {
	var r frames.Request
	s.verdict, s.judged, s.sent = ntp.Verdict{}, false, 0
	if !frames.Parse(frame, w.partial, &r) {
		return
	}
	w.count.received.Add(1)
	w.count.frames.Add(1)
	s.req = ntp.Request{Packet: r.Payload, From: r.From, To: r.To.Addr(), Received: w.arrivedAt, TOS: r.TOS, KnownTOS: true}
	if stamp != 0 {
		s.req.Received = ntp.TimestampFromUnix(stamp/1e9, stamp%1e9)
	} else {
		w.count.rxDaemon.Add(1)
	}
	s.judged = true
	w.handler.open(s)
	if s.verdict.Action == ntp.Defer { // nothing with NTS is
		s.verdict.Action, s.verdict.Reason = ntp.Drop, ntp.ReasonBudget
		w.handler.countVerdict(s)
	}
}

// finishFrame makes the frame of the answer and returns its length, 0 for none.
func (w *frameWorker) finishFrame(s *slot, frame, out []byte) int {
	if !s.judged {
		return 0
	}
	n := w.handler.finish(s, &w.base, frames.Payload(out, frame))
	if n == 0 {
		return 0
	}
	return frames.Answer(out, frame, n, w.tos)
}
