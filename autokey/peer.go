package autokey

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"ntsbridge/autokey/keyfile"
	"ntsbridge/bridge/ntp"
)

// Peer is an association in symmetric active or passive mode. Both sides ask
// and answer; a packet carries at most one response and one request. It is
// used as a Client is.
//
// Two ntpd 4.2.8p15 never get through this exchange, since each drops packets
// with another key identifier than the one it sent last. The order of the
// messages is that of older ones, which could.
type Peer struct {
	association
	server *Server // answers what does not depend on the association
	sess   Session

	out      outgoing
	sent     [2]sentPacket // the last one first
	pending  []byte        // request to be answered
	list     Message       // AUTO response for the current key list
	push     bool          // list was not sent yet
	synced   bool          // the other side's clock is synchronised
	lastGood time.Duration
	good     bool
}

// NewPeer makes a symmetric association. server answers the requests for
// certificates, identity, signatures and leap seconds, within its budget; it
// must have the same keys and digest as the association.
func NewPeer(cfg AssociationConfig, server *Server) (*Peer, error) {
	if server == nil {
		return nil, fmt.Errorf("%w: no server", ErrConfig)
	}
	p := &Peer{server: server}
	if err := p.init(cfg, ntp.ModeSymmetricActive); err != nil {
		return nil, err
	}
	return p, nil
}

// Restart clears all that was agreed and begins anew with ASSOC.
func (p *Peer) Restart() {
	p.restart()
	p.forget()
}

// forget clears what belongs to the old dance and is not in it.
func (p *Peer) forget() {
	p.out, p.sent, p.push = outgoing{}, [2]sentPacket{}, false
	p.list, p.pending, p.good = Message{}, nil, false
}

// Prepare does for the next packet what needs no timestamp.
func (p *Peer) Prepare(m Moment, poll time.Duration) error {
	p.out = outgoing{fields: p.out.fields[:0]}
	id, fresh, err := p.nextKey(m, poll, p.cookie, p.cfg.Local, p.cfg.Remote)
	if err != nil {
		return err
	}
	p.out.id = id
	if fresh {
		if err := p.newList(m); err != nil {
			return err
		}
	}
	p.respond(m)
	if err := p.ask(m); err != nil {
		return err
	}
	p.out.ready = true
	return nil
}

// newList signs the values of a new key list.
func (p *Peer) newList(m Moment) (err error) {
	p.list, err = p.cred.autokeyMessage(m, p.keys.values())
	p.push = err == nil
	return err
}

// autokeyMessage makes the AUTO response for a key list, signed if the host is
// synchronised.
func (c *Credentials) autokeyMessage(m Moment, v AutokeyValues) (Message, error) {
	q := Message{Code: Request(OpAuto) | bitResponse, Timestamp: m.timestamp(), Filestamp: c.Updated(), Value: v.append(nil)}
	if q.Timestamp == 0 {
		return q, nil
	}
	var err error
	if q.Signature, err = c.sign(q.appendSigned(nil)); err != nil {
		return Message{}, fmt.Errorf("autokey: AUTO: %w", err)
	}
	return q, nil
}

// respond appends the response to the pending request.
func (p *Peer) respond(m Moment) {
	if p.pending == nil {
		return
	}
	field := p.pending
	p.pending = nil
	p.sess.reset(p.cfg.Digest, len(field))
	p.sess.Op, p.sess.HasMessage = Code(binary.BigEndian.Uint16(field)).Op(), true
	req := &ntp.Request{Packet: field, To: p.cfg.Local, From: addrPort(p.cfg.Remote)}
	action, reason := p.server.answer(&call{
		server: p.server, now: m.Time, synced: m.Synchronised, req: req, sess: &p.sess, field: field, peer: p, slow: true,
	})
	if action != ntp.Answer || reason == ntp.ReasonTooLarge {
		return // over the budget, or no room: the other side asks again
	}
	response := p.sess.field[:p.sess.fieldLen]
	if p.sess.Op == OpAssoc && p.sess.Event == EventOK {
		binary.BigEndian.PutUint32(response[4:], uint32(p.id))
	}
	p.out.fields = append(p.out.fields, response...)
}

// dispatch answers what belongs to the association and not to the host.
func (p *Peer) dispatch(c *call, code Code) (outcome, bool) {
	switch code {
	case Request(OpCook):
		return p.answerCookie(c), true
	case Request(OpAuto):
		if p.list.Timestamp == 0 {
			return outcome{message: Message{Short: true}}, true
		}
		return outcome{message: p.list}, true
	}
	return outcome{}, false
}

// answerCookie gives out our half of the cookie.
func (p *Peer) answerCookie(c *call) outcome {
	value, ok := payload(c.field)
	if !ok || len(value) == 0 {
		return failed(EventLEN)
	}
	pub, err := keyfile.ParsePublicKey(value)
	if err != nil {
		return failed(EventPUB)
	}
	if p.status == 0 || !c.synced {
		return outcome{reason: ntp.ReasonBudget} // no answer; an error would make it start over
	}
	if !p.server.budget.Spend(p.cfg.Remote, cookieCost(pub)+p.server.signCost, 0) {
		return outcome{reason: ntp.ReasonBudget}
	}
	q := Message{Timestamp: stamp(c.now), Filestamp: p.cred.Updated()}
	if q.Value, err = keyfile.EncryptCookie(p.rand, pub, p.hostCookie); err != nil {
		return failed(EventCKY)
	}
	if q.Signature, err = p.cred.sign(q.appendSigned(nil)); err != nil {
		return failed(EventERR)
	}
	return outcome{message: q}
}

// ask appends our request, or the values of a new key list, if there is room.
func (p *Peer) ask(m Moment) error {
	op := p.next(m, p.synced)
	var q Message
	var err error
	switch {
	case p.push && p.has(FlagSIGN|FlagAUTO|FlagCOOK) && (op == OpNull || op == OpLeap):
		q, op = p.list, OpNull
		q.AssociationID = p.peerID
	case op == OpNull:
		return nil
	default:
		if q, err = p.request(m, op); err != nil {
			return err
		}
	}
	if len(p.out.fields)+q.len() > maxMessageLen {
		return nil // the response alone, then
	}
	p.out.fields = q.Append(p.out.fields)
	if op == OpNull {
		p.push = false
	} else {
		p.out.ops = append(p.out.ops, op)
	}
	return nil
}

// Seal completes the packet: p[:48] is the final header. p must have
// MaxResponseLen octets. The result is the length, 0 without Prepare.
func (p *Peer) Seal(packet []byte) int {
	if !p.out.ready {
		return 0
	}
	p.out.ready = false
	p.sent[1] = p.sent[0]
	p.sent[0] = sentPacket{waiting: true, id: p.out.id, transmit: ntp.Timestamp(binary.BigEndian.Uint64(packet[40:]))}
	if len(p.out.ops) > 0 {
		p.sent[0].op, p.sent[0].hasOp = p.out.ops[0], true
	}
	return p.seal(packet, &p.out, p.cfg.Local, p.cfg.Remote, p.cookie)
}

// Receive judges a packet from the peer's address.
func (p *Peer) Receive(m Moment, packet []byte) Outcome {
	var out Outcome
	l := ntp.Classify(packet, autokeyOnly{})
	if out.Err = p.open(packet, &l); out.Err != nil {
		if out.Err == ErrCryptoNAK {
			if out.Restarted = p.nak(m); out.Restarted {
				p.forget()
			}
			p.err = ErrCryptoNAK
		}
		return out
	}
	p.synced = ntp.Leap(packet[0]>>6) != ntp.LeapUnknown
	p.messages(m, packet, &l, &out)
	out.Answer = p.pending != nil
	out.Progress = !out.Waiting && p.next(m, p.synced) != OpNull
	if out.Err != nil {
		return out
	}
	p.judge(m, &l, &out)
	return out
}

// judge decides whether the packet may be used for time.
func (p *Peer) judge(m Moment, l *ntp.Layout, out *Outcome) {
	if !p.has(FlagPROV | FlagCOOK) {
		return
	}
	if !p.sequence.follow(p.scratch, p.cfg.Remote, p.cfg.Local, l.KeyID, p.cookie) {
		p.clear(FlagAUTO) // what is known stays good for packets in sequence
		out.Progress = true
		if l.Fields == 0 {
			out.Err, p.err = ErrSequence, ErrSequence
		}
		return
	}
	p.lastGood, p.good = m.Uptime, true
	out.Usable = true
	if p.refresh(m) {
		p.forget()
		out.Restarted, out.Usable = true, false
	}
}

// open checks form, crypto-NAK and MAC.
func (p *Peer) open(packet []byte, l *ntp.Layout) error {
	mode := ntp.Mode(0)
	if len(packet) > 0 {
		mode = ntp.ModeOf(packet)
	}
	if l.Defect != ntp.ReasonOK && l.Defect != ntp.ReasonCryptoNAK || len(packet) > MaxResponseLen ||
		mode != ntp.ModeSymmetricActive && mode != ntp.ModeSymmetricPassive {
		return ErrPacket
	}
	if l.Defect == ntp.ReasonCryptoNAK {
		if len(packet) != ntp.HeaderLen+4 {
			return ErrPacket
		}
		if p.answers(packet) == nil {
			return ErrOrigin
		}
		return ErrCryptoNAK
	}
	if l.Kind != ntp.KindAutokey {
		return ErrPacket
	}
	cookie := p.cookie
	if l.Fields > 0 {
		cookie = 0
	}
	if !p.verifyMAC(packet, l, p.cfg.Remote, p.cfg.Local, cookie) {
		return ErrMAC
	}
	return nil
}

// answers returns which of our last two packets a packet answers: the one whose
// transmit timestamp it has as origin; nil for none. Two, since both sides send
// when they like, and packets cross.
func (p *Peer) answers(packet []byte) *sentPacket {
	origin := ntp.Timestamp(binary.BigEndian.Uint64(packet[24:]))
	for i := range p.sent {
		if s := &p.sent[i]; s.waiting && s.transmit == origin && origin != 0 {
			return s
		}
	}
	return nil
}

// maxPeerFields is how many messages of one packet are looked at.
const maxPeerFields = 2

// messages handles the messages of a packet.
func (p *Peer) messages(m Moment, packet []byte, l *ntp.Layout, out *Outcome) {
	if l.Fields > maxPeerFields {
		out.Err = messageError(OpNull, EventLEN, "%d messages, at most %d", l.Fields, maxPeerFields)
		return
	}
	for offset := ntp.HeaderLen; offset < l.MAC && out.Err == nil; {
		f, ok := ntp.FieldAt(packet, offset)
		if !ok {
			out.Err = ErrPacket
			return
		}
		msg, err := parseMessage(bytes.Clone(packet[f.Offset : f.Offset+f.Length])) // the buffer may be used again
		switch {
		case err != nil:
			out.Err = messageError(OpNull, EventLEN, "%w", err)
		case msg.Code.Version() != Version:
			out.Err = messageError(msg.Code.Op(), EventLEN, "version %d", msg.Code.Version())
		case msg.Code.response():
			p.reply(m, packet, &msg, out)
		case !msg.Code.Error():
			p.requested(m, &msg, packet[f.Offset:f.Offset+f.Length], out)
		}
		offset += f.Length
	}
	if out.Err != nil {
		p.err = out.Err
	}
}

// reply handles a response: to a request of ours in a packet that answers
// ours, or pushed autokey values, which are signed. Others are passed over, as
// a response that comes twice is.
func (p *Peer) reply(m Moment, packet []byte, msg *Message, out *Outcome) {
	op := msg.Code.Op()
	sent := p.answers(packet)
	asked := sent != nil && sent.hasOp && sent.op == op
	switch {
	case !asked && op == OpAuto && !msg.Code.Error() && p.has(FlagVRFY):
		out.Op, out.HasMessage = op, true
		if _, err := p.install(m, msg); err != nil {
			out.Err = err
		}
	case !asked:
	case msg.Short && !msg.Code.Error():
		out.Op, out.HasMessage, out.Waiting = op, true, true
	default:
		sent.hasOp = false
		p.response(m, msg, out)
		if out.Restarted {
			p.forget()
		}
	}
}

// requested notes a request. What it asks for is done when the next packet is
// prepared, so that a flood of requests costs no public-key operations.
func (p *Peer) requested(m Moment, msg *Message, field []byte, out *Outcome) {
	if msg.Code.Op() != OpAssoc {
		if p.pending == nil {
			p.pending = slices.Clone(field)
		}
		if msg.Code.Op() == OpCook && p.has(FlagCOOK) && m.Uptime >= p.restartable {
			// It was restarted and has another half of the cookie now. If the
			// request is forged, we only get the same cookie again.
			p.restartable = m.Uptime + p.cfg.RestartInterval
			p.clear(FlagCOOK)
		}
		return
	}
	if p.status != 0 && msg.AssociationID != p.peerID && p.lost(m) {
		// It was restarted: our half of the cookie is of no use to it.
		if p.nak(m) {
			p.forget()
			out.Restarted = true
		}
	}
	p.pending = slices.Clone(field)
	if p.status == 0 {
		if err := p.installAssociation(m, msg); err != nil {
			p.err = err // our own ASSOC will tell
		}
	}
}

// lost reports whether nothing in sequence came for four polls. ASSOC messages
// can be forged, so one alone must not end a sound association.
func (p *Peer) lost(m Moment) bool {
	return !p.good || m.Uptime-p.lastGood > 4*max(p.keysPoll, time.Second)
}

// addrPort is an address with a port that does not matter.
func addrPort(a netip.Addr) netip.AddrPort { return netip.AddrPortFrom(a, 0) }
