package server

import (
	"ntsbridge/bridge/access"
	"ntsbridge/bridge/ntp"
)

// Query answers packets of mode 6, by which ntpq asks a server about itself.
// They take the slow lane: never is a worker held up by one.
type Query interface {
	// Answer returns the packets to send to a request that an access rule lets
	// pass, and the reason, ntp.ReasonOK if there are any. mono is the time in
	// nanoseconds since any moment, for rate limits. The slow lane calls it, one
	// request after the other.
	Answer(now ntp.Timestamp, mono int64, clock *ntp.ClockState, req *ntp.Request) ([][]byte, ntp.Reason)
}

// isQuery tells whether a packet is one for State.Query.
func (h *handler) isQuery(p []byte) bool {
	return h.state.Query != nil && len(p) > 0 && ntp.ModeOf(p) == ntp.ModeControl
}

// judgeQuery decides who may ask. The rate limit for requests of time does
// not count here; Query has its own.
func (h *handler) judgeQuery(req *ntp.Request) ntp.Verdict {
	from := req.From.Addr()
	if from.IsMulticast() || from.IsUnspecified() || req.From.Port() == 0 {
		return drop(ntp.KindNone, ntp.ReasonMulticastSource)
	}
	if !mayQuery(h.state.Access.Lookup(req.From), req) {
		return drop(ntp.KindNone, ntp.ReasonDenied)
	}
	return ntp.Verdict{Action: ntp.Defer, Kind: ntp.KindNone}
}

// mayQuery tells whether a rule lets a source ask. The host itself may, unless
// a rule for its loopback addresses says otherwise.
func mayQuery(rule *access.Rule, req *ntp.Request) bool {
	if req.From.Addr().IsLoopback() && !(rule.Prefix.IsValid() && rule.Prefix.Addr().IsLoopback()) {
		return true
	}
	return rule.Query && rule.Action == access.Allow
}

// query answers a packet of mode 6 on the slow lane.
func (l *slowLane) query(h *handler, r *slowRequest) {
	s := &r.slot
	s.verdict = h.judgeQuery(&s.req)
	var answers [][]byte
	if s.verdict.Action == ntp.Defer {
		answers, s.verdict.Reason = h.state.Query.Answer(h.now(), h.mono, h.clock, &s.req)
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
