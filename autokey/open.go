package autokey

import (
	"encoding/binary"

	"ntsbridge/bridge/ntp"
)

// Open verifies a request whose layout has KindAutokey and prepares the
// answer. synced says whether the served clock is synchronised: if not,
// certificates are not given out and nothing is signed.
//
// A request without extension field is finished here, without lock or
// allocation: its cookie is computed anew and tried with the server's seed,
// the older seeds, and ntpd's seed 0, which gets ReasonNTPDCookie outside a
// takeover. Verdict.Marks tells that it was not the server's own; the
// answer uses the same one.
//
// A request with an extension field is answered with what is at hand: signed
// values, and answers that were given lately. What takes public-key operations
// gets Defer unless slow is set. The caller then calls Open again with slow set,
// off the fast path. Verdict.Operation says what is asked. A reason
// other than ReasonOK with the action Answer means an error response.
//
// A wrong MAC gets CryptoNAK, one of less than 16 octets nothing, as ntpd
// does.
func (s *Server) Open(now ntp.Timestamp, synced bool, req *ntp.Request, sess *Session, slow bool) ntp.Verdict {
	sess.reset(s.digest, len(req.Packet))
	if r := s.precheck(req); r != ntp.ReasonOK {
		return verdict(ntp.Drop, r)
	}
	if req.Layout.Fields == 0 {
		return s.openPlain(now, req, sess)
	}
	return s.openMessage(now, synced, req, sess, slow)
}

func verdict(a ntp.Action, r ntp.Reason) ntp.Verdict {
	return ntp.Verdict{Action: a, Reason: r, Kind: ntp.KindAutokey}
}

// precheck says why a request is dropped without looking at its MAC.
func (s *Server) precheck(req *ntp.Request) ntp.Reason {
	p, l := req.Packet, &req.Layout
	switch {
	case l.Defect != ntp.ReasonOK:
		return l.Defect
	case l.Kind != ntp.KindAutokey || l.KeyID < minKeyID:
		return ntp.ReasonUnknownKey
	case ntp.ModeOf(p) != ntp.ModeClient:
		return ntp.ReasonMode
	case len(p)-l.MAC < 4+16:
		return ntp.ReasonBadMAC
	case s.group && !groupRequests(p, l):
		return ntp.ReasonNoGroup
	}
	return ntp.ReasonOK
}

// groupRequests is the test of a server in a group: every ASSOC request must
// carry a name with a group. Which one does not matter in client mode, and
// ntpd makes the test before it looks at the MAC.
func groupRequests(p []byte, l *ntp.Layout) bool {
	for offset := ntp.HeaderLen; offset < l.MAC; {
		f, ok := ntp.FieldAt(p, offset)
		if !ok {
			return false
		}
		if Code(f.Type)&^(bitResponse|bitError) == Request(OpAssoc) {
			name, ok := payload(p[f.Offset : f.Offset+f.Length])
			if !ok || len(name) > maxNameLen || !hasGroup(name) {
				return false
			}
		}
		offset += f.Length
	}
	return true
}

// hasGroup reports whether a name, which ends at its first NUL, has a group.
func hasGroup(name []byte) bool {
	for _, c := range name {
		switch c {
		case 0:
			return false
		case '@':
			return true
		}
	}
	return false
}

// openPlain verifies a request without extension field.
func (s *Server) openPlain(now ntp.Timestamp, req *ntp.Request, sess *Session) ntp.Verdict {
	if len(req.Packet)-req.Layout.MAC-4 != s.digest.macLen() {
		return verdict(ntp.CryptoNAK, ntp.ReasonBadMAC)
	}
	for i, seed := range s.seeds {
		if s.tryCookie(seed, req, sess) {
			v := verdict(ntp.Answer, ntp.ReasonOK)
			if i > 0 {
				v.Marks |= ntp.OldSecret
			}
			if seed == 0 {
				v.Marks |= ntp.ZeroSeed
			}
			return v
		}
	}
	if !s.tryCookie(0, req, sess) {
		return verdict(ntp.CryptoNAK, ntp.ReasonUnknownCookie)
	}
	v := verdict(ntp.Answer, ntp.ReasonOK)
	if v.Marks = ntp.ZeroSeed; !s.takeover || s.takeoverEnd != 0 && now.Sub(s.takeoverEnd) >= 0 {
		v.Action, v.Reason = ntp.CryptoNAK, ntp.ReasonNTPDCookie
		return v
	}
	v.Marks |= ntp.OldSecret
	return v
}

// tryCookie verifies a request with the cookie made from seed and, if it is
// right, keeps the session key of the answer.
func (s *Server) tryCookie(seed Seed, req *ntp.Request, sess *Session) bool {
	cookie := sess.scratch.Cookie(req.From.Addr(), req.To, seed)
	return s.verify(cookie, req, sess)
}

// verify checks the MAC with a cookie and, if it is right, keeps the session
// key of the answer.
func (s *Server) verify(cookie uint32, req *ntp.Request, sess *Session) bool {
	from, l := req.From.Addr(), &req.Layout
	key := sess.scratch.SessionKey(from, req.To, l.KeyID, cookie)
	if !sess.scratch.verifyMAC(key, req.Packet[:l.MAC], req.Packet[l.MAC+4:]) {
		return false
	}
	sess.keyLen = copy(sess.key[:], sess.scratch.SessionKey(req.To, from, l.KeyID, cookie))
	return true
}

// openMessage verifies a request with an extension field, which has cookie 0,
// and answers its first message. ntpd ignores any others.
func (s *Server) openMessage(now ntp.Timestamp, synced bool, req *ntp.Request, sess *Session, slow bool) ntp.Verdict {
	f, ok := ntp.FieldAt(req.Packet, ntp.HeaderLen)
	if !ok || f.Length < shortLen {
		return verdict(ntp.Drop, ntp.ReasonBadField)
	}
	sess.HasMessage, sess.Op = true, Code(f.Type).Op()
	v := verdict(ntp.CryptoNAK, ntp.ReasonBadMAC)
	v.Operation = uint8(sess.Op)
	if s.verify(0, req, sess) {
		sess.call = call{server: s, now: now, synced: synced, req: req, sess: sess, slow: slow,
			field: req.Packet[f.Offset : f.Offset+f.Length]}
		v.Action, v.Reason = s.answer(&sess.call)
	}
	return v
}

// Seal completes an answer. resp[:48] is the final header; the prepared
// message, a unique identifier that the request has, the key identifier and the
// MAC are appended. resp must have MaxResponseLen octets. The result is the
// length of the answer.
func (s *Server) Seal(req *ntp.Request, resp []byte, sess *Session) int {
	n := ntp.HeaderLen
	n += copy(resp[n:], sess.field[:sess.fieldLen])
	if id := req.Identifier(); n+len(id)+4+s.digest.macLen() <= len(resp) {
		n += copy(resp[n:], id)
	}
	mac := sess.scratch.MAC(sess.key[:sess.keyLen], resp[:n])
	binary.BigEndian.PutUint32(resp[n:], req.Layout.KeyID)
	n += 4
	n += copy(resp[n:], mac)
	sess.OctetsOut = n
	return n
}
