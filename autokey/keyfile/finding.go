package keyfile

import (
	"fmt"
	"strings"
	"time"

	"ntsbridge/bridge/ntp"
)

// Finding is something about a file that works, but should be known.
type Finding struct {
	File string `json:"file,omitempty"` // name in the key directory
	Code string `json:"code"`           // one of the Find constants
	Text string `json:"text"`           // what it means and what to do
}

// Codes of findings.
const (
	FindWeakKey       = "weak-key"             // modulus below 2048 bits
	FindWeakDigest    = "weak-digest"          // certificate signed with MD4, MD5, SHA-1 or RIPEMD-160
	FindExpired       = "expired"              // certificate no longer valid
	FindNotYetValid   = "not-yet-valid"        // certificate not valid yet
	FindExpiresSoon   = "expires-soon"         // certificate valid for less than 30 days
	FindKeyMismatch   = "key-mismatch"         // certificate is not of the key that signs
	FindFilestamp     = "filestamp"            // certificate valid from before its filestamp: peers refuse it
	FindGQTooLarge    = "gq-too-large"         // GQ modulus that ntpd clients cannot handle
	FindGQMismatch    = "gq-not-in-cert"       // certificate does not carry the GQ key's public value
	FindIncomplete    = "identity-incomplete"  // identity file without needed values; scheme not offered
	FindDSASign       = "dsa-sign-key"         // sign key that crashes ntpd
	FindPassword      = "default-password"     // files encrypted with the host name
	FindUntrusted     = "untrusted"            // neither trusted nor private: clients need a trail
	FindNoIdentity    = "no-identity-key"      // a group is asked for, and there is no key of it
	FindOldName       = "old-name"             // identity file under the name that ntp-keygen 4.2.4 gives it; scheme not offered
	FindGroup         = "group"                // the name has a group: only names with one are answered
	FindSecretOutside = "secret-in-group-file" // group file that has more than a client needs
)

// weakBits is the modulus below which a key is called weak.
const weakBits = 2048

// maxGQBits is the largest GQ modulus that clients of ntpd 4.2.8p15 handle:
// they cut two octets off the public value, which is right up to 127 octets.
const maxGQBits = 1016

// expirySoon is when a certificate's end is near.
const expirySoon = 30 * 24 * time.Hour

func (l *loader) find(file, code, text string) {
	l.host.Findings = append(l.host.Findings, Finding{file, code, text})
}

func (l *loader) weak(name string, bits int) {
	if bits < weakBits {
		l.find(name, FindWeakKey, fmt.Sprintf("modulus of %d bits; make one of %d with ntp-keygen -m %d", bits, weakBits, weakBits))
	}
}

// judgeGQ looks at a GQ key beside the certificate.
func (l *loader) judgeGQ(name string) {
	if bits := l.host.GQ.N.BitLen(); bits > maxGQBits {
		l.find(name, FindGQTooLarge, fmt.Sprintf("modulus of %d bits: ntpd 4.2.8 clients cannot verify above %d; make one with "+
			"ntp-keygen -G -b 512", bits, maxGQBits))
	}
	if v := l.host.Certificate.GQPublic; v == nil || v.Cmp(l.host.GQ.Public()) != 0 {
		l.find(name, FindGQMismatch, "the certificate does not carry this key's public value, so no client can verify it; run "+
			"ntp-keygen again with the GQ key in place")
	}
}

// judge looks at the certificate and the password.
func (l *loader) judge() {
	cert, name := l.host.Certificate, "ntpkey_cert_"+l.opt.Host
	if !cert.PublicKey.Equal(l.host.Signer().Public()) {
		l.find(name, FindKeyMismatch, "certificate of another key than the one that signs, so no client can verify anything; make a "+
			"new one with ntp-keygen")
	}
	switch cert.NID {
	case RSAMD4, RSAMD5, RSASHA1, RSASHA1Old, RSARIPEMD160, DSASHA1, DSASHA1Old:
		l.find(name, FindWeakDigest, fmt.Sprintf("signed with %v; ntp-keygen -c RSA-SHA256 makes better ones", cert.NID))
	}
	if start := ntp.TimestampFromTime(cert.NotBefore).Seconds(); int32(start-l.host.CertificateFilestamp) < 0 {
		l.find(name, FindFilestamp, "valid from before its filestamp, so peers refuse it; make a new one with ntp-keygen")
	}
	if !cert.Trusted && !cert.Private {
		l.find(name, FindUntrusted, "neither trusted (-T) nor private (-P): clients can use this host only once a trusted host has "+
			"signed its certificate")
	}
	if _, group, grouped := strings.Cut(cert.Subject, "@"); grouped && cert.Trusted {
		l.find(name, FindGroup, groupRule(group))
	}
	l.judgeIdent()
	l.judgeOldNames()
	if l.encrypted != "" && l.opt.Password == l.opt.Host {
		l.find(l.encrypted, FindPassword, "the password is the host name, which anybody can guess")
	}
	l.judgeValidity(name, cert)
}

// groupRule is what follows from a group in a host's name.
func groupRule(group string) string {
	return fmt.Sprintf("the host's name has the group %.64q: clients whose own name has none are dropped without a word, as ntpd does; "+
		"make their files with keygen -i %.64s", group, group)
}

// judgeIdent says that a group was named, and no identity scheme is offered.
func (l *loader) judgeIdent() {
	h := l.host
	if l.opt.Ident == l.opt.Host || h.IFF != nil || h.GQ != nil || h.MV != nil || h.Certificate.Private {
		return
	}
	for _, f := range h.Findings {
		if f.Code == FindIncomplete {
			return // it says why
		}
	}
	text := "there is no ntpkey_iffkey_%[1]s, ntpkey_gqkey_%[1]s or ntpkey_mvkey_%[1]s: TC alone is offered, which proves nothing"
	for _, kind := range []string{"iffkey", "gqkey", "mvkey"} {
		if _, err := readFile(l.fsys, "ntpkey_"+kind+"_"+l.opt.Host); err == nil {
			text += fmt.Sprintf("; ntpkey_%s_%.64s is there, as ntp-keygen links it: leave the group name out here", kind, l.opt.Host)
			break
		}
	}
	l.find("ntpkey_iffkey_"+l.opt.Ident, FindNoIdentity, fmt.Sprintf(text, l.opt.Ident))
}

// judgeOldNames says that a group's key has the name of ntp-keygen 4.2.4, which
// ntpd of 4.2.6 and later look past.
func (l *loader) judgeOldNames() {
	h := l.host
	for _, s := range []struct {
		old, now string
		loaded   bool
	}{{"iff", "iffkey", h.IFF != nil}, {"gq", "gqkey", h.GQ != nil}, {"mv", "mvkey", h.MV != nil}} {
		name := "ntpkey_" + s.old + "_" + l.opt.Ident
		if _, err := readFile(l.fsys, name); s.loaded || err != nil {
			continue
		}
		l.find(name, FindOldName, fmt.Sprintf("the name that ntp-keygen 4.2.4 gives a group's key: %s is not offered; if `keygen inspect` "+
			"calls it a server key, ln -s %[2]s ntpkey_%[3]s_%.64[4]s", strings.ToUpper(s.old), name, s.now, l.opt.Ident))
	}
}

func (l *loader) judgeValidity(name string, cert *Certificate) {
	now := l.opt.Now
	const day = "2 January 2006 15:04 UTC"
	switch {
	case now.IsZero():
	case now.Before(cert.NotBefore):
		l.find(name, FindNotYetValid, "valid from "+cert.NotBefore.UTC().Format(day))
	case now.After(cert.NotAfter):
		l.find(name, FindExpired, "expired on "+cert.NotAfter.UTC().Format(day)+"; `keygen renew` makes a new one")
	case cert.NotAfter.Sub(now) < expirySoon:
		l.find(name, FindExpiresSoon, "expires on "+cert.NotAfter.UTC().Format(day)+"; `keygen renew` makes a new one")
	}
}
