// Package pki makes certificates for sites without an authority of their own: a
// root, an intermediate authority, and certificates of servers with all their
// names and addresses. Keys are ECDSA P-256, which every NTS client knows.
//
// It makes texts of PEM files and reads them again; it writes nothing.
package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"time"
)

// Birth is a time before which no clock is right: this program was not written
// then. What is made while the clock is before it is made as if it were then.
var Birth = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// sane returns a time at which a certificate may begin.
func sane(now time.Time) time.Time {
	if now.Before(Birth) {
		return Birth
	}
	return now
}

// NewKey makes a key as the text of a PEM file.
func NewKey() ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("pki: private key: %w", err)
	}
	return KeyPEM(key)
}

// KeyPEM returns the text of a file with a key.
func KeyPEM(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("pki: private key: %w", err)
	}
	defer clear(der)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// ParseKey reads a private key: PKCS #8, or that of openssl's older commands.
func ParseKey(text []byte) (crypto.Signer, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("pki: private key: no PEM block in it")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		if ec, failed := x509.ParseECPrivateKey(block.Bytes); failed == nil {
			return ec, nil
		}
		if old, failed := x509.ParsePKCS1PrivateKey(block.Bytes); failed == nil {
			return old, nil
		}
		return nil, fmt.Errorf("pki: private key: %w", err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errors.New("pki: private key cannot sign")
	}
	return signer, nil
}

// ParseChain reads the certificates of a PEM file, at least one.
func ParseChain(text []byte) (chain []*x509.Certificate, err error) {
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			break
		}
		if text = rest; block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("pki: certificate: %w", err)
		}
		chain = append(chain, c)
	}
	if len(chain) == 0 {
		return nil, errors.New("pki: no certificate in it")
	}
	return chain, nil
}

// PEM returns the text of a file with the certificates.
func PEM(chain ...*x509.Certificate) (text []byte) {
	for _, c := range chain {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return text
}

// Authority issues certificates.
type Authority struct {
	Certificate *x509.Certificate
	Key         crypto.Signer
	// Above is what has to be sent with what it issues, besides its own
	// certificate: intermediate authorities above it, not the root.
	Above []*x509.Certificate
}

// ReadAuthority makes an authority of the texts of its certificate, with any
// intermediate ones above it, and its key.
func ReadAuthority(certificate, key []byte) (*Authority, error) {
	chain, err := ParseChain(certificate)
	if err != nil {
		return nil, err
	}
	signer, err := ParseKey(key)
	if err != nil {
		return nil, err
	}
	type comparable interface{ Equal(crypto.PublicKey) bool }
	if public, ok := signer.Public().(comparable); !ok || !public.Equal(chain[0].PublicKey) {
		return nil, errors.New("pki: the key does not belong to the authority's certificate")
	}
	if !chain[0].IsCA {
		return nil, fmt.Errorf("pki: %s is no authority", chain[0].Subject)
	}
	return &Authority{chain[0], signer, chain[1:]}, nil
}

// authority is the template of an authority; length is how many others may
// stand below it.
func authority(name string, length int, now time.Time, years int) *x509.Certificate {
	return &x509.Certificate{
		Subject: pkix.Name{CommonName: name},
		// From a fixed date, so that a clock that is ahead does no harm.
		NotBefore: Birth.AddDate(-1, 0, 0), NotAfter: sane(now).AddDate(years, 0, 0),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, BasicConstraintsValid: true, IsCA: true,
		MaxPathLen: length, MaxPathLenZero: length == 0,
	}
}

// NewRoot makes the certificate of a root with a key. length is how many
// authorities may stand below it, one upon the other.
func NewRoot(name string, key crypto.Signer, length int, now time.Time, years int) (*Authority, error) {
	t := authority(name, length, now, years)
	c, err := sign(t, t, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return &Authority{Certificate: c, Key: key}, nil
}

// NewIntermediate makes the certificate of an authority below this one, which
// issues certificates of servers only.
func (a *Authority) NewIntermediate(name string, key crypto.Signer, now time.Time, years int) (*Authority, error) {
	t := authority(name, 0, now, years)
	t.NotAfter = earlier(t.NotAfter, a.Certificate.NotAfter)
	c, err := sign(t, a.Certificate, key.Public(), a.Key)
	if err != nil {
		return nil, err
	}
	return &Authority{c, key, nil}, nil
}

// Server is what a server's certificate is to be.
type Server struct {
	Names []string // host names, *.names and addresses
	Days  int      // from now
	// Before is how long before now it begins: clients whose clock is behind are
	// those that need it.
	Before time.Duration
}

// Issue makes the chain for a server's key: its certificate, then this
// authority's, unless that is a root and root is false.
func (a *Authority) Issue(s *Server, public crypto.PublicKey, root bool, now time.Time) ([]*x509.Certificate, error) {
	now = sane(now)
	t := &x509.Certificate{
		NotBefore: now.Add(-s.Before), NotAfter: earlier(now.AddDate(0, 0, s.Days), a.Certificate.NotAfter),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	if err := name(t, s.Names); err != nil {
		return nil, err
	}
	c, err := sign(t, a.Certificate, public, a.Key)
	if err != nil {
		return nil, err
	}
	chain := []*x509.Certificate{c}
	if root || !selfIssued(a.Certificate) {
		chain = append(chain, a.Certificate)
	}
	return append(chain, a.Above...), nil
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func selfIssued(c *x509.Certificate) bool { return c.Subject.String() == c.Issuer.String() }

// maxCommonName is the longest common name (RFC 5280, appendix A.1).
const maxCommonName = 64

// name puts names and addresses into a template.
func name(t *x509.Certificate, names []string) error {
	if len(names) == 0 {
		return errors.New("pki: a server's certificate needs a host name or address")
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else if HostName(name) {
			t.DNSNames = append(t.DNSNames, name)
		} else {
			return fmt.Errorf("pki: %q is neither a host name nor an IP address", name)
		}
	}
	if len(names[0]) <= maxCommonName {
		t.Subject.CommonName = names[0]
	}
	return nil
}

// HostName reports whether a name consists of letters, digits, hyphens and
// dots, behind "*." or not.
func HostName(name string) bool {
	if len(name) > 2 && name[:2] == "*." {
		name = name[2:]
	}
	if len(name) == 0 || len(name) > 253 {
		return false
	}
	for _, c := range []byte(name) {
		if c != '-' && c != '.' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
			return false
		}
	}
	return name[0] != '-' && name[0] != '.'
}

// sign completes a template.
func sign(t, parent *x509.Certificate, public crypto.PublicKey, key crypto.Signer) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("pki: certificate: %w", err)
	}
	t.SerialNumber = serial.Add(serial, big.NewInt(1))
	der, err := x509.CreateCertificate(rand.Reader, t, parent, public, key)
	if err != nil {
		return nil, fmt.Errorf("pki: certificate: %w", err)
	}
	return x509.ParseCertificate(der)
}
