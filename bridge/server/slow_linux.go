package server

import (
	"ntsbridge/autokey"
	"ntsbridge/bridge/access"
	"ntsbridge/bridge/ntp"
	"ntsbridge/bridge/server/mmsg"
)

// slowLane answers the requests that need public-key work and those of mode 6,
// one after the other, away from the workers. Its memory is fixed. What Autokey
// has at hand (ASSOC, CERT, LEAP, AUTO, answers given lately) never gets here:
// workers give it at once.
type slowLane struct{ lane }

func newSlowLane(srv *shared) *slowLane {
	return &slowLane{newLane(srv, laneDepth, classRoom)}
}

// deferrals is what one client may ask of the slow lane: Autokey's dance is
// some ten messages, and a site behind one address dances together.
var deferrals = access.Bucket{Rate: 8, Burst: 128}

// offer copies a request into the lane; false if the lane, or the client's
// share of it, is full.
func (l *slowLane) offer(s *socket, from *slot, name *mmsg.Name, nameLen uint32, h *handler) bool {
	client := from.req.From.Addr()
	c := classOf(&from.req, from.verdict.Operation)
	if c > classQuery && !h.state.Limiter.Spend(client, ^uint64(0), h.mono, deferrals, 1) {
		return false
	}
	known := l.srv.proved.has(client, h.mono)
	return l.queue.offer(c, clientOf(&from.req), known, func(r *slowRequest) { r.fill(s, from, name, nameLen, h.mono) })
}

func classOf(req *ntp.Request, operation uint8) class {
	if ntp.ModeOf(req.Packet) == ntp.ModeControl {
		if req.From.Addr().IsLoopback() {
			return classLocal
		}
		return classQuery
	}
	switch autokey.Op(operation) {
	case autokey.OpCook:
		return classCookie
	case autokey.OpSign, autokey.OpIFF, autokey.OpGQ, autokey.OpMV:
		return classProof
	}
	return classMessage
}

// run works until the queue is closed.
func (l *slowLane) run() {
	defer close(l.done)
	l.work(newHandler(l.srv, &l.count, true), l.answer)
}

func (l *slowLane) answer(h *handler, r *slowRequest) {
	if h.isQuery(r.slot.req.Packet) {
		l.query(h, r)
		return
	}
	h.open(&r.slot)
	var base ntp.Header
	h.clock.FillServed(&base, systemTime())
	n := h.finish(&r.slot, &base, r.answer[:])
	l.tell(&r.slot)
	if n == 0 {
		return
	}
	l.count.txDaemon.Add(1)
	if errno := r.send(n); errno != 0 {
		l.count.sendErrors.Add(1)
	}
}

// query answers a packet of mode 6.
func (l *slowLane) query(h *handler, r *slowRequest) {
	s := &r.slot
	s.verdict = h.judgeQuery(&s.req)
	var answers [][]byte
	if s.verdict.Action == ntp.Defer {
		answers, s.verdict.Reason = h.state.Query.Answer(h.now(), h.mono, h.clock, &s.req, h.proved.has(s.req.From.Addr(), h.mono))
		s.verdict.Action = ntp.Drop
		if len(answers) > 0 {
			s.verdict.Action = ntp.Answer
		}
	}
	h.countVerdict(s)
	octets := 0
	for _, answer := range answers {
		n := copy(r.answer[:], answer)
		octets += n
		l.count.txDaemon.Add(1)
		if errno := r.send(n); errno != 0 {
			l.count.sendErrors.Add(1)
		}
	}
	if octets > 0 {
		l.count.queryIn.Add(uint64(len(s.req.Packet)))
		l.count.queryOut.Add(uint64(octets))
	}
}

// tell tells of a request that the slow lane has answered.
func (l *slowLane) tell(s *slot) {
	t := l.feed.Begin()
	if t == nil {
		return
	}
	s.judged = true
	s.noteIn(t)
	l.feed.End(t)
	l.srv.clients.tellName(s)
}
