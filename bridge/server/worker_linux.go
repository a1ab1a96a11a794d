package server

import (
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"ntsbridge/bridge/ntp"
	"ntsbridge/symkey"
)

// worker serves one socket.
type worker struct {
	srv     *Server
	socket  *socket
	handler handler
	batch   *batch
	slots   []slot
	count   counters
	base    ntp.Header // the clock's part, for one batch
	first   bool       // of its address: the one that looks at packets of which all get a copy
	stop    atomic.Bool
	done    chan struct{}
}

func newWorker(srv *Server, s *socket) (*worker, error) {
	w := &worker{srv: srv, socket: s, done: make(chan struct{}),
		batch: newBatch(srv.opt.Batch), slots: make([]slot, srv.opt.Batch)}
	for i := range w.slots {
		if err := w.slots[i].init(); err != nil {
			return nil, err
		}
	}
	w.handler = handler{store: srv.store, count: &w.count, sym: symkey.NewScratch(), now: systemTime}
	return w, nil
}

// systemTime reads the system clock through the vDSO.
func systemTime() ntp.Timestamp { return ntp.TimestampFromTime(time.Now()) }

// run serves until end is called. The goroutine waits in Go's poller and is
// not tied to a thread: measured against C, that costs 2 to 15 per cent, and
// a locked thread up to 90 per cent at low rates, for the hand-over between
// threads.
func (w *worker) run() {
	defer close(w.done)
	for !w.stop.Load() {
		// The callback is called whenever the socket may have something, until
		// it returns true; here it never does, so Read returns by the deadline.
		_ = w.socket.conn.Read(func(uintptr) bool {
			w.drain()
			return w.stop.Load()
		})
	}
	w.drain()
	w.socket.close()
}

// end makes run return after it has answered what has arrived, and waits for
// it.
func (w *worker) end() {
	w.stop.Store(true)
	w.socket.interrupt()
	<-w.done
}

// drain works off what is waiting on the socket. A batch that is not full was
// the last: what comes later wakes the poller again.
func (w *worker) drain() {
	s := w.socket
	for {
		n, errno := w.batch.receive(s.fd, 0)
		if errno == unix.EAGAIN {
			w.readErrors() // the poller may have woken us for these alone
			return
		}
		if errno != 0 {
			if errno != unix.EINTR {
				// A pending ICMP error of an earlier answer is read and done with.
				w.count.receiveErrors.Add(1)
			}
			continue
		}
		w.serve(n)
		if n < w.batch.size {
			return
		}
	}
}

// serve answers the n packets of the batch.
func (w *worker) serve(n int) {
	now := time.Now()
	h := &w.handler
	h.state, h.clock = w.srv.state.Load(), w.srv.clock.Load()
	h.mono = int64(now.Sub(w.srv.started))
	w.base = ntp.Header{}
	h.clock.FillServed(&w.base, ntp.TimestampFromTime(now))
	w.count.received.Add(uint64(n))
	for i := range n {
		w.openSlot(i, now)
	}
	queued := 0
	for i := range n {
		if w.finishSlot(queued, i) {
			queued++
		}
	}
	w.sendAll(queued)
	if w.socket.pending > 0 {
		w.readErrors()
	}
}

// openSlot fills slot i from the batch and opens it.
func (w *worker) openSlot(i int, now time.Time) {
	s := w.socket
	slot := &w.slots[i]
	var a ancillary
	parseControl(w.batch.ancillary(i), &a)
	slot.req.Packet = w.batch.request(i)
	if w.batch.in[i].hdr.Flags&unix.MSG_TRUNC != 0 {
		slot.req.Packet = slot.req.Packet[:ntp.HeaderLen+1] // no length that could frame
	}
	slot.req.From = w.batch.names[i].addrPort()
	slot.req.To = s.local
	if s.wildcard {
		slot.req.To = a.to
	}
	slot.ifindex = a.ifindex
	destination := slot.req.To
	if a.shared() {
		if !w.first {
			w.count.received.Add(^uint64(0))
			slot.verdict = ntp.Verdict{}
			return
		}
		destination = a.destination
	}
	slot.req.Received = a.received
	if a.received == 0 {
		w.count.rxDaemon.Add(1)
		slot.req.Received = ntp.TimestampFromTime(now)
	}
	if w.taken(slot, destination) {
		return
	}
	w.handler.open(slot)
	if slot.verdict.Action == ntp.Defer && !w.srv.slow.offer(s, slot, &w.batch.names[i], w.batch.in[i].hdr.Namelen) {
		slot.verdict = drop(slot.verdict.Kind, ntp.ReasonBudget)
		w.count.slowDropped.Add(1)
		w.handler.countVerdict(slot)
	}
}

// finishSlot makes the answer of slot i outgoing message j, if there is one.
func (w *worker) finishSlot(j, i int) bool {
	s := w.socket
	slot := &w.slots[i]
	n := w.handler.finish(slot, &w.base, w.batch.answer(i))
	if n == 0 {
		return false
	}
	w.batch.queue(j, i, n)
	control := 0
	room := w.batch.outCtl[j*controlLen:][:controlLen]
	if s.wildcard {
		control = putSource(room, slot.req.To, slot.ifindex)
	}
	if slot.stampTX && s.kernelTX {
		control += putTransmitStamp(room[control:])
		s.expect(slot.receive)
	}
	w.batch.attach(j, control)
	return true
}

// sendAll sends the queued answers; one that the kernel refuses (no route, no
// buffer) is counted and passed over, as UDP may lose it anyway.
func (w *worker) sendAll(queued int) {
	s := w.socket
	w.count.txDaemon.Add(uint64(queued))
	for first := 0; first < queued; {
		n, errno := w.batch.sendFrom(s.fd, first, queued)
		first += n
		if errno == 0 || errno == unix.EINTR {
			continue
		}
		w.count.sendErrors.Add(1)
		if w.slots[w.batch.outSlot[first]].stampTX {
			s.kernelTX = false // the kernel's numbering of timestamps is no longer known
		}
		first++
	}
}

// readErrors takes transmit timestamps and ICMP errors from the error queue.
func (w *worker) readErrors() {
	s := w.socket
	for {
		n, errno := w.batch.receive(s.fd, unix.MSG_ERRQUEUE)
		if errno != 0 || n == 0 {
			return
		}
		for i := range n {
			var a ancillary
			parseControl(w.batch.ancillary(i), &a)
			if !a.isTX || a.received == 0 {
				continue
			}
			left := w.srv.clock.Load().Served(a.received)
			if receive, ok := s.expected(a.transmits); ok && w.srv.store.refine(receive, left) {
				w.count.txKernel.Add(1)
				w.count.txDaemon.Add(^uint64(0)) // it had been counted as ours
			}
		}
	}
}
