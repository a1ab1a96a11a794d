package capture

import (
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"time"

	"ntsbridge/bridge/fleet/feed"
	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/ntp"
)

// Options say how a capture is read.
type Options struct {
	// Servers are the addresses whose clients are wanted; none: those that the
	// capture was taken at are found.
	Servers []netip.Addr
	// Keys are the symmetric keys of the old server, if they are known: its key
	// identifiers above 65535 are not Autokey's.
	Keys ntp.Keys
}

// Report is what became of a capture.
type Report struct {
	Problems
	Servers  []netip.Addr
	Requests uint64
	Answered uint64
	Clients  uint64 // seen by the inventory, packets counted
}

// answerWait is how long an answer may take. Longer ones are of no use to NTP.
const answerWait = 2 * time.Second

// maxPending bounds the requests that wait for their answers.
const maxPending = 1 << 16

// maxSearch is how many of them, the newest first, an answer is compared with.
const maxSearch = 8192

// Read reads a capture into an inventory. open is called twice where Servers is
// empty: once to find them.
func Read(open func() (io.ReadCloser, error), o Options, v *inventory.Inventory) (*Report, error) {
	rep := new(Report)
	rd := &reader{inventory: v, keys: o.Keys, report: rep, servers: make(map[netip.Addr]bool), flows: make(map[flowKey]*flow)}
	if rd.keys == nil {
		rd.keys = noKeys{}
	}
	for _, a := range o.Servers {
		rd.servers[a.Unmap()] = true
	}
	if len(o.Servers) == 0 {
		r, err := open()
		if err != nil {
			return nil, err
		}
		rd.servers, err = findServers(r, new(Problems))
		r.Close()
		if err != nil {
			return nil, err
		}
	}
	r, err := open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if err := each(r, &rep.Problems, rd.take); err != nil {
		return nil, err
	}
	rd.finish()
	for a := range rd.servers {
		rep.Servers = append(rep.Servers, a)
	}
	slices.SortFunc(rep.Servers, netip.Addr.Compare)
	rep.OneSided = rep.Requests > 0 && rep.Answered == 0
	return rep, nil
}

type noKeys struct{}

func (noKeys) FullMACLen(uint32) (int, bool) { return 0, false }

// reader pairs requests and answers.
type reader struct {
	inventory *inventory.Inventory
	keys      ntp.Keys
	report    *Report
	servers   map[netip.Addr]bool
	pending   []*request // in the order of arrival
	flows     map[flowKey]*flow
}

// request is one that may still be answered.
type request struct {
	sighting feed.Sighting
	autokey  *inventory.Autokey
	at       time.Time
	from, to netip.AddrPort
	transmit ntp.Timestamp
	done     bool
}

func (rd *reader) take(d *datagram) {
	rd.expire(d.at)
	switch {
	case d.tcp != nil:
		rd.takeTCP(d)
	case d.to.Port() == ntpPort && rd.servers[d.to.Addr()] && !rd.servers[d.from.Addr()] && isRequest(d.payload):
		rd.takeRequest(d)
	case rd.servers[d.from.Addr()] && d.from.Port() == ntpPort && len(d.payload) >= ntp.HeaderLen:
		rd.takeAnswer(d)
	case d.cut && (d.to.Port() == ntpPort || d.from.Port() == ntpPort):
		rd.report.Cut++
	}
}

func (rd *reader) takeRequest(d *datagram) {
	rd.report.Requests++
	if d.cut {
		rd.report.Cut++
	}
	req := &ntp.Request{Packet: d.payload, From: d.from, To: d.to.Addr(), Received: ntp.TimestampFromTime(d.at), TOS: d.tos, KnownTOS: true}
	req.Layout = ntp.Classify(d.payload, rd.keys)
	req.Header.Decode(d.payload)
	v := &ntp.Verdict{Kind: req.Layout.Kind, Reason: inventory.NoAnswer, Action: ntp.Drop}
	switch {
	case d.cut && req.Layout.Kind == ntp.KindNone:
		return // what is missing might have authenticated it
	case v.Kind == ntp.KindNTS:
		v.AEAD = guessAEAD(req)
	case v.Kind == ntp.KindAutokey:
		v.Operation = autokeyOperation(d.payload, &req.Layout)
	}
	q := &request{at: d.at, from: d.from, to: d.to, transmit: req.Header.Transmit}
	q.sighting.Fill(req, v, 0, 0)
	if host, group, ok := feed.AutokeyName(d.payload); ok && v.Kind == ntp.KindAutokey {
		q.autokey = &inventory.Autokey{Addr: d.from.Addr().As16(), At: req.Received, Host: host, Group: group}
	}
	if len(rd.pending) == maxPending {
		rd.release()
	}
	rd.pending = append(rd.pending, q)
}

// guessAEAD tells the AEAD from the length of the nonce: clients take the one
// that the algorithm has (RFC 8915, section 5.6).
func guessAEAD(req *ntp.Request) uint16 {
	b := req.Layout.Authenticator.Body(req.Packet)
	if len(b) < 2 {
		return 0
	}
	switch binary.BigEndian.Uint16(b) {
	case 12:
		return 30
	case 16:
		return 15
	}
	return 0
}

func autokeyOperation(p []byte, l *ntp.Layout) uint8 {
	f, ok := ntp.FieldAt(p, ntp.HeaderLen)
	if !ok || l.Fields == 0 {
		return 0
	}
	return uint8(f.Type)
}

// takeAnswer finds the request of an answer.
func (rd *reader) takeAnswer(d *datagram) {
	var h ntp.Header
	h.Decode(d.payload)
	if h.Mode != ntp.ModeServer && h.Mode != ntp.ModeSymmetricPassive {
		return
	}
	for i := len(rd.pending) - 1; i >= max(0, len(rd.pending)-maxSearch); i-- {
		q := rd.pending[i]
		if q.done || q.from != d.to || q.to != d.from {
			continue
		}
		received := ntp.Timestamp(binary.BigEndian.Uint64(q.sighting.Header[32:]))
		if h.Origin != q.transmit && (received == 0 || h.Origin != received) { // interleaved: origin is the receive timestamp
			continue
		}
		rd.report.Answered++
		q.answer(&h, d.payload)
		return
	}
}

// answer notes what an answer says of its request.
func (q *request) answer(h *ntp.Header, p []byte) {
	s := &q.sighting
	q.done = true
	s.Action, s.Reason, s.Sent = ntp.Answer, ntp.ReasonOK, h.Transmit
	if s.Kind != ntp.KindNone && len(p) == ntp.HeaderLen+4 && binary.BigEndian.Uint32(p[ntp.HeaderLen:]) == 0 {
		s.Action, s.Reason, s.Sent = ntp.CryptoNAK, ntp.ReasonUnknownKey, 0
		if s.Kind == ntp.KindAutokey {
			s.Reason = ntp.ReasonUnknownCookie
		}
		return
	}
	if h.Stratum != 0 {
		return
	}
	switch h.ReferenceID {
	case ntp.KissCode("RATE"):
		s.Action, s.Reason, s.Sent = ntp.KissRate, ntp.ReasonRateLimited, 0
	case ntp.KissCode("DENY"):
		s.Action, s.Reason, s.Sent = ntp.KissDeny, ntp.ReasonDenied, 0
	case ntp.KissCode("RSTR"):
		s.Action, s.Reason, s.Sent = ntp.KissRestrict, ntp.ReasonDenied, 0
	case ntp.KissCode("NTSN"):
		s.Action, s.Reason, s.Sent = ntp.NTSNAK, ntp.ReasonUnknownCookie, 0
	}
}

// expire gives away the requests that are answered or never will be, in the
// order in which they came.
func (rd *reader) expire(now time.Time) {
	for len(rd.pending) > 0 && (rd.pending[0].done || now.Sub(rd.pending[0].at) > answerWait) {
		rd.release()
	}
}

func (rd *reader) release() {
	q := rd.pending[0]
	rd.pending[0] = nil
	rd.pending = rd.pending[1:]
	if rd.inventory.See(&q.sighting) {
		rd.report.Clients++
	}
	if q.autokey != nil {
		rd.inventory.SeeAutokey(q.autokey)
	}
}

func (rd *reader) finish() {
	for len(rd.pending) > 0 {
		rd.release()
	}
	rd.finishFlows()
}

// String says in a line what a capture had.
func (r *Report) String() string {
	return fmt.Sprintf("%d frames from %s to %s, %d requests to %v, %d answered", r.Frames,
		r.FirstFrame.UTC().Format(time.RFC3339), r.LastFrame.UTC().Format(time.RFC3339), r.Requests, r.Servers, r.Answered)
}
