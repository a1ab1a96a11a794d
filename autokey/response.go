package autokey

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"ntsbridge/autokey/identity"
	"ntsbridge/autokey/keyfile"
	"ntsbridge/bridge/ntp"
)

// retryInterval is how long it takes until SIGN or LEAP, which time does not
// depend on, is tried again after a failure.
const retryInterval = 1024 * time.Second

// maxBadSignatures is after how many signatures in a row that do not verify
// the certificates are asked for anew: the server has other keys now.
const maxBadSignatures = 3

// response handles the response to a request. It fills in the outcome and
// restarts the association where ntpd does: on a protocol error, which
// includes every error response.
func (a *association) response(m Moment, msg *Message, out *Outcome) {
	out.Op, out.HasMessage = msg.Code.Op(), true
	waiting, err := a.install(m, msg)
	if err == nil {
		a.badSigs, a.err = 0, nil
		out.Waiting = waiting
		return
	}
	out.Err, a.err = err, err
	event := out.Event()
	if out.Op == OpSign || out.Op == OpLeap {
		a.signAfter = m.Uptime + retryInterval
	}
	if event == EventSIG || event == EventSGL {
		if a.badSigs++; a.badSigs >= maxBadSignatures {
			a.badSigs, a.known = 0, nil
			event = EventERR
		}
	}
	if event == EventERR {
		a.restart()
		out.Restarted = true
	}
}

// install judges a response and takes over what it brings.
func (a *association) install(m Moment, msg *Message) (waiting bool, err error) {
	op := msg.Code.Op()
	switch {
	case msg.Code.Version() != Version || !msg.Code.response():
		return false, messageError(op, EventLEN, "code %#04x is no response of version 2", uint16(msg.Code))
	case msg.Code.Error():
		return false, messageError(op, EventERR, "%s", refusal(op))
	case op != OpAssoc && op != OpAuto && msg.AssociationID != uint32(a.id):
		return false, messageError(op, EventERR, "association ID %d, not %d", msg.AssociationID, a.id)
	}
	switch op {
	case OpAssoc:
		return false, a.installAssociation(m, msg)
	case OpCert:
		return a.installCertificate(m, msg)
	case OpIFF, OpGQ, OpMV:
		return false, a.installIdentity(m, msg)
	case OpCook:
		return false, a.installCookie(msg)
	case OpAuto:
		return false, a.installAutokey(msg)
	case OpSign:
		return false, a.installSigned(m, msg)
	case OpLeap:
		return false, a.installLeap(m, msg)
	}
	return false, messageError(op, EventERR, "unknown operation")
}

// refusal explains an error response.
func refusal(op Op) string {
	switch op {
	case OpIFF, OpGQ, OpMV:
		return "the server refuses: it has no usable key of this scheme"
	case OpSign:
		return "the server refuses: its own certificate has expired, or it cannot read ours"
	case OpCook:
		return "the server refuses: it cannot use our host key (512 to 4096 bits, RSA)"
	case OpAuto:
		return "the server refuses: it does not know the association any more"
	}
	return "the server refuses"
}

// checkName judges the host name of an ASSOC message.
func checkName(value []byte) (string, error) {
	name := string(value)
	switch {
	case len(name) == 0 || len(name) >= maxNameLen:
		return "", fmt.Errorf("host name of %d octets, want 1 to %d", len(name), maxNameLen-1)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }):
		return "", errors.New("host name with characters that cannot be printed")
	}
	return name, nil
}

// checkGroup makes ntpd's test: a host in a group talks to hosts in groups
// only, and in its own or that of the association.
func (a *association) checkGroup(name string) error {
	_, own, grouped := strings.Cut(a.cred.host.Name, "@")
	if !grouped {
		return nil
	}
	_, group, ok := strings.Cut(name, "@")
	if !ok {
		return fmt.Errorf("this host is in group %.64q, but %.64q is in none", own, name)
	}
	if group != own && group != a.cfg.Ident {
		return fmt.Errorf("%.64q is neither in our group %.64q nor in that of ident %.64q", name, own, a.cfg.Ident)
	}
	return nil
}

// installAssociation takes host name, status word and association ID of the
// other side. ASSOC is not signed: whatever follows from it must be confirmed
// later, or be harmless.
func (a *association) installAssociation(m Moment, msg *Message) error {
	if msg.Short {
		return messageError(OpAssoc, EventLEN, "short form")
	}
	name, err := checkName(msg.Value)
	if err != nil {
		return messageError(OpAssoc, EventLEN, "%w", err)
	}
	if a.status != 0 {
		if msg.AssociationID != a.peerID {
			return messageError(OpAssoc, EventERR, "%.64q has another association ID now: it was restarted", name)
		}
		return nil
	}
	if err := a.checkGroup(name); err != nil {
		return messageError(OpAssoc, EventKEY, "%w", err)
	}
	offered := Status(msg.Filestamp)
	status := makeStatus(offered.nid(), offered.Flags()&wireFlags)
	if algorithm := offered.nid(); !a.allowed(algorithm) {
		return messageError(OpAssoc, EventMD, "signatures of %.64q are %v, which is not known or not allowed here", name, algorithm)
	}
	if a.cred.private() {
		if status.Flags()&FlagPRIV == 0 {
			return messageError(OpAssoc, EventKEY, "this host has a private certificate (PC), %.64q has none", name)
		}
		status |= Status(FlagCERT | FlagVRFY | FlagSIGN)
	} else if err := a.chooseScheme(name, status.Flags()); err != nil {
		return err
	}
	if a.mode == ntp.ModeServer {
		status |= Status(FlagAUTO)
	}
	if status.Flags()&FlagTAI == 0 {
		status |= Status(FlagLEAP)
	}
	if a.hostCookie, err = a.roll(); err != nil {
		return err
	}
	a.status, a.peerID, a.peerName = status, msg.AssociationID, name
	a.trail.reset(name)
	a.begin(m)
	return nil
}

// allowed reports whether the policy allows an algorithm with some key.
func (a *association) allowed(nid keyfile.NID) bool {
	for _, n := range a.cfg.Policy.Algorithms {
		if n == nid {
			return true
		}
	}
	return false
}

// chooseScheme decides by which scheme the identity is checked: the first that
// the other side offers and that there is a group file for. (ntpd does not
// look which files it has.)
func (a *association) chooseScheme(name string, offered Flags) error {
	switch {
	case offered&FlagPRIV != 0:
		return messageError(OpAssoc, EventKEY, "%.64q has a private certificate (PC): this host needs the same host key and "+
			"certificate", name)
	case a.symmetric() && (a.cred.Status().Flags()&schemeFlags == 0) != (offered&schemeFlags == 0):
		return messageError(OpAssoc, EventKEY, "of this host and %.64q only one offers an identity scheme", name)
	case a.cfg.Ident == "":
		if s := schemeNames(offered); s != "" {
			a.warning = fmt.Sprintf("%.64q offers %s, but its identity is not checked, since no ident is set: the trusted "+
				"certificate (TC) proves nothing", name, s)
		}
		return nil
	}
	for _, s := range []keyfile.Scheme{keyfile.IFF, keyfile.GQ, keyfile.MV} {
		if offered&schemeFlag(s) == 0 {
			continue
		}
		for _, g := range a.cfg.Groups {
			if g.Scheme() == s {
				a.scheme, a.group = s, g
				a.verifier = verifierOf(g)
				return nil
			}
		}
	}
	if offered&schemeFlags == 0 && a.cfg.AllowNoScheme {
		a.warning = fmt.Sprintf("%.64q offers no identity scheme: ident %.64q is not checked", name, a.cfg.Ident)
		return nil
	}
	if offered&schemeFlags == 0 {
		return messageError(OpAssoc, EventKEY, "%.64q offers no identity scheme, but ident %.64q asks for one", name, a.cfg.Ident)
	}
	return messageError(OpAssoc, EventKEY, "%.64q offers %s, but there is no group file of ident %.64q for that", name,
		schemeNames(offered), a.cfg.Ident)
}

func verifierOf(g *keyfile.Group) identity.Verifier {
	switch g.Scheme() {
	case keyfile.IFF:
		return g.IFF
	case keyfile.GQ:
		return g.GQ
	}
	return g.MV
}

// schemeNames lists the schemes in flags.
func schemeNames(f Flags) string {
	var names []string
	for _, s := range []keyfile.Scheme{keyfile.IFF, keyfile.GQ, keyfile.MV} {
		if f&schemeFlag(s) != 0 {
			names = append(names, strings.ToUpper(s.String()))
		}
	}
	return strings.Join(names, ", ")
}

// dated checks form and times of a message that must have been signed.
func (a *association) dated(msg *Message, last signedAt) error {
	op := msg.Code.Op()
	switch {
	case msg.Short || len(msg.Value) == 0:
		return messageError(op, EventLEN, "no value")
	case msg.Timestamp == 0:
		return messageError(op, EventTSP, "not dated: %.64q is not synchronised", a.peerName)
	case msg.Timestamp < msg.Filestamp:
		return messageError(op, EventTSP, "timestamp %d before filestamp %d", msg.Timestamp, msg.Filestamp)
	case last.timestamp == 0 || last.filestamp == 0:
		return nil
	case msg.Timestamp < last.timestamp:
		return messageError(op, EventTSP, "timestamp %d before the last one, %d", msg.Timestamp, last.timestamp)
	case msg.Filestamp < last.filestamp:
		return messageError(op, EventFSP, "filestamp %d before the last one, %d", msg.Filestamp, last.filestamp)
	}
	return nil
}

// verify checks times and signature of a message. The first signature that is
// good after the identity was confirmed makes the association proventic.
func (a *association) verify(msg *Message, last signedAt) error {
	if err := a.dated(msg, last); err != nil {
		return err
	}
	op := msg.Code.Op()
	key := a.trail.key()
	if a.cred.private() && a.has(FlagPRIV) {
		key = a.cred.host.Signer().Public()
	}
	if len(msg.Signature) == 0 || key == nil {
		return messageError(op, EventERR, "no signature or no key")
	}
	if _, rsa := key.(*keyfile.RSAPublicKey); rsa && len(msg.Signature) != (key.Bits()+7)/8 {
		return messageError(op, EventSGL, "signature of %d octets under a key of %d bits", len(msg.Signature), key.Bits())
	}
	if err := a.cfg.Policy.Verify(key, a.status.nid(), msg.appendSigned(nil), msg.Signature); err != nil {
		return messageError(op, EventSIG, "%w", err)
	}
	if a.has(FlagVRFY) {
		a.set(FlagPROV)
	}
	return nil
}

// installCertificate takes the next certificate of the trail. Its message is
// not verified: the key comes with it.
func (a *association) installCertificate(m Moment, msg *Message) (waiting bool, err error) {
	if msg.Short {
		return true, nil // not yet
	}
	if err := a.dated(msg, signedAt{}); err != nil {
		return false, err
	}
	cert, err := keyfile.ParseCertificate(msg.Value)
	if err != nil {
		return false, messageError(OpCert, EventCRT, "%w", err)
	}
	c := newest(a.known, CachedCertificate{cert, msg.Filestamp})
	complete, event, err := a.trail.add(c, a.cred.host.Name, *a.cfg.Policy)
	if err != nil {
		a.trail.reset(a.peerName) // a renewed certificate may heal it
		return false, messageError(OpCert, event, "%w", err)
	}
	if !complete {
		return false, nil
	}
	return false, a.trusted(m)
}

// trusted goes on when the trail is complete.
func (a *association) trusted(m Moment) error {
	if a.scheme == keyfile.GQ {
		v := a.trail.entries[0].Certificate.GQPublic
		if v == nil {
			a.trail.reset(a.peerName)
			return messageError(OpCert, EventID, "certificate of %.64q carries no GQ value", a.peerName)
		}
		a.verifier = a.group.GQ.WithPublic(v)
	}
	a.set(FlagCERT)
	if a.scheme == 0 {
		a.identified(m)
	}
	return nil
}

// identified goes on when the identity is confirmed, or none is needed. Only
// now other associations and clients get to see the certificates.
func (a *association) identified(m Moment) {
	a.set(FlagVRFY)
	a.challenge = nil
	a.known = a.trail.remember()
	a.cred.install(m, a.trail.entries...)
}

// installIdentity checks the answer to the challenge.
func (a *association) installIdentity(m Moment, msg *Message) error {
	op := msg.Code.Op()
	if a.has(FlagVRFY) || a.challenge == nil || op != schemeOp(a.scheme) {
		return messageError(op, EventERR, "no challenge was sent")
	}
	challenge := a.challenge
	a.challenge = nil // one answer for each
	if err := a.verify(msg, signedAt{}); err != nil {
		return err
	}
	if fs := a.group.Filestamp; msg.Filestamp < fs || op != OpGQ && msg.Filestamp != fs {
		return messageError(op, EventFSP, "group key of %d, our group file is of %d: export it from the server's key again",
			msg.Filestamp, fs)
	}
	if err := a.verifier.Verify(challenge, msg.Value); err != nil {
		return messageError(op, EventID, "the server does not have the key of group %.64q, or the group file is damaged (exports of "+
			"ntp-keygen -e are; `keygen repair` mends them): %w", a.cfg.Ident, err)
	}
	a.identified(m)
	return nil
}

// installCookie decrypts and takes the cookie.
func (a *association) installCookie(msg *Message) error {
	if err := a.verify(msg, a.cookieAt); err != nil {
		return err
	}
	cookie, err := keyfile.DecryptCookie(a.rand, a.cred.host.HostKey, msg.Value)
	if err != nil {
		return messageError(OpCook, EventCKY, "%w", err)
	}
	if a.symmetric() {
		cookie ^= a.hostCookie
	}
	if cookie != a.cookie {
		a.cookie, a.keys = cookie, nil
	}
	a.cookieAt = signedAt{msg.Timestamp, msg.Filestamp}
	a.set(FlagCOOK)
	return nil
}

// installAutokey takes the autokey values of a broadcast server or peer.
func (a *association) installAutokey(msg *Message) error {
	if !a.symmetric() && msg.AssociationID != a.peerID {
		return messageError(OpAuto, EventERR, "association ID %d, not %d", msg.AssociationID, a.peerID)
	}
	if err := a.verify(msg, a.sequence.at); err != nil {
		return err
	}
	v, ok := parseAutokeyValues(msg.Value)
	if !ok || v.Sequence > maxSequence {
		return messageError(OpAuto, EventLEN, "autokey values of %d octets, sequence %d", len(msg.Value), v.Sequence)
	}
	a.sequence.set(v, signedAt{msg.Timestamp, msg.Filestamp})
	a.set(FlagAUTO)
	return nil
}

// installSigned takes our certificate signed by the other side.
func (a *association) installSigned(m Moment, msg *Message) error {
	if err := a.verify(msg, signedAt{}); err != nil {
		return err
	}
	cert, err := keyfile.ParseCertificate(msg.Value)
	if err != nil {
		return messageError(OpSign, EventCRT, "%w", err)
	}
	h := a.cred.host
	switch {
	case cert.Subject != h.Name || !cert.PublicKey.Equal(h.Certificate.PublicKey):
		return messageError(OpSign, EventCRT, "not our certificate")
	case cert.Issuer != a.peerName || cert.Issuer == h.Name:
		return messageError(OpSign, EventCRT, "signed by %.64q, not by %.64q", cert.Issuer, a.peerName)
	case cert.NotBefore.After(cert.NotAfter) || ntp.TimestampFromTime(cert.NotBefore).Seconds() < msg.Filestamp ||
		msg.Filestamp != h.CertificateFilestamp:
		return messageError(OpSign, EventCRT, "wrong times")
	}
	if err := cert.CheckSignature(*a.cfg.Policy, a.trail.key()); err != nil {
		return messageError(OpSign, EventVFY, "%w", err)
	}
	a.set(FlagSIGN)
	a.cred.install(m, CertificateEntry{CachedCertificate{cert, msg.Filestamp}, CertValid})
	return nil
}

// installLeap takes leap second values; others than of 12 octets are ignored,
// as ntpd does.
func (a *association) installLeap(m Moment, msg *Message) error {
	if err := a.verify(msg, signedAt{}); err != nil {
		return err
	}
	if v, ok := parseLeapValues(msg.Value); ok {
		a.leap = v
		a.cred.setLeap(m, v)
	}
	a.set(FlagLEAP)
	return nil
}

// roll returns 32 random bits.
func (a *association) roll() (uint32, error) {
	var b [4]byte
	if _, err := io.ReadFull(a.rand, b[:]); err != nil {
		return 0, fmt.Errorf("autokey: %w", err)
	}
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3]), nil
}
