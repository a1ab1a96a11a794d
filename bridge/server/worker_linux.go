package server

import (
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"ntsbridge/bridge/ntp"
	"ntsbridge/symkey"
)

// worker owns one socket of every listen address and a thread.
type worker struct {
	srv     *Server
	handler handler
	batch   *batch
	slots   []slot
	count   counters
	sockets []*socket
	next    atomic.Pointer[handover]
	wake    int // eventfd
	stop    atomic.Bool
	done    chan struct{}
	polls   []unix.PollFd
	base    ntp.Header // the clock's part, for one batch
}

// handover gives a worker the sockets to own from now on.
type handover struct {
	sockets []*socket
	done    chan struct{} // closed when the worker has let go of all others
}

func newWorker(srv *Server) (*worker, error) {
	wake, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	w := &worker{srv: srv, wake: wake, done: make(chan struct{}),
		batch: newBatch(srv.opt.Batch), slots: make([]slot, srv.opt.Batch)}
	for i := range w.slots {
		if err := w.slots[i].init(); err != nil {
			unix.Close(wake)
			return nil, err
		}
	}
	w.own(nil)
	w.handler = handler{store: srv.store, count: &w.count, sym: symkey.NewScratch(), now: systemTime}
	return w, nil
}

// systemTime reads the system clock through the vDSO.
func systemTime() ntp.Timestamp { return ntp.TimestampFromTime(time.Now()) }

// signal wakes the worker out of its wait.
func (w *worker) signal() {
	one := [8]byte{1} // any non-zero value
	_, _ = unix.Write(w.wake, one[:])
}

// run serves until stop is set. The thread is its own, so that batches are
// not moved between processors.
func (w *worker) run() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(w.done)
	for !w.stop.Load() {
		w.adopt()
		w.wait()
		for i := range w.sockets {
			if w.polls[i].Revents != 0 {
				w.drain(w.sockets[i])
			}
		}
	}
	w.adopt() // what was opened last is also to be closed
	for _, s := range w.sockets {
		w.drain(s)
		s.close()
	}
	unix.Close(w.wake)
}

// adopt takes over a new set of sockets: those no longer wanted are drained
// and closed.
func (w *worker) adopt() {
	next := w.next.Swap(nil)
	if next == nil {
		return
	}
	defer close(next.done)
	keep := make(map[*socket]bool, len(next.sockets))
	for _, s := range next.sockets {
		keep[s] = true
	}
	for _, s := range w.sockets {
		if !keep[s] {
			w.drain(s)
			s.close()
		}
	}
	w.own(next.sockets)
}

// own makes sockets the ones to wait for, and the eventfd behind them.
func (w *worker) own(sockets []*socket) {
	w.sockets = sockets
	w.polls = w.polls[:0]
	for _, s := range sockets {
		w.polls = append(w.polls, unix.PollFd{Fd: int32(s.fd), Events: unix.POLLIN})
	}
	w.polls = append(w.polls, unix.PollFd{Fd: int32(w.wake), Events: unix.POLLIN})
}

// wait sleeps until a socket has something or somebody signals. It tells the
// scheduler (Poll is a blocking system call).
func (w *worker) wait() {
	for {
		_, err := unix.Poll(w.polls, -1)
		if err == nil {
			break
		}
		if err != unix.EINTR {
			for i := range w.polls { // out of memory in the kernel: look at all
				w.polls[i].Revents = unix.POLLIN
			}
			time.Sleep(time.Millisecond)
			break
		}
	}
	if w.polls[len(w.polls)-1].Revents != 0 {
		var b [8]byte
		_, _ = unix.Read(w.wake, b[:])
	}
}

// maxRounds bounds the batches taken from one socket before the others get
// their turn.
const maxRounds = 16

// drain works off what is waiting on a socket.
func (w *worker) drain(s *socket) {
	for range maxRounds {
		n, errno := w.batch.receive(s.fd, 0)
		if errno == unix.EAGAIN {
			w.readErrors(s) // poll may have woken us for these alone
			return
		}
		if errno != 0 {
			if errno != unix.EINTR {
				// A pending ICMP error of an earlier answer is read and done with.
				w.count.receiveErrors.Add(1)
			}
			continue
		}
		w.serve(s, n)
		if n < w.batch.size {
			return
		}
	}
}

// serve answers the n packets of the batch.
func (w *worker) serve(s *socket, n int) {
	now := time.Now()
	h := &w.handler
	h.state, h.clock = w.srv.state.Load(), w.srv.clock.Load()
	h.mono = int64(now.Sub(w.srv.started))
	w.base = ntp.Header{}
	h.clock.Fill(&w.base, ntp.TimestampFromTime(now))
	w.count.received.Add(uint64(n))
	for i := range n {
		w.openSlot(s, i, now)
	}
	queued := 0
	for i := range n {
		if w.finishSlot(s, queued, i) {
			queued++
		}
	}
	w.sendAll(s, queued)
	if s.pending > 0 {
		w.readErrors(s)
	}
}

// openSlot fills slot i from the batch and opens it.
func (w *worker) openSlot(s *socket, i int, now time.Time) {
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
	slot.req.Received = a.received
	slot.kernelRX = a.received != 0
	if slot.kernelRX {
		w.count.rxKernel.Add(1)
	} else {
		w.count.rxDaemon.Add(1)
		slot.req.Received = ntp.TimestampFromTime(now)
	}
	w.handler.open(slot)
	if slot.verdict.Action == ntp.Defer && !w.srv.slow.offer(s, slot, &w.batch.names[i], w.batch.in[i].hdr.Namelen) {
		slot.verdict = drop(ntp.KindAutokey, ntp.ReasonBudget)
		w.count.slowDropped.Add(1)
		w.handler.countVerdict(slot)
	}
}

// finishSlot makes the answer of slot i outgoing message j, if there is one.
func (w *worker) finishSlot(s *socket, j, i int) bool {
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
func (w *worker) sendAll(s *socket, queued int) {
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
func (w *worker) readErrors(s *socket) {
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
			if receive, ok := s.expected(a.transmits); ok && w.srv.store.refine(receive, a.received) {
				w.count.txKernel.Add(1)
				w.count.txDaemon.Add(^uint64(0)) // it had been counted as ours
			}
		}
	}
}
