package server

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"ntsbridge/autokey"
	"ntsbridge/bridge/access"
	"ntsbridge/bridge/clock/timebase"
	"ntsbridge/bridge/fleet/feed"
	"ntsbridge/bridge/ntp"
	"ntsbridge/bridge/server/mmsg"
)

// worker serves one socket.
type worker struct {
	srv       *shared
	slow      *slowLane
	socket    *socket
	handler   handler
	in, out   *mmsg.Batch // requests and answers
	outSlot   []int       // which slot an answer in out is of
	slots     []slot
	count     counters
	base      ntp.Header // the clock's part, for one batch
	arrived   time.Time  // of the batch
	arrivedAt ntp.Timestamp
	pair      timebase.Pair // of the batch, where interfaces' timestamps are used
	tos       tosWatch
	feed      *feed.Feed   // to the inventory of clients, nil: off
	names     *access.Pool // bounds the names that are told
	first     bool         // of its address: the one that looks at packets of which all get a copy
	stop      atomic.Bool
	stopped   time.Time     // when stop was set
	stopC     chan struct{} // closed with stop
	once      sync.Once     // for interrupt
	beat      atomic.Uint64 // counts batches, and what woke the worker
	idle      atomic.Uint64 // of beat: woken without packets
	began     time.Time
	done      chan struct{}
}

func newWorker(srv *shared, slow *slowLane, s *socket, size int) (*worker, error) {
	w := &worker{srv: srv, slow: slow, socket: s, stopC: make(chan struct{}), done: make(chan struct{}), began: time.Now(),
		in:      mmsg.New(mmsg.Shape{Slots: size, Size: maxPacket, Named: true, Control: controlLen}),
		out:     mmsg.New(mmsg.Shape{Slots: size, Size: maxPacket, Control: controlLen}),
		outSlot: make([]int, size), slots: make([]slot, size)}
	for i := range w.slots {
		if err := w.slots[i].init(); err != nil {
			return nil, err
		}
	}
	w.handler = newHandler(srv, &w.count, false)
	w.handler.now = w.now
	w.feed = srv.clients.attach()
	w.tos = tosWatch{wanted: w.feed != nil, on: w.feed != nil}
	var err error
	w.names, err = access.NewPool(names)
	return w, err
}

// run serves until end is called. The goroutine waits in Go's poller and is
// not tied to a thread: measured against C, that costs 2 to 15 per cent, and
// a locked thread up to 90 per cent at low rates, for the hand-over between
// threads.
//
// A receive error that lasts (a socket that is none any more, no memory) is
// tried again after a pause that grows: it must not take a core from others.
func (w *worker) run() {
	defer close(w.done)
	for pause := time.Duration(0); !w.stop.Load(); {
		failed := false
		// The callback is called whenever the socket may have something, until
		// it returns true; else Read returns by the deadline.
		_ = w.socket.conn.Read(func(uintptr) bool {
			failed = !w.drain()
			return failed || w.stop.Load()
		})
		if !failed { // woken by the deadline: to stop, or to show that it lives
			pause = 0
			w.idle.Add(1)
			w.beat.Add(1)
			_ = w.socket.file.SetReadDeadline(time.Time{})
			continue
		}
		pause = min(max(2*pause, time.Millisecond), time.Second)
		select {
		case <-time.After(pause):
		case <-w.stopC:
		}
	}
	w.drain()
	w.socket.close()
	w.srv.clients.detach(w.feed)
}

// drainTime is how long a worker that is to stop goes on answering what has
// arrived: a full receive buffer takes less, and a flood never ends.
const drainTime = 100 * time.Millisecond

// interrupt makes run return after it has answered what has arrived.
func (w *worker) interrupt() {
	w.once.Do(func() {
		w.stopped = time.Now()
		w.stop.Store(true)
		close(w.stopC)
		w.socket.interrupt()
	})
}

// maxFailures is how many receive errors in a row are passed over: each error
// of an earlier answer (ICMP) is read and done with.
const maxFailures = 64

// drain works off what is waiting on the socket. A batch that is not full was
// the last: what comes later wakes the poller again. It reports false if the
// socket gives nothing but errors.
func (w *worker) drain() bool {
	s := w.socket
	for failures := 0; ; {
		n, errno := w.in.Recv(s.fd, w.in.Len(), 0)
		switch errno {
		case 0:
			failures = 0
			w.serve(n)
			w.beat.Add(1)
		case unix.EAGAIN:
			w.readErrors() // the poller may have woken us for these alone
			return true
		case unix.EINTR:
			continue
		default:
			w.count.receiveErrors.Add(1)
			if failures++; failures == maxFailures {
				return false
			}
			continue
		}
		if n < w.in.Len() || w.stop.Load() && time.Since(w.stopped) > drainTime {
			return true
		}
	}
}

// now is the system's time: that of the batch and what went by since. It costs
// one reading of a clock where time.Now takes two, and the two clocks of a
// batch differ only where somebody steps one of them meanwhile.
func (w *worker) now() ntp.Timestamp { return w.arrivedAt.Add(time.Since(w.arrived)) }

// serve answers the n packets of the batch.
func (w *worker) serve(n int) {
	now := time.Now()
	h := &w.handler
	h.state, h.clock = w.srv.state.Load(), w.srv.clock.Load()
	h.mono = w.srv.mono(now)
	w.arrived, w.arrivedAt = now, ntp.TimestampFromTime(now)
	if w.socket.hardware != nil {
		w.pair = w.socket.hardware.pair()
	}
	w.base = ntp.Header{}
	h.clock.FillServed(&w.base, w.arrivedAt)
	w.count.received.Add(uint64(n))
	w.tos.count(w.socket, n, h.mono)
	for i := range n {
		w.openSlot(i)
	}
	queued := 0
	for i := range n {
		if w.finishSlot(queued, i) {
			queued++
		}
	}
	w.sendAll(queued)
	if clients := w.feed.Begin(); clients != nil {
		for i := range n {
			w.slots[i].noteIn(clients)
		}
		w.feed.End(clients)
	}
	if w.socket.pending > 0 {
		w.readErrors()
	}
}

// openSlot fills slot i from the batch and opens it.
func (w *worker) openSlot(i int) {
	s := w.socket
	slot := &w.slots[i]
	var a ancillary
	parseControl(w.in.Control(i), &a)
	slot.req.Packet = w.in.Packet(i)
	if w.in.Truncated(i) {
		slot.req.Packet = slot.req.Packet[:ntp.HeaderLen+1] // no length that could frame
	}
	name, nameLen := w.in.Name(i)
	slot.req.From = addrPort(name)
	slot.req.To = s.local
	if s.wildcard {
		slot.req.To = a.to
	}
	slot.ifindex = a.ifindex
	destination := slot.req.To
	if a.shared() {
		if !w.first {
			w.count.received.Add(^uint64(0))
			slot.verdict, slot.judged = ntp.Verdict{}, false
			return
		}
		destination = a.destination
	}
	slot.req.Received = a.received
	if exact := s.hardware.arrival(&a, w.pair, len(slot.req.Packet), slot.req.From.Addr().Is6()); exact != 0 {
		w.count.rxHardware.Add(1)
		slot.req.Received = exact
	} else if a.received == 0 {
		w.count.rxDaemon.Add(1)
		slot.req.Received = w.arrivedAt
	}
	if slot.device = a.ifindex; a.device != 0 {
		slot.device = a.device
	}
	slot.req.TOS, slot.req.KnownTOS = a.tos, a.knowsTOS
	if slot.judged = !w.taken(slot, destination); !slot.judged {
		return
	}
	w.handler.open(slot)
	if slot.verdict.Action == ntp.Defer {
		w.deferSlot(slot, name, nameLen)
	}
}

// deferSlot gives a request to the lane that answers it.
func (w *worker) deferSlot(slot *slot, name *mmsg.Name, nameLen uint32) {
	taken, dropped := false, &w.count.slowDropped
	if slot.verdict.Marks.Has(ntp.MSSNTP) {
		taken, dropped = w.srv.signing.offer(w.socket, slot, name, nameLen, &w.handler), &w.count.signDropped
	} else {
		taken = w.slow.offer(w.socket, slot, name, nameLen, &w.handler)
	}
	if !taken {
		slot.verdict.Action, slot.verdict.Reason = ntp.Drop, ntp.ReasonBudget
		dropped.Add(1)
		w.handler.countVerdict(slot)
	}
}

// taken shows a packet to the handler of associations.
func (w *worker) taken(slot *slot, destination netip.Addr) bool {
	req := &slot.req
	h := w.srv.peering.Load()
	if h == nil || len(req.Packet) < ntp.HeaderLen || !peeringMode(ntp.ModeOf(req.Packet)) || !answerable(req.From) {
		return false
	}
	if !(*h)(&Peering{Data: req.Packet, From: req.From, To: req.To, Destination: destination, Received: req.Received}) {
		return false
	}
	slot.verdict = drop(ntp.Classify(req.Packet, w.handler.state.Keys).Kind, ntp.ReasonOK)
	w.handler.countVerdict(slot)
	return true
}

// finishSlot makes the answer of slot i outgoing message j, if there is one.
func (w *worker) finishSlot(j, i int) bool {
	s := w.socket
	slot := &w.slots[i]
	n := w.handler.finish(slot, &w.base, w.out.Buffer(j))
	if n == 0 {
		return false
	}
	if v := &slot.verdict; v.Kind == ntp.KindAutokey && v.Operation == uint8(autokey.OpAssoc) && w.names.Spend(w.handler.mono, 1, 0) {
		w.srv.clients.tellName(slot)
	}
	w.outSlot[j] = i
	w.out.SetLen(j, n)
	w.out.SendTo(j, w.in, i)
	control := 0
	room := w.out.ControlRoom(j)
	if s.wildcard {
		control = putSource(room, slot.req.To, slot.ifindex)
	}
	if slot.stampTX && s.kernelTX {
		control += putTransmitStamp(room[control:], s.stampsTX)
		s.expect(slot.receive, slot.device)
	}
	w.out.SetControl(j, control)
	return true
}

// sendAll sends the queued answers; one that the kernel refuses (no route, no
// buffer) is counted and passed over, as UDP may lose it anyway.
func (w *worker) sendAll(queued int) {
	s := w.socket
	w.count.txDaemon.Add(uint64(queued))
	for first := 0; first < queued; {
		n, errno := w.out.Send(s.fd, first, queued)
		first += n
		if errno == 0 || errno == unix.EINTR {
			continue
		}
		w.count.sendErrors.Add(1)
		if w.slots[w.outSlot[first]].stampTX {
			s.kernelTX = false // the kernel's numbering of timestamps is no longer known
		}
		first++
	}
}

// readErrors takes transmit timestamps and ICMP errors from the error queue.
func (w *worker) readErrors() {
	s := w.socket
	for {
		n, errno := w.in.Recv(s.fd, w.in.Len(), unix.MSG_ERRQUEUE)
		if errno != 0 || n == 0 {
			return
		}
		for i := range n {
			var a ancillary
			parseControl(w.in.Control(i), &a)
			w.departed(&a)
		}
	}
}

// departed takes in when an answer really left.
func (w *worker) departed(a *ancillary) {
	if !a.isTX {
		return
	}
	answer, ok := w.socket.expected(a.transmits)
	if !ok {
		return
	}
	served, taken := w.srv.clock.Load(), false
	if a.received != 0 {
		taken = w.srv.store.refine(answer.receive, served.Served(a.received))
	} else if left := w.socket.hardware.departure(a.hardware, answer.ifindex); left != 0 {
		if taken = w.srv.store.exact(answer.receive, served.Served(left)); taken {
			w.count.txHardware.Add(1) // beside being counted as the kernel's
		}
	}
	if taken && !answer.kernel {
		answer.kernel = true
		w.count.txKernel.Add(1)
		w.count.txDaemon.Add(^uint64(0)) // it had been counted as ours
	}
}
