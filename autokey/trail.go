package autokey

import (
	"errors"
	"fmt"
	"slices"

	"ntsbridge/autokey/keyfile"
	"ntsbridge/bridge/ntp"
)

// maxTrail is the longest certificate trail, certificates. NTP has at most 15
// strata; ntpd has no limit.
const maxTrail = 15

// trail is the way from the certificate of the other side to a trusted one.
type trail struct {
	wanted  string // subject of the certificate to be asked for
	entries []CertificateEntry
}

// knownCertificate is one that an association has accepted before a restart:
// one with an earlier filestamp does not take its place.
type knownCertificate = CachedCertificate

// errTrail says that a certificate does not belong into the trail.
var errTrail = errors.New("certificate trail")

// reset begins the trail anew.
func (t *trail) reset(name string) { *t = trail{wanted: name} }

// key returns the key that signs the messages of the other side: that of the
// first certificate.
func (t *trail) key() keyfile.PublicKey {
	if len(t.entries) == 0 {
		return nil
	}
	return t.entries[0].Certificate.PublicKey
}

// add takes the next certificate; complete says that it is the trusted one at
// the end. Of a certificate with an error nothing is kept.
func (t *trail) add(c CachedCertificate, own string, policy keyfile.Policy) (complete bool, event Event, err error) {
	cert := c.Certificate
	switch {
	case cert.Subject != t.wanted:
		return false, EventVFY, fmt.Errorf("%w: asked for %.64q, got %.64q", errTrail, t.wanted, cert.Subject)
	case cert.Private:
		return false, EventVFY, fmt.Errorf("%w: private certificate of %.64q, which is never to be sent", errTrail, cert.Subject)
	case cert.NotBefore.After(cert.NotAfter):
		return false, EventVFY, fmt.Errorf("%w: certificate of %.64q ends before it begins", errTrail, cert.Subject)
	case ntp.TimestampFromTime(cert.NotBefore).Seconds() < c.Filestamp:
		return false, EventVFY, fmt.Errorf("%w: certificate of %.64q is older than its filestamp", errTrail, cert.Subject)
	}
	if err := policy.Allow(cert.NID, cert.PublicKey); err != nil && cert.SelfSigned() {
		return false, EventVFY, fmt.Errorf("%w: certificate of %.64q: %w", errTrail, cert.Subject, err)
	}
	if event, err := t.link(cert, policy); err != nil {
		return false, event, err
	}
	entry := CertificateEntry{CachedCertificate: c, Flags: CertValid}
	if cert.SelfSigned() {
		if err := cert.CheckSignature(policy, cert.PublicKey); err != nil {
			return false, EventVFY, fmt.Errorf("%w: certificate of %.64q: its own signature: %w", errTrail, cert.Subject, err)
		}
		if !cert.Trusted {
			return false, EventVFY, fmt.Errorf("%w: %.64q at its end is not trusted (ntp-keygen -T makes a trusted one)", errTrail,
				cert.Subject)
		}
		entry.Flags |= CertTrust
	} else if event, err := t.goOn(cert, own); err != nil {
		return false, event, err
	}
	if n := len(t.entries); n > 0 {
		t.entries[n-1].Flags |= CertSign
	}
	t.entries = append(t.entries, entry)
	t.wanted = cert.Issuer
	return cert.SelfSigned(), EventOK, nil
}

// link checks that the new certificate's key made the signature on the one
// before, while it was valid.
func (t *trail) link(cert *keyfile.Certificate, policy keyfile.Policy) (Event, error) {
	if len(t.entries) == 0 {
		return EventOK, nil
	}
	last := t.entries[len(t.entries)-1].Certificate
	if err := last.CheckSignature(policy, cert.PublicKey); err != nil {
		return EventVFY, fmt.Errorf("%w: certificate of %.64q is not signed by %.64q: %w", errTrail, last.Subject, cert.Subject, err)
	}
	if !cert.ValidAt(last.NotBefore) {
		return EventPER, fmt.Errorf("%w: certificate of %.64q was signed when that of %.64q was not valid", errTrail, last.Subject,
			cert.Subject)
	}
	return EventOK, nil
}

// goOn checks that the trail can go on to the issuer: no loop, not too long.
func (t *trail) goOn(cert *keyfile.Certificate, own string) (Event, error) {
	switch {
	case cert.Issuer == own:
		return EventVFY, fmt.Errorf("%w: loop: %.64q is signed by this host itself", errTrail, cert.Subject)
	case slices.ContainsFunc(t.entries, func(e CertificateEntry) bool { return e.Certificate.Subject == cert.Issuer }):
		return EventVFY, fmt.Errorf("%w: loop back to %.64q", errTrail, cert.Issuer)
	case len(t.entries)+1 >= maxTrail:
		return EventVFY, fmt.Errorf("%w: longer than %d certificates", errTrail, maxTrail)
	case len(cert.Issuer) == 0 || len(cert.Issuer) >= maxNameLen:
		return EventVFY, fmt.Errorf("%w: issuer name of %d octets", errTrail, len(cert.Issuer))
	}
	return EventOK, nil
}

// newest returns the certificate, or the known one of the same names if that
// has a filestamp that is not earlier, as ntpd does.
func newest(known []knownCertificate, c CachedCertificate) CachedCertificate {
	for _, k := range known {
		if k.Certificate.Subject == c.Certificate.Subject && k.Certificate.Issuer == c.Certificate.Issuer &&
			k.Filestamp >= c.Filestamp {
			return k
		}
	}
	return c
}

// remember keeps the certificates of a finished trail.
func (t *trail) remember() []knownCertificate {
	known := make([]knownCertificate, 0, len(t.entries))
	for _, e := range t.entries {
		known = append(known, e.CachedCertificate)
	}
	return known
}
