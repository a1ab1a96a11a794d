package server

import (
	"errors"
	"time"

	"ntsbridge/bridge/ntp"
	"ntsbridge/bridge/server/mmsg"
	"ntsbridge/bridge/server/signd"
)

// signLane answers the requests whose answers Samba signs, one after the other,
// away from the workers and from the slow lane: nobody else waits for Samba.
type signLane struct {
	lane
	client signd.Client  // of the Signing that was used last
	takes  time.Duration // how long a signature takes, smoothed
}

func newSignLane(srv *shared) *signLane {
	return &signLane{lane: newLane(srv, signingDepth, signRoom)}
}

// offer copies a request into the lane; false if the lane, or the client's share
// of it, is full, or Samba has been asked enough.
func (l *signLane) offer(s *socket, from *slot, name *mmsg.Name, nameLen uint32, h *handler) bool {
	if !h.state.Signing.Rate.Spend(h.mono, 1, 0) {
		return false
	}
	return l.queue.offer(classMessage, clientOf(&from.req), false, func(r *slowRequest) { r.fill(s, from, name, nameLen, h.mono) })
}

// run works until the queue is closed.
func (l *signLane) run() {
	defer close(l.done)
	defer l.client.Close()
	h := newHandler(l.srv, &l.count, true)
	h.now = func() ntp.Timestamp { return ntp.TimestampFromTime(time.Now().Add(l.takes)) }
	l.work(h, l.answer)
}

// answer answers one request, or drops it.
func (l *signLane) answer(h *handler, r *slowRequest) {
	n, s := 0, &r.slot
	if signing := h.state.Signing; signing == nil || h.mono-r.arrived > int64(signing.Timeout) {
		s.verdict.Action, s.verdict.Reason = ntp.Drop, ntp.ReasonBudget
		l.count.signDropped.Add(1)
	} else {
		n = l.sign(h, r, signing)
	}
	h.countVerdict(s)
	if t := l.feed.Begin(); t != nil {
		s.judged = true
		s.noteIn(t)
		l.feed.End(t)
	}
	if n == 0 {
		return
	}
	l.count.signed.Add(1)
	l.count.txDaemon.Add(1)
	if errno := r.send(n); errno != 0 {
		l.count.sendErrors.Add(1)
	}
}

// sign makes the answer and has it signed; it returns its length, 0 for none,
// and leaves the verdict. The transmit timestamp is of the time when the
// signature will be there, as far as the earlier ones tell.
func (l *signLane) sign(h *handler, r *slowRequest, signing *Signing) int {
	s := &r.slot
	s.verdict.Action, s.verdict.Reason = ntp.Answer, ntp.ReasonOK
	var base ntp.Header
	h.clock.FillServed(&base, systemTime())
	n := h.finish(s, &base, r.answer[:])
	if l.client.Socket != signing.Socket {
		l.client.Close()
	}
	l.client.Socket, l.client.Timeout = signing.Socket, signing.Timeout
	begin := time.Now()
	signature, err := l.client.Sign(identifierOf(s.req.Packet), r.answer[:n])
	switch {
	case err == nil:
		l.takes += (min(time.Since(begin), maxTakes) - l.takes) / 8
		return n + copy(r.answer[n:], signature)
	case errors.Is(err, signd.ErrRefused):
		s.verdict.Reason = ntp.ReasonUnknownKey
	default:
		s.verdict.Reason = ntp.ReasonNoSigner
	}
	s.verdict.Action, s.sent = ntp.Drop, 0
	return 0
}

// maxTakes bounds what is believed of how long a signature takes.
const maxTakes = 20 * time.Millisecond
