package server

import (
	"net/netip"
	"time"

	"ntsbridge/autokey"
	"ntsbridge/bridge/access"
	"ntsbridge/bridge/ntp"
	"ntsbridge/symkey"
)

// handler works on requests and knows nothing of sockets. Each worker and the
// slow lane has its own.
type handler struct {
	state    *State
	clock    *ntp.ClockState
	store    *timestampStore
	proved   *proved
	zeroSeed *zeroSeedTable
	guard    guard
	count    *counters
	sym      *symkey.Scratch
	now      func() ntp.Timestamp
	hits     *ruleHits
	mono     int64 // nanoseconds, for rate limits; set for each batch
	slow     bool  // public-key work is allowed here
}

// open judges one request and does everything that needs no timestamp. It
// expects packet, addresses and receive timestamp in s.req.
func (h *handler) open(s *slot) {
	s.verdict = h.judge(s)
	if s.verdict.Action != ntp.Defer {
		h.countVerdict(s)
	}
}

func (h *handler) countVerdict(s *slot) {
	v := &s.verdict
	version, mode := uint8(0), ntp.ModeReserved
	if len(s.req.Packet) > 0 {
		version, mode = ntp.VersionOf(s.req.Packet), ntp.ModeOf(s.req.Packet)
	}
	if mode != ntp.ModeClient {
		h.count.modes[mode].Add(1)
	}
	h.count.packets[v.Kind][version][v.Action][v.Reason].Add(1)
	if v.Marks != 0 {
		h.countMarks(s)
	}
	if v.Kind == ntp.KindAutokey && v.Action == ntp.Answer {
		h.count.autokeyOps[v.Operation&15].Add(1)
	}
}

func (h *handler) countMarks(s *slot) {
	v := &s.verdict
	if v.Marks.Has(ntp.OldSecret) {
		h.count.oldSecret[v.Kind].Add(1)
	}
	if v.Marks.Has(ntp.ZeroSeed) {
		h.zeroSeed.note(s.req.From.Addr(), time.Now(), v.Action != ntp.Answer)
	}
}

// judge looks, in this order, at: source and header, trailer, access rule,
// rate limit, authentication. What costs more comes later. A MAC or an NTS
// authenticator is verified before the rate limit, since who can forge an
// address must not use up the limit of who lives there.
func (h *handler) judge(s *slot) ntp.Verdict {
	req := &s.req
	s.key = nil
	if h.isQuery(req.Packet) {
		return h.judgeQuery(req)
	}
	if reason := h.screen(req); reason != ntp.ReasonOK {
		return drop(ntp.KindNone, reason)
	}
	req.Layout = ntp.Classify(req.Packet, h.state.Keys)
	req.Header.Decode(req.Packet)
	rule := h.state.Access.Lookup(req.From)
	if !h.slow {
		h.hits.count(h.state.Access, rule)
	}
	msSNTP := rule.MSSNTP && h.state.Signing != nil && isMSSNTP(req.Packet)
	if msSNTP {
		req.Layout = ntp.Layout{MAC: ntp.HeaderLen, KeyID: accountOf(req.Packet)}
	}
	kind := req.Layout.Kind
	if action, reason := rule.Judge(kind, req.Header.Version); action != ntp.Answer {
		return h.refuse(req, ntp.Verdict{Action: action, Reason: reason, Kind: kind})
	}
	if req.Layout.Defect != ntp.ReasonOK {
		return drop(kind, req.Layout.Defect)
	}
	if req.Header.Mode == ntp.ModeSymmetricActive && kind == ntp.KindNTS {
		return drop(kind, ntp.ReasonMode)
	}
	if kind == ntp.KindSymmetric || kind == ntp.KindNTS {
		return h.judgeClaim(s, rule)
	}
	if v, staged := h.staged(req, rule, kind, 0); staged {
		return v
	}
	if msSNTP {
		return h.judgeMSSNTP(req, rule)
	}
	if h.slow { // the slow lane's requests were asked on the fast path
		return h.authenticate(s)
	}
	return h.limited(s, rule)
}

// staged tells whether a step of the migration refuses what would be answered:
// by silence, since whoever gets a kiss may stay away for good, before the rate
// limit could send one, and in the last stage of all by DENY if the plan says
// so. Of Autokey no cookie is looked at and none is lost.
func (h *handler) staged(req *ntp.Request, rule *access.Rule, kind ntp.Kind, key uint32) (v ntp.Verdict, staged bool) {
	step := rule.Refuses(kind, key)
	if step == nil || kind == ntp.KindAutokey && len(req.Packet) == msSNTPLen && isMSSNTP(req.Packet) {
		return v, false
	}
	if !h.slow {
		step.Count()
	}
	v = ntp.Verdict{Action: ntp.Drop, Reason: ntp.ReasonStage, Kind: kind, KeyID: key, Step: step.ID}
	if step.Deny {
		v.Action = ntp.KissDeny
	}
	return h.refuse(req, v), true
}

// judgeClaim judges a request that claims to be authentic. One that is has a
// rate limit of its own, of its key at its address; one that is not is limited
// as any other request of its address, before it gets so much as a NAK.
func (h *handler) judgeClaim(s *slot, rule *access.Rule) ntp.Verdict {
	kind, from := s.req.Layout.Kind, s.req.From.Addr()
	if !h.guard.admits(h.mono, func() bool { return h.proved.has(from, h.mono) }) {
		return drop(kind, ntp.ReasonBudget)
	}
	v := h.authenticate(s)
	if v.Action != ntp.Answer {
		h.guard.failed(h.mono, kind)
		if d := h.state.Limiter.Allow(from, h.mono, rule.Rate); d == access.Limited || d == access.Kissed {
			return drop(kind, ntp.ReasonRateLimited)
		}
		return v
	}
	h.proved.note(from, h.mono)
	holder := uint64(v.KeyID)
	if kind == ntp.KindNTS {
		holder = s.nts.Association()
	} else if action, reason := rule.JudgeKey(v.KeyID); action != ntp.Answer {
		return h.refuse(&s.req, ntp.Verdict{Action: action, Reason: reason, Kind: kind, KeyID: v.KeyID})
	} else if v, staged := h.staged(&s.req, rule, kind, v.KeyID); staged {
		return v
	}
	return h.overLimit(v, h.state.Limiter.AllowHolder(from, holder, h.mono, rule.Rate))
}

// limited judges a request that anybody can forge: rate limit first.
func (h *handler) limited(s *slot, rule *access.Rule) ntp.Verdict {
	kind, from := s.req.Layout.Kind, s.req.From.Addr()
	d := h.state.Limiter.Allow(from, h.mono, rule.Rate)
	if d == access.Limited || d == access.Kissed && kind == ntp.KindAutokey && s.req.Layout.Fields > 0 {
		return drop(kind, ntp.ReasonRateLimited) // a kiss has no room for what an Autokey message is about
	}
	v := h.authenticate(s)
	if v.Action == ntp.Answer && kind == ntp.KindAutokey && s.req.Layout.Fields == 0 && !v.Marks.Has(ntp.ZeroSeed) {
		h.proved.note(from, h.mono)
	}
	return h.overLimit(v, d)
}

// overLimit turns the verdict on a request into what its rate limit leaves of
// it.
func (h *handler) overLimit(v ntp.Verdict, d access.Decision) ntp.Verdict {
	switch {
	case d == access.Limited, d == access.Kissed && v.Action != ntp.Answer:
		return drop(v.Kind, ntp.ReasonRateLimited)
	case d == access.Kissed:
		// Sealed as an answer would be, since clients believe no other.
		v.Action, v.Reason = ntp.KissRate, ntp.ReasonRateLimited
	}
	return v
}

// isQuery tells whether a packet is one for State.Query.
func (h *handler) isQuery(p []byte) bool {
	return h.state.Query != nil && len(p) > 0 && ntp.ModeOf(p) == ntp.ModeControl
}

// judgeQuery decides who may ask. The rate limit for requests of time does
// not count here; Query has its own.
func (h *handler) judgeQuery(req *ntp.Request) ntp.Verdict {
	if !answerable(req.From) {
		return drop(ntp.KindNone, ntp.ReasonMulticastSource)
	}
	rule := h.state.Access.Lookup(req.From)
	if !h.slow {
		h.hits.count(h.state.Access, rule)
	}
	if !mayQuery(rule, req) {
		return drop(ntp.KindNone, ntp.ReasonDenied)
	}
	if !h.slow && !h.state.Query.Admit(h.mono, req, h.proved.has(req.From.Addr(), h.mono)) {
		return drop(ntp.KindNone, ntp.ReasonRateLimited)
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

// answerable tells whether there can be somebody at a source address.
func answerable(from netip.AddrPort) bool {
	return !from.Addr().IsMulticast() && !from.Addr().IsUnspecified() && from.Port() != 0
}

// screen refuses what no rule could admit.
func (h *handler) screen(req *ntp.Request) ntp.Reason {
	if len(req.Packet) < ntp.HeaderLen {
		return ntp.ReasonShort
	}
	if !answerable(req.From) {
		return ntp.ReasonMulticastSource
	}
	version := ntp.VersionOf(req.Packet)
	if version < 1 || version > 4 {
		return ntp.ReasonVersion
	}
	switch ntp.ModeOf(req.Packet) {
	case ntp.ModeClient, ntp.ModeSymmetricActive:
		return ntp.ReasonOK
	case ntp.ModeReserved:
		if version == 1 { // RFC 1059 has no modes for clients
			return ntp.ReasonOK
		}
	}
	return ntp.ReasonMode
}

// refuse bounds the kiss codes that refused clients get, since they are not
// behind a rate limit.
func (h *handler) refuse(req *ntp.Request, v ntp.Verdict) ntp.Verdict {
	if (v.Action == ntp.KissDeny || v.Action == ntp.KissRestrict) &&
		!h.state.Limiter.AllowKiss(req.From.Addr(), h.mono) {
		v.Action = ntp.Drop
	}
	return v
}

// authenticate asks the one authenticator that the packet claims.
func (h *handler) authenticate(s *slot) ntp.Verdict {
	st := h.state
	switch s.req.Layout.Kind {
	case ntp.KindSymmetric:
		v, key := st.Keys.Open(&s.req, h.sym)
		s.key = key
		return v
	case ntp.KindAutokey:
		if st.Autokey == nil { // as ntpd without a crypto line
			return ntp.Verdict{Action: ntp.CryptoNAK, Reason: ntp.ReasonNotEnabled, Kind: ntp.KindAutokey}
		}
		if s.req.Header.Mode == ntp.ModeSymmetricActive {
			return activeAutokey(&s.req)
		}
		s.autokey.Known = h.slow && h.proved.has(s.req.From.Addr(), h.mono)
		return st.Autokey.Open(s.req.Received, h.clock.Synchronised(), &s.req, s.autokey, h.slow)
	case ntp.KindNTS:
		if st.NTS == nil {
			return drop(ntp.KindNTS, ntp.ReasonNotEnabled)
		}
		return st.NTS.Open(&s.req, s.nts)
	}
	return ntp.Verdict{Action: ntp.Answer, Kind: ntp.KindNone}
}

// activeAutokey judges a request in symmetric active mode with a key identifier
// of Autokey, from a host that is no peer of ours: silence, since a peer with
// Autokey must be configured; but a client of Active Directory, whose MAC is
// all zero, gets a crypto-NAK, as ntpd 4.2.8p15 sends it.
func activeAutokey(req *ntp.Request) ntp.Verdict {
	if len(req.Packet) == msSNTPLen && isMSSNTP(req.Packet) {
		return ntp.Verdict{Action: ntp.CryptoNAK, Reason: ntp.ReasonUnknownKey, Kind: ntp.KindAutokey}
	}
	return drop(ntp.KindAutokey, ntp.ReasonMode)
}

// finish writes the answer of an opened slot into resp and returns its
// length, 0 for none. base is the clock's part of the header.
func (h *handler) finish(s *slot, base *ntp.Header, resp []byte) int {
	s.sent = 0
	if s.verdict.Action == ntp.Drop || s.verdict.Action == ntp.Defer {
		return 0
	}
	hd := *base
	hd.Version = s.req.Header.Version
	hd.Mode = ntp.ModeServer
	if s.req.Header.Mode == ntp.ModeSymmetricActive {
		hd.Mode = ntp.ModeSymmetricPassive
	}
	hd.Poll = s.req.Header.Poll
	hd.Origin = s.req.Header.Transmit
	hd.Receive = h.clock.Served(s.req.Received)
	h.depart(s, &hd)
	hd.Encode(resp)
	s.sent = hd.Transmit
	n := h.seal(s, resp)
	if !h.affords(s, n) {
		s.verdict, s.sent = drop(s.verdict.Kind, ntp.ReasonBudget), 0
		h.count.excessDropped.Add(1)
		return 0
	}
	return n
}

// Of the octets that answers may be longer than requests, half are kept for
// answers that are longer by no more than smallExcess: cookies and signatures
// go on while certificates wait. A quarter is kept from ASSOC, by which every
// forger begins, for those who have come further.
const smallExcess = 512

// affords tells whether an answer of n octets may be as long as it is.
func (h *handler) affords(s *slot, n int) bool {
	in := len(s.req.Packet)
	if n <= in {
		return true
	}
	if pool := h.state.Excess; pool != nil {
		keep := 0
		switch {
		case n-in > smallExcess:
			keep = pool.Burst() / 2
		case s.autokey.Op == autokey.OpAssoc && !h.proved.has(s.req.From.Addr(), h.mono):
			keep = pool.Burst() / 4
		}
		if !pool.Spend(h.mono, n-in, keep) {
			return false
		}
	}
	h.count.amplifiedIn.Add(uint64(in))
	h.count.amplifiedOut.Add(uint64(n))
	return true
}

// depart sets the transmit timestamp, the last thing before sealing, or for a
// client in interleaved mode the one at which the earlier answer left. The
// request of such a client carries as origin the receive timestamp of that
// answer, and gets its own receive timestamp back as origin. What is remembered
// is served time: smeared with the offset of its own moment.
func (h *handler) depart(s *slot, hd *ntp.Header) {
	s.stampTX = false
	if s.verdict.Action != ntp.Answer {
		hd.Transmit = h.clock.Served(h.now())
		h.kiss(s, hd)
		return
	}
	hd.Receive = h.store.reserve(hd.Receive)
	s.receive = hd.Receive
	req := &s.req.Header
	earlier, interleaved := ntp.Timestamp(0), false
	if req.Receive != req.Transmit && req.Mode == ntp.ModeClient {
		earlier, interleaved = h.store.get(req.Origin)
	}
	hd.Transmit = h.clock.Served(h.now())
	if h.clock.Smear.Alarm {
		return // what is remembered now could be a second off
	}
	h.store.put(hd.Receive, hd.Transmit)
	if interleaved {
		hd.Origin, hd.Transmit = req.Receive, earlier
		s.stampTX = true
		h.count.interleaved.Add(1)
	}
}

// minKissPoll is the least poll exponent that a kiss code RATE proposes: 64 s,
// ntpd's least default, as its own kiss takes a client there at once.
const minKissPoll = 6

var kissCodes = [actionCount]uint32{
	ntp.KissRate:     ntp.KissCode("RATE"),
	ntp.KissDeny:     ntp.KissCode("DENY"),
	ntp.KissRestrict: ntp.KissCode("RSTR"),
	ntp.NTSNAK:       ntp.KissCode("NTSN"),
}

// kiss makes a kiss-o'-death of the header (RFC 5905, section 7.4) where the
// verdict asks for one. It carries no time, and says so as ntpd does: receive
// and transmit timestamp are the origin. A client of ntpd 4.2.8p15 ignores a
// kiss that looks as if it had some ("inconsistent xmt/org/rec timestamps").
func (h *handler) kiss(s *slot, hd *ntp.Header) {
	code := kissCodes[s.verdict.Action]
	if code == 0 {
		return
	}
	hd.Leap, hd.Stratum, hd.ReferenceID = ntp.LeapUnknown, 0, code
	hd.Receive, hd.Transmit = hd.Origin, hd.Origin
	if s.verdict.Action == ntp.KissRate {
		hd.Poll = max(hd.Poll, minKissPoll)
	}
}

// seal completes the answer whose header is final.
func (h *handler) seal(s *slot, resp []byte) int {
	switch s.verdict.Action {
	case ntp.CryptoNAK:
		n := echo(&s.req, resp, ntp.HeaderLen)
		clear(resp[n : n+4])
		return n + 4
	case ntp.NTSNAK:
		return h.state.NTS.NAK(resp, ntp.HeaderLen, s.nts)
	case ntp.KissDeny, ntp.KissRestrict: // the client is not served: no key is used for it
		return echo(&s.req, resp, ntp.HeaderLen)
	}
	switch s.verdict.Kind {
	case ntp.KindSymmetric:
		macLen := len(s.req.Packet) - s.req.Layout.MAC - 4
		return s.key.Seal(resp, echo(&s.req, resp, ntp.HeaderLen), macLen, h.sym)
	case ntp.KindAutokey:
		return h.state.Autokey.Seal(&s.req, resp, s.autokey)
	case ntp.KindNTS:
		return h.state.NTS.Seal(resp, ntp.HeaderLen, s.nts)
	}
	return echo(&s.req, resp, ntp.HeaderLen)
}

// echo puts the unique identifier of a client's request behind resp[:n] and
// returns the new length. What NTS and Autokey seal has it from there.
func echo(req *ntp.Request, resp []byte, n int) int {
	if id := req.Identifier(); n+len(id)+4 <= len(resp) {
		n += copy(resp[n:], id)
	}
	return n
}

func newHandler(srv *shared, count *counters, slow bool) handler {
	return handler{store: srv.store, proved: srv.proved, zeroSeed: srv.zeroSeed, count: count, sym: symkey.NewScratch(),
		hits: new(ruleHits), now: systemTime, slow: slow}
}
