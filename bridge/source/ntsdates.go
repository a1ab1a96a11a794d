package source

import (
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"ntsbridge/bridge/ntp"
	"ntsbridge/nts"
)

// TimeCheck says how the dates of certificates are judged by a clock that may
// be wrong: NTS needs the date to get the time. Everything else about a
// certificate, its chain, name and use, is judged always.
//
// Keys that rest on a certificate judged by anything but a clock that is right
// are provisional. Of them no time is believed that lies outside the dates of
// the certificate itself; and when the clock is set, keys are established once
// more, strictly, before anything else is believed.
type TimeCheck struct {
	// Floor is a date that has certainly passed: that of the build, or of the
	// last good synchronisation. A clock that is before it is wrong, and
	// certificates are judged by it instead. Zero: none.
	Floor time.Time
	// Unchecked reports whether a certificate that fails by its dates, and by
	// nothing else, is accepted; chrony's nocerttimecheck is that for a number
	// of clock updates. Safe for concurrent use. Nil: never.
	Unchecked func() bool
}

// Confirm says that the clock was set, or stepped by more than an hour. Keys
// that are provisional are established anew with all checks before anything
// else is believed, others if the certificate is not good by the new date. It
// takes effect with the next poll. Safe for concurrent use.
func (n *NTS) Confirm() { n.wantConfirm.Store(true) }

// now is what the clock says, right or wrong.
func (c *NTSConfig) now() time.Time {
	if c.TLS != nil && c.TLS.Time != nil {
		return c.TLS.Time()
	}
	return time.Now()
}

// unchecked reports whether dates are to be ignored now.
func (n *NTS) unchecked() bool {
	return !n.mustConfirm && n.cfg.Dates.Unchecked != nil && n.cfg.Dates.Unchecked()
}

// review gives up keys that the date speaks against.
func (n *NTS) review(uptime time.Duration) {
	confirm := n.wantConfirm.Swap(false)
	now := n.cfg.now()
	switch s := n.session; {
	case n.unconfirmed:
		if confirm || !n.mustConfirm && !n.unchecked() && !now.Before(n.cfg.Dates.Floor) {
			n.mustConfirm = true
			n.retry, n.backoff = uptime, 0
			n.drop()
		}
	case !confirm || s == nil || s.valid.has(now):
	case s.restored:
		s.renew = true // it was good in the run that made the keys
	default:
		n.notice("by the date that the clock was set to, %s, the certificate was not good when keys were established: that "+
			"is done again", date(now))
		n.retry, n.backoff = uptime, 0
		n.drop()
	}
}

// believable judges the time of an authentic packet.
func (n *NTS) believable(p []byte) error {
	var h ntp.Header
	h.Decode(p)
	s := n.session
	switch {
	case h.Stratum == 0 || h.Transmit == 0:
		return nil // no time
	case s.provisional:
		pivot := s.valid.middle()
		for _, ts := range []ntp.Timestamp{h.Receive, h.Transmit} {
			if at := ts.Time(pivot); !s.valid.has(at) {
				return fmt.Errorf("%w: %s, certificate %v", errDate, date(at), s.valid)
			}
		}
		if n.mustConfirm || !n.unchecked() && !n.cfg.now().Before(n.cfg.Dates.Floor) {
			return errUnconfirmed // sent before the clock was set
		}
	case s.restored && !s.proven:
		at := h.Transmit.Time(s.saved.At)
		if at.Before(s.saved.At.Add(-time.Hour)) || at.After(s.saved.Expires) {
			err := fmt.Errorf("%w: %s, kept keys of %s to %s", errDate, date(at), date(s.saved.At), date(s.saved.Expires))
			n.drop()
			return err
		}
	}
	return nil
}

var errUnconfirmed = errors.New("the clock was set: keys must be established again with all checks first")

func date(t time.Time) string { return t.UTC().Format(time.DateTime + " MST") }

// validity is when a certificate is valid together with what it rests on: one
// interval for each chain.
type validity []interval

type interval struct{ from, to time.Time }

func (v validity) has(t time.Time) bool {
	for _, i := range v {
		if !t.Before(i.from) && !t.After(i.to) {
			return true
		}
	}
	return false
}

func (v validity) middle() time.Time { return v[0].from.Add(v[0].to.Sub(v[0].from) / 2) }

// String returns the dates of the first chain.
func (v validity) String() string { return date(v[0].from) + " to " + date(v[0].to) }

func validityOf(chains [][]*x509.Certificate) validity {
	var v validity
	for _, chain := range chains {
		i := interval{chain[0].NotBefore, chain[0].NotAfter}
		for _, c := range chain[1:] {
			if c.NotBefore.After(i.from) {
				i.from = c.NotBefore
			}
			if c.NotAfter.Before(i.to) {
				i.to = c.NotAfter
			}
		}
		v = append(v, i)
	}
	return v
}

// verify checks a server's certificates for a host as package tls does, by
// the given date.
func verify(certs []*x509.Certificate, host string, roots *x509.CertPool, at time.Time) ([][]*x509.Certificate, error) {
	if len(certs) == 0 {
		return nil, errors.New("no certificate")
	}
	o := x509.VerifyOptions{Roots: roots, CurrentTime: at, DNSName: host, Intermediates: x509.NewCertPool()}
	for _, c := range certs[1:] {
		o.Intermediates.AddCert(c)
	}
	return certs[0].Verify(o)
}

// verifyAtAnyDate checks everything but the dates: it finds one at which the
// certificates are good.
func verifyAtAnyDate(certs []*x509.Certificate, host string, roots *x509.CertPool) ([][]*x509.Certificate, error) {
	var all [][]*x509.Certificate
	var reason error
	for _, c := range certs {
		for _, at := range []time.Time{c.NotBefore, c.NotBefore.Add(c.NotAfter.Sub(c.NotBefore) / 2), c.NotAfter} {
			chains, err := verify(certs, host, roots, at)
			// At a date chosen for one certificate another is out of its dates,
			// which says nothing: any other reason goes before.
			if err != nil && (reason == nil || aboutDates(reason)) {
				reason = err
			}
			all = append(all, chains...)
		}
	}
	if len(all) == 0 {
		if reason == nil {
			reason = errors.New("no certificate")
		}
		return nil, reason
	}
	return all, nil
}

// aboutDates reports whether an error of package x509 is about the date of a
// certificate.
func aboutDates(err error) bool {
	var invalid x509.CertificateInvalidError
	return errors.As(err, &invalid) && invalid.Reason == x509.Expired
}

// tls completes the TLS settings. The certificate is verified here
// and not in package tls, since its dates may have to be judged by another
// clock; nothing else about it is.
func (n *NTS) tls(roots *x509.CertPool, s *session) *tls.Config {
	cfg := &tls.Config{}
	if n.cfg.TLS != nil {
		cfg = n.cfg.TLS.Clone()
	}
	cfg.MinVersion, cfg.NextProtos = tls.VersionTLS13, []string{nts.ALPN}
	cfg.ClientSessionCache = nil // keys must be those of this handshake
	cfg.ServerName = n.cfg.host()
	name, more, raw := cfg.ServerName, cfg.VerifyConnection, cfg.VerifyPeerCertificate
	cfg.InsecureSkipVerify, cfg.VerifyPeerCertificate = true, nil
	cfg.VerifyConnection = func(cs tls.ConnectionState) (err error) {
		cs.VerifiedChains, err = n.judge(cs.PeerCertificates, name, roots, s)
		if err == nil && raw != nil {
			var list [][]byte
			for _, c := range cs.PeerCertificates {
				list = append(list, c.Raw)
			}
			err = raw(list, cs.VerifiedChains)
		}
		if err == nil && more != nil {
			err = more(cs)
		}
		return err
	}
	return cfg
}

// minRSABits is the least length of a server's RSA key; GnuTLS, OpenSSL and
// rustls refuse less, package x509 does not.
const minRSABits = 2048

// strong refuses a server's key that is too weak to prove anything.
func strong(c *x509.Certificate) error {
	if key, ok := c.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() < minRSABits {
		return &weakError{key.N.BitLen()}
	}
	return nil
}

// weakError is a server's RSA key of so few bits.
type weakError struct{ bits int }

// Error implements error.
func (e *weakError) Error() string {
	return fmt.Sprintf("its RSA key of %d bits is too weak, at least %d are wanted", e.bits, minRSABits)
}

// judge verifies the certificates of a handshake and notes in s how.
func (n *NTS) judge(certs []*x509.Certificate, host string, roots *x509.CertPool, s *session) ([][]*x509.Certificate, error) {
	at := s.established
	floored := at.Before(n.cfg.Dates.Floor)
	if floored {
		at = n.cfg.Dates.Floor
		if !n.floorTold {
			n.floorTold = true
			n.notice("the clock says %s, which is wrong: certificates are judged by %s until it is set", date(s.established), date(at))
		}
	}
	chains, err := verify(certs, host, roots, at)
	if err == nil {
		err = strong(certs[0])
	}
	if err == nil {
		s.chain, s.valid, s.provisional = certs, validityOf(chains), floored
		return chains, nil
	}
	e := &certificateError{Host: host, Certificates: certs, At: at, Now: s.established, Issuer: n.issuer, Err: err}
	chains, other := verifyAtAnyDate(certs, host, roots)
	if other == nil {
		other = strong(certs[0])
	}
	switch {
	case other != nil && aboutDates(other) && aboutDates(err):
		// Its certificates were never good at the same time: the reason of today
		// is the one to tell.
		e.DatesOnly, e.Trusted = true, true
		return nil, e
	case other != nil:
		if _, untrusted := verifyAtAnyDate(certs, "", roots); untrusted == nil {
			e.Trusted = true
		}
		// An untrusted or misnamed certificate may be out of date, too; that is
		// not what matters.
		e.Err = other
		return nil, e
	case !n.unchecked():
		e.DatesOnly, e.Trusted = true, true
		return nil, e
	}
	s.chain, s.valid, s.provisional = certs, validityOf(chains), true
	n.notice("the certificate is not good by the date, %s; it is accepted until the clock is set: %v", date(at), err)
	return chains, nil
}
