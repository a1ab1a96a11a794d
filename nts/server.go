package nts

import (
	"encoding/binary"
	"sync/atomic"

	"ntsbridge/bridge/ntp"
	"ntsbridge/nts/aead"
)

// Server answers NTS-protected packets (RFC 8915, section 5.7). It may be
// used by several goroutines, each with its own Session; SetRing may be called
// at any time.
//
// Where the RFC leaves a choice:
//   - two unique identifiers, two cookies, a cookie inside the encrypted part
//     and a placeholder of another length than the cookie are not answered;
//   - fields that it does not know are ignored, before the authenticator, in
//     it, and behind it, where nothing is authenticated;
//   - placeholders above seven are ignored, so an answer has at most eight
//     cookies, and it has fewer than asked for if it would be longer than the
//     request.
type Server struct {
	ring    atomic.Pointer[Ring]
	enabled uint64 // bit 1<<AEAD; read only
}

// NewServer returns a server for the AEADs (none means DefaultAEADs). It
// answers nothing before SetRing.
func NewServer(aeads []aead.ID) (*Server, error) {
	if len(aeads) == 0 {
		aeads = DefaultAEADs
	}
	if err := checkAEADs(aeads); err != nil {
		return nil, err
	}
	s := new(Server)
	for _, id := range aeads {
		s.enabled |= 1 << id
	}
	return s, nil
}

// SetRing replaces the cookie keys.
func (s *Server) SetRing(r *Ring) { s.ring.Store(r) }

// Ring returns the cookie keys, nil before SetRing.
func (s *Server) Ring() *Ring { return s.ring.Load() }

// Open verifies a request that was classified as NTS and prepares the cookies
// of the answer in sess. The verdict tells the AEAD. Answer is to be followed
// by Seal, NTSNAK by NAK.
func (s *Server) Open(req *ntp.Request, sess *Session) ntp.Verdict {
	sess.reset()
	v := ntp.Verdict{Action: ntp.Drop, Kind: ntp.KindNTS}
	ring := s.ring.Load()
	if ring == nil || sess.random == nil {
		v.Reason = ntp.ReasonNotEnabled
		return v
	}
	cookie, auth, ok := sess.takeFields(req)
	if !ok {
		v.Reason = ntp.ReasonBadField
		return v
	}
	old, ok := ring.OpenCookie(&sess.keys, cookie)
	if ok {
		v.AEAD = uint16(sess.keys.AEAD)
	}
	if !ok || s.enabled>>sess.keys.AEAD&1 == 0 {
		v.Action, v.Reason = ntp.NTSNAK, ntp.ReasonUnknownCookie
		return v
	}
	if old {
		v.Marks = ntp.OldSecret
	}
	v.Action, v.Reason = sess.verify(req, len(cookie), &auth)
	if v.Action == ntp.Answer {
		sess.prepare(ring, len(req.Packet))
	}
	return v
}

// takeFields finds cookie and authenticator, keeps the unique identifier, and
// counts in plainLen the cookies that are wanted.
func (s *Session) takeFields(req *ntp.Request) (cookie []byte, auth authenticator, ok bool) {
	p, l := req.Packet, &req.Layout
	if l.Kind != ntp.KindNTS || l.Defect != ntp.ReasonOK || l.Cookies != 1 {
		return nil, auth, false
	}
	uid := l.UniqueIdentifier.Body(p)
	if len(uid) < MinUniqueIdentifierLen || len(uid) > MaxUniqueIdentifierLen {
		return nil, auth, false
	}
	identifiers := 0
	for offset := ntp.HeaderLen; offset < l.Authenticator.Offset; {
		f, ok := ntp.FieldAt(p, offset)
		if !ok {
			return nil, auth, false
		}
		switch f.Type {
		case ntp.FieldUniqueIdentifier:
			identifiers++
		case ntp.FieldCookiePlaceholder:
			if f.Length != l.Cookie.Length {
				return nil, auth, false
			}
		}
		offset += f.Length
	}
	if identifiers != 1 {
		return nil, auth, false
	}
	if auth, ok = parseAuthenticator(l.Authenticator.Body(p)); !ok {
		return nil, auth, false
	}
	s.uidLen = copy(s.uid[:], uid)
	return l.Cookie.Body(p), auth, true
}

// verify checks the authenticator and reads the encrypted fields. Afterwards
// plainLen is the number of octets of cookie fields that are wanted.
func (s *Session) verify(req *ntp.Request, cookieLen int, auth *authenticator) (ntp.Action, ntp.Reason) {
	if !auth.fits(s.keys.AEAD) || len(auth.ciphertext)-aead.TagLen > maxPlaintext {
		return ntp.Drop, ntp.ReasonBadField
	}
	if s.key.Init(s.keys.AEAD, s.keys.C2S()) != nil {
		return ntp.NTSNAK, ntp.ReasonUnknownCookie
	}
	ad := req.Packet[:req.Layout.Authenticator.Offset]
	plain, err := s.key.Open(s.plain[:0], auth.nonce, auth.ciphertext, ad)
	if err != nil {
		return ntp.NTSNAK, ntp.ReasonBadAuthenticator
	}
	wanted := 1 + int(req.Layout.Placeholders)
	for len(plain) > 0 {
		fieldType, body, rest, ok := innerField(plain)
		switch {
		case !ok, fieldType == ntp.FieldCookie, fieldType == ntp.FieldAuthenticator,
			fieldType == ntp.FieldCookiePlaceholder && len(body) != cookieLen:
			return ntp.Drop, ntp.ReasonBadField
		case fieldType == ntp.FieldCookiePlaceholder:
			wanted++
		}
		plain = rest
	}
	s.plainLen = min(wanted, MaxCookies) * (ntp.FieldHeaderLen + cookieLen)
	return ntp.Answer, ntp.ReasonOK
}

// prepare makes the cookies, as many as wanted and as fit, and everything
// else that needs no timestamp.
func (s *Session) prepare(ring *Ring, requestLen int) {
	one := ntp.FieldHeaderLen + CookieLen(s.keys.AEAD)
	fixed := ntp.HeaderLen + ntp.FieldHeaderLen + s.uidLen + authenticatorLen(s.keys.AEAD, 0)
	count := min(s.plainLen/one, (requestLen-fixed)/one)
	plain := s.plain[:0]
	for range count {
		var nonce [CookieNonceLen]byte
		s.fill(nonce[:])
		plain = binary.BigEndian.AppendUint16(plain, ntp.FieldCookie)
		plain = binary.BigEndian.AppendUint16(plain, uint16(one))
		plain = ring.AppendCookie(plain, &s.keys, &nonce)
	}
	s.plainLen = len(plain)
	s.fill(s.nonce[:])
	s.ready = s.key.Init(s.keys.AEAD, s.keys.S2C()) == nil
}

// Seal makes the answer of the request that Open accepted: resp[:n] is the
// final header (n is 48), which it extends by the unique identifier and the
// authenticator with the new cookies. It returns the length, at most that of
// the request, or 0 if there is nothing to be sent: Open did not say Answer,
// or resp is too short.
func (s *Server) Seal(resp []byte, n int, sess *Session) int {
	if !sess.ready {
		return 0
	}
	sess.ready = false
	id := sess.keys.AEAD
	total := n + ntp.FieldHeaderLen + sess.uidLen + authenticatorLen(id, sess.plainLen)
	if total > len(resp) {
		return 0
	}
	p := sess.appendIdentifier(resp[:n])
	p = appendAuthenticator(p, &sess.key, sess.nonce[:id.NonceLen()], sess.plain[:sess.plainLen])
	return len(p)
}

// NAK makes the NTS negative acknowledgement of the request that Open
// refused with NTSNAK: resp[:n] is the header with kiss code NTSN, which it
// extends by the unique identifier (RFC 8915, section 5.7). It returns the
// length, or 0 if there is nothing to be sent.
func (s *Server) NAK(resp []byte, n int, sess *Session) int {
	if sess.uidLen == 0 || n+ntp.FieldHeaderLen+sess.uidLen > len(resp) {
		return 0
	}
	return len(sess.appendIdentifier(resp[:n]))
}

func (s *Session) appendIdentifier(p []byte) []byte {
	p = binary.BigEndian.AppendUint16(p, ntp.FieldUniqueIdentifier)
	p = binary.BigEndian.AppendUint16(p, uint16(ntp.FieldHeaderLen+s.uidLen))
	return append(p, s.uid[:s.uidLen]...)
}
