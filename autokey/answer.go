package autokey

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"time"

	"ntsbridge/autokey/identity"
	"ntsbridge/autokey/keyfile"
	"ntsbridge/bridge/ntp"
)

// call is one message to be answered.
type call struct {
	server *Server
	now    ntp.Timestamp
	synced bool
	req    *ntp.Request
	sess   *Session
	field  []byte    // at least 8 octets
	peer   responder // the association that answers first, in symmetric modes
	slow   bool      // public-key operations are allowed
	key    answerKey // what the answer is remembered by; set by recall
}

// responder answers what belongs to an association and not to the host.
type responder interface {
	dispatch(c *call, code Code) (o outcome, ok bool)
}

// outcome is what became of a message: a response, an error response (Event
// is not EventOK), nothing when the budget is used up, or nothing yet, since it
// takes public-key operations and they are not allowed here.
type outcome struct {
	message  Message
	event    Event
	reason   ntp.Reason
	deferred bool
}

var deferred = outcome{deferred: true}

func failed(e Event) outcome { return outcome{event: e, reason: ntp.ReasonBadField} }

// payload returns the value of a message as ntpd reads requests: the value
// length must fit the field, padding and signature are not looked at. ok is
// false if the field has no value length or it is too large.
func payload(field []byte) (value []byte, ok bool) {
	if len(field) < nameLen {
		return nil, false
	}
	n := uint64(binary.BigEndian.Uint32(field[16:]))
	if n > uint64(len(field)-nameLen) {
		return nil, false
	}
	return field[nameLen : nameLen+int(n)], true
}

// answer prepares the response to a message in the session.
func (s *Server) answer(c *call) (ntp.Action, ntp.Reason) {
	code := Code(binary.BigEndian.Uint16(c.field))
	o := c.dispatch(code &^ bitResponse)
	if o.deferred {
		return ntp.Defer, ntp.ReasonOK
	}
	if o.reason == ntp.ReasonBudget {
		return ntp.Drop, o.reason
	}
	m := &o.message
	m.Code = code | bitResponse
	if o.event != EventOK {
		m.Code |= bitError
		m.Short = true
	}
	m.AssociationID = binary.BigEndian.Uint32(c.field[4:])
	c.sess.Event = o.event
	if m.len() > maxMessageLen {
		// ntpd then sends the packet without the message.
		return ntp.Answer, ntp.ReasonTooLarge
	}
	if !s.budget.SpendOwn(c.req.From.Addr(), excess(c.req, s.digest, m)) {
		return ntp.Drop, ntp.ReasonBudget
	}
	c.sess.fieldLen = len(m.Append(c.sess.field[:0]))
	return ntp.Answer, o.reason
}

// excess returns by how many octets the answer with a message is longer than
// the request.
func excess(req *ntp.Request, d Digest, m *Message) int {
	return max(0, ntp.HeaderLen+m.len()+4+d.macLen()-len(req.Packet))
}

// dispatch answers by operation. The code has version and error bit, so that
// only requests of version 2 without error bit match.
func (c *call) dispatch(code Code) outcome {
	if c.peer != nil {
		if o, ok := c.peer.dispatch(c, code); ok {
			return o
		}
	}
	switch code {
	case Request(OpAssoc):
		return c.association()
	case Request(OpAuto):
		return c.autokeyValues()
	case Request(OpCert):
		return c.certificate()
	case Request(OpCook):
		return c.cookie()
	case Request(OpLeap):
		return c.leap()
	case Request(OpSign):
		return c.sign()
	case Request(OpIFF):
		if k := c.server.host.IFF; k != nil {
			return c.identity(k, c.server.host.IFFFilestamp, iffCost(k))
		}
	case Request(OpGQ):
		if k := c.server.host.GQ; k != nil {
			return c.identity(k, c.server.host.GQFilestamp, gqCost(k, len(c.field)))
		}
	case Request(OpMV):
		if k := c.server.host.MV; k != nil {
			return c.identity(k, c.server.host.MVFilestamp, mvCost(k))
		}
	default:
		return failed(EventERR)
	}
	return outcome{event: EventID, reason: ntp.ReasonNotEnabled}
}

// association answers ASSOC. Nothing of the request matters.
func (c *call) association() outcome {
	v := c.values()
	if v == nil {
		return deferred
	}
	return outcome{message: Message{
		Timestamp: v.timestamp,
		Filestamp: uint32(v.status),
		Value:     c.server.name,
	}}
}

// values returns the signed values for answering, nil if they have to be signed
// first and this is not the place.
func (c *call) values() *values {
	if c.slow {
		return c.server.current(c.now, c.synced)
	}
	if v := c.server.values.Load(); !c.synced || v.timestamp != 0 {
		return v
	}
	return nil
}

// certificate answers CERT. A certificate that is not there, or not to be
// given out yet, is an empty response: an error would make the client start
// over.
func (c *call) certificate() outcome {
	name, ok := payload(c.field)
	if !ok || len(name) == 0 || len(name) > maxNameLen {
		return failed(EventLEN)
	}
	if i := bytes.IndexByte(name, 0); i >= 0 {
		name = name[:i]
	}
	v := c.values()
	if v == nil {
		return deferred
	}
	m, ok := v.certificates[string(name)]
	if !ok || !c.synced {
		return outcome{message: Message{Short: true}}
	}
	return outcome{message: m}
}

// leap answers LEAP.
func (c *call) leap() outcome {
	v := c.values()
	if v == nil {
		return deferred
	}
	return outcome{message: v.leap}
}

// autokeyValues answers AUTO with the values of the broadcast association that
// the request names; a server that does not broadcast has none.
func (c *call) autokeyValues() outcome {
	m, ok := c.server.autokeyValues(binary.BigEndian.Uint32(c.field[4:]))
	if !ok {
		return failed(EventERR)
	}
	return outcome{message: m}
}

// cookie answers COOK with the cookie of the server's own seed. Client and
// address are bound by nothing but the address.
func (c *call) cookie() outcome {
	value, ok := payload(c.field)
	if !ok || len(value) == 0 || len(c.field)-valueLen < len(value) {
		return failed(EventLEN)
	}
	v := c.values()
	if v == nil {
		return deferred
	}
	if o, done := c.recall(value, v.timestamp); done {
		return o
	}
	pub, err := keyfile.ParsePublicKey(value)
	if err != nil {
		return failed(EventPUB)
	}
	return c.costly(v.timestamp, cookieCost(pub), func() ([]byte, Event) {
		cookie := c.sess.scratch.Cookie(c.req.From.Addr(), c.req.To, c.server.seeds[0])
		ciphertext, err := keyfile.EncryptCookie(c.server.rand, pub, cookie)
		if err != nil {
			return nil, EventCKY
		}
		return ciphertext, EventOK
	})
}

// identity answers the challenge of an identity scheme.
func (c *call) identity(r identity.Responder, filestamp uint32, cost int) outcome {
	challenge, ok := payload(c.field)
	if !ok || len(challenge) == 0 {
		return failed(EventLEN)
	}
	if o, done := c.recall(challenge, filestamp); done {
		return o
	}
	return c.costly(filestamp, cost, func() ([]byte, Event) {
		response, err := r.Respond(c.server.rand, challenge)
		switch {
		case errors.Is(err, identity.ErrChallenge):
			return nil, EventLEN
		case err != nil:
			return nil, EventERR
		}
		return response, EventOK
	})
}

// sign answers SIGN with a certificate that the server issues to the client.
//
// Like ntpd it signs whatever parses: neither the self-signature nor the
// subject nor the age of the request is checked, since refusing means the
// error bit, and that makes a client start over, for ever. This includes a
// subject equal to our own name, which an appliance that is called
// "localhost", as the server is, has with good reason. Such a certificate
// says "self-signed" by its names, but its signature does not verify with the
// key in it, so every reader that checks, as ntpd does, refuses it. It must
// never be given out in our name: the server keeps no certificate that it
// signs, except for the short memory of answers that is asked by the whole
// request only, and chooseCertificates refuses foreign keys in our name.
func (c *call) sign() outcome {
	s := c.server
	if !c.synced {
		return failed(EventTSP)
	}
	value, ok := payload(c.field)
	if !ok || len(value) == 0 {
		return failed(EventLEN)
	}
	filestamp := binary.BigEndian.Uint32(c.field[12:])
	if o, done := c.recall(value, filestamp); done {
		return o
	}
	request, err := keyfile.ParseCertificate(value)
	if err != nil {
		return failed(EventCRT)
	}
	own := s.host.Certificate
	now := c.now.Time(own.NotBefore).Truncate(time.Second)
	if now.Before(own.NotBefore) || now.After(own.NotAfter) {
		return failed(EventPER)
	}
	return c.costly(filestamp, s.signCost, func() ([]byte, Event) {
		der, err := keyfile.SignCertificate(s.rand, request, keyfile.Issuer{
			Name: s.host.Name,
			Key:  s.host.Signer(),
			NID:  s.host.NID(),
		}, now)
		if err != nil {
			return nil, EventVFY
		}
		return der, EventOK
	})
}

// recall returns the answer that an equal request was given lately. Without
// one, the fast path is done: what would be the answer is for later.
func (c *call) recall(request []byte, filestamp uint32) (o outcome, done bool) {
	c.key = c.keyOf(request, filestamp)
	if m, ok := c.server.answers.get(&c.key, c.now); ok {
		c.sess.Cached = true
		return outcome{message: m}, true
	}
	return deferred, !c.slow
}

// costly makes a signed response whose value costs public-key operations, by
// make if the budget allows. The answer is remembered by what recall has looked
// for.
func (c *call) costly(filestamp uint32, cost int, make func() ([]byte, Event)) outcome {
	s := c.server
	if c.synced {
		cost += s.signCost
	}
	if !s.budget.Spend(c.req.From.Addr(), cost, c.keep()) {
		return outcome{reason: ntp.ReasonBudget}
	}
	c.sess.Cost = cost
	value, event := make()
	if event != EventOK {
		return failed(event)
	}
	m := Message{Filestamp: filestamp, Value: value}
	if c.synced {
		m.Timestamp = stamp(c.now)
		if err := s.sign(&m); err != nil {
			return failed(EventERR)
		}
	}
	s.answers.put(&remembered{key: c.key, made: c.now, life: lifetime(c.sess.Op), message: m})
	return outcome{message: m}
}

// keep is what public-key work for a stranger must leave of the budget of all,
// per cent. A cookie is what a client cannot be without, so it is made when
// certificates are no longer signed; and who is known gets what is left.
func (c *call) keep() int {
	switch {
	case c.sess.Known:
		return 0
	case c.sess.Op == OpCook:
		return 25
	}
	return 50
}

// keyOf returns what an answer is remembered by. Answers are remembered for one
// pair of addresses, since cookies differ; a signed certificate does not. The
// memory of the session's answer serves for the text.
func (c *call) keyOf(request []byte, filestamp uint32) answerKey {
	synced := byte(0)
	if c.synced {
		synced = 1
	}
	b := append(c.sess.field[:0], byte(c.sess.Op), synced)
	b = binary.BigEndian.AppendUint32(b, filestamp)
	if c.sess.Op != OpSign {
		from, to := c.req.From.Addr().As16(), c.req.To.As16()
		b = append(append(b, from[:]...), to[:]...)
	}
	return sha256.Sum256(append(b, request...))
}
