package remote

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"time"

	"ntsbridge/bridge/nke"
)

// Settings say who is let in, and how. They are immutable.
type Settings struct {
	Listen      []netip.AddrPort // empty: the API is off
	Files       []nke.Files      // certificates that are shown
	Authorities *x509.CertPool   // of clients' certificates; nil: none counts
	Writers     []string         // names of certificates that may write
	Tokens      *Tokens          // nil: none
	Connections int
	// Plain serves addresses of loopback without TLS, and lets who asks there do
	// what Local says.
	Plain bool
	Local Role
	// Option is that of Listen, for messages; empty: api.listen.
	Option string
}

// maxAuthorities bounds a file of authorities, octets.
const maxAuthorities = 1 << 20

// ReadAuthorities reads certificates in PEM.
func ReadAuthorities(path string) (*x509.CertPool, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxAuthorities {
		return nil, fmt.Errorf("%s is larger than %d octets; is it the right file?", path, maxAuthorities)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	pool, n := x509.NewCertPool(), 0
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: certificate %d: %w", path, n+1, err)
		}
		pool.AddCert(c)
		n++
	}
	if n == 0 {
		return nil, fmt.Errorf("%s holds no certificate in PEM", path)
	}
	return pool, nil
}

// errors of who is not let in; none tells of what was shown.
var (
	errNoCredentials = errors.New("no token and no certificate: send a token (Authorization: Bearer), or show a certificate")
	errUnknownToken  = errors.New("the token is not known here: it is not in api.tokens, or the daemon has not read the file since")
	errScheme        = errors.New("only Authorization: Bearer TOKEN is known")
	errNoAuthority   = errors.New("certificates of clients do not count here: api.clients_ca is empty")
)

// certified judges the certificate that a client showed and proved to have.
func (s *Settings) certified(state *tls.ConnectionState, now time.Time) (name string, role Role, err error) {
	if s.Authorities == nil {
		return "", Nobody, errNoAuthority
	}
	chain := state.PeerCertificates
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	o := x509.VerifyOptions{Roots: s.Authorities, Intermediates: between, CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	if _, err := chain[0].Verify(o); err != nil {
		return "", Nobody, fmt.Errorf("the certificate does not count by api.clients_ca: %w", err)
	}
	names := namesOf(chain[0])
	if len(names) == 0 {
		return "", Nobody, errors.New("the certificate has no name: neither a common name nor a subject alternative one")
	}
	role = Read
	for _, n := range names {
		if slices.Contains(s.Writers, n) {
			return n, Write, nil
		}
	}
	return names[0], role, nil
}

// namesOf are the names of a client's certificate.
func namesOf(c *x509.Certificate) (names []string) {
	for _, n := range append([]string{c.Subject.CommonName}, append(slices.Clone(c.DNSNames), c.EmailAddresses...)...) {
		if n != "" {
			names = append(names, n)
		}
	}
	for _, u := range c.URIs {
		names = append(names, u.String())
	}
	return names
}
