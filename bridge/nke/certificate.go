package nke

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net"
	"os"
	"slices"
	"syscall"
	"time"
)

// Files are a certificate chain, leaf first, and its private key, in PEM.
type Files struct {
	Certificate string
	Key         string
	Readable    bool // everybody may read the key
}

// CheckSecret refuses a file with a secret that everybody can read or write,
// unless that is allowed.
func CheckSecret(name string, info fs.FileInfo, readable bool) error {
	if mode := info.Mode().Perm(); mode&0o007 != 0 && !readable {
		return fmt.Errorf("%s holds a secret and everybody can read or write it (mode %04o); chmod o= it", name, mode)
	}
	return nil
}

// minRSABits is the least length of an RSA key; clients refuse less.
const minRSABits = 2048

// Certificates are what a server shows to its clients. They are immutable.
type Certificates struct {
	files  []Files // as configured
	pairs  []pair  // of these, in their order; none: every handshake fails
	broken []Broken
	stamps []stamp
}

type pair struct {
	files Files
	cert  tls.Certificate
	cut   bool // the last block of the file is cut off
}

// Broken is a certificate that cannot be used.
type Broken struct {
	Files Files
	Err   error
}

// LoadCertificates reads and checks certificates with their keys. It refuses
// what clients would refuse for ever: a key that does not belong to the
// certificate, a weak key or signature. Validity in time is not its business:
// see Status. A certificate that cannot be used does not take the others with
// it: the error is of all of those, and what is returned has the rest.
func LoadCertificates(files []Files) (*Certificates, error) {
	return ReadCertificates(files, os.ReadFile)
}

// ReadCertificates is LoadCertificates with another way to read files.
func ReadCertificates(files []Files, read func(path string) ([]byte, error)) (*Certificates, error) {
	if len(files) == 0 {
		return nil, errors.New("nke: no certificate files named")
	}
	c := &Certificates{files: slices.Clone(files), stamps: stampsOf(files)}
	var errs []error
	for _, f := range files {
		p, err := loadPair(f, read)
		if err != nil {
			c.broken = append(c.broken, Broken{f, err})
			errs = append(errs, err)
			continue
		}
		c.pairs = append(c.pairs, p)
	}
	return c, errors.Join(errs...)
}

// Chains returns the chains that are shown, leaf first.
func (c *Certificates) Chains() [][]*x509.Certificate {
	var chains [][]*x509.Certificate
	for _, p := range c.pairs {
		chains = append(chains, p.chain())
	}
	return chains
}

func (p *pair) chain() []*x509.Certificate {
	chain := []*x509.Certificate{p.cert.Leaf}
	for i := 1; i < len(p.cert.Certificate); i++ {
		if x, err := x509.ParseCertificate(p.cert.Certificate[i]); err == nil {
			chain = append(chain, x)
		}
	}
	return chain
}

// instead returns the certificates with those of old in place of broken ones.
func (c *Certificates) instead(old *Certificates) *Certificates {
	out := *c
	out.pairs = nil
	for _, f := range c.files {
		of := func(p pair) bool { return p.files == f }
		if i := slices.IndexFunc(c.pairs, of); i >= 0 {
			out.pairs = append(out.pairs, c.pairs[i])
		} else if i := slices.IndexFunc(old.pairs, of); i >= 0 {
			out.pairs = append(out.pairs, old.pairs[i])
		}
	}
	return &out
}

// shows reports whether the same certificates are shown as by another.
func (c *Certificates) shows(other *Certificates) bool {
	return slices.EqualFunc(c.pairs, other.pairs, func(a, b pair) bool { return a.cert.Leaf.Equal(b.cert.Leaf) })
}

func loadPair(f Files, read func(string) ([]byte, error)) (pair, error) {
	cert, err := read(f.Certificate)
	if err != nil {
		return pair{}, fmt.Errorf("nke: certificate: %w", err)
	}
	key, err := read(f.Key)
	if err != nil {
		return pair{}, fmt.Errorf("nke: private key: %w", err)
	}
	if info, err := os.Stat(f.Key); err == nil {
		if err := CheckSecret(f.Key, info, f.Readable); err != nil {
			return pair{}, fmt.Errorf("nke: private key: %w", err)
		}
	}
	c, cut, err := parsePair(cert, key)
	if err != nil {
		return pair{}, fmt.Errorf("nke: certificate %s with key %s: %w", f.Certificate, f.Key, err)
	}
	if c.Leaf == nil {
		if c.Leaf, err = x509.ParseCertificate(c.Certificate[0]); err != nil {
			return pair{}, fmt.Errorf("nke: certificate %s: %w", f.Certificate, err)
		}
	}
	if err := checkLeaf(c.Leaf); err != nil {
		return pair{}, fmt.Errorf("nke: certificate %s: %w", f.Certificate, err)
	}
	return pair{f, c, cut}, nil
}

// checkLeaf refuses certificates that no client accepts in TLS 1.3.
func checkLeaf(leaf *x509.Certificate) error {
	switch key := leaf.PublicKey.(type) {
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < minRSABits {
			return fmt.Errorf("RSA key of %d bits is too weak: make one of at least %d", bits, minRSABits)
		}
	case *ecdsa.PublicKey:
		if bits := key.Curve.Params().BitSize; bits < 256 {
			return fmt.Errorf("ECDSA key of %d bits is too weak and unknown to TLS 1.3: use P-256", bits)
		}
	case ed25519.PublicKey:
	default:
		return fmt.Errorf("key type %v cannot be used in TLS 1.3", leaf.PublicKeyAlgorithm)
	}
	switch leaf.SignatureAlgorithm {
	case x509.MD2WithRSA, x509.MD5WithRSA, x509.SHA1WithRSA, x509.DSAWithSHA1, x509.ECDSAWithSHA1:
		return fmt.Errorf("signature %v is too weak: have the certificate issued anew with SHA-256", leaf.SignatureAlgorithm)
	}
	if len(leaf.DNSNames)+len(leaf.IPAddresses) == 0 {
		return errors.New("it has no subject alternative name (DNS name or IP address), and clients ignore the common name")
	}
	if len(leaf.ExtKeyUsage) > 0 && !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageServerAuth) &&
		!slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageAny) {
		return errors.New("its extended key usage does not allow TLS servers")
	}
	return nil
}

// errNoCertificate is why handshakes fail until there is a usable one.
var errNoCertificate = errors.New("nke: no certificate can be used")

// choose returns the certificate for a client: by the name it asks for, or,
// as it cannot ask for an address, by the address it came to.
func (c *Certificates) choose(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := hello.ServerName
	if name == "" && hello.Conn != nil {
		if a, ok := hello.Conn.LocalAddr().(*net.TCPAddr); ok {
			name = a.IP.String()
		}
	}
	var fallback *tls.Certificate
	for i := range c.pairs {
		cert := &c.pairs[i].cert
		if cert.Leaf.VerifyHostname(name) == nil && hello.SupportsCertificate(cert) == nil {
			return cert, nil
		}
		// SupportsCertificate would also look at the name.
		if fallback == nil && usable(hello, cert) {
			fallback = cert
		}
	}
	if len(c.pairs) == 0 {
		return nil, errNoCertificate
	}
	if fallback == nil {
		fallback = &c.pairs[0].cert
	}
	return fallback, nil
}

// usable reports whether the client knows the certificate's kind of key,
// whatever name it asks for.
func usable(hello *tls.ClientHelloInfo, cert *tls.Certificate) bool {
	anyName := *hello
	anyName.ServerName = ""
	return anyName.SupportsCertificate(cert) == nil
}

// CertificateStatus describes a certificate in use.
type CertificateStatus struct {
	Files      Files
	Names      []string // subject alternative names
	Subject    string
	Issuer     string
	Key        string // "ECDSA P-256", "RSA 2048", "Ed25519"
	NotBefore  time.Time
	NotAfter   time.Time
	DaysLeft   int // whole days until NotAfter; negative when it has expired
	Chain      []ChainLink
	Needs      string      // subject of what clients must trust
	Complaints []Complaint // what clients hold against it
	// Problem says what is wrong with it now, empty for nothing.
	Problem string
}

// Status describes the certificates at time now.
func (c *Certificates) Status(now time.Time) []CertificateStatus {
	var list []CertificateStatus
	complaints := c.Complaints(now)
	for i, p := range c.pairs {
		leaf, chain := p.cert.Leaf, p.chain()
		s := CertificateStatus{
			Files: p.files, Names: slices.Clone(leaf.DNSNames),
			Subject: leaf.Subject.String(), Issuer: leaf.Issuer.String(), Key: keyName(leaf),
			NotBefore: leaf.NotBefore, NotAfter: leaf.NotAfter,
			DaysLeft: daysLeft(leaf, now), Chain: links(chain, now), Needs: needs(chain), Complaints: complaints[i],
		}
		for _, ip := range leaf.IPAddresses {
			s.Names = append(s.Names, ip.String())
		}
		s.Problem = problem(p, s.Complaints)
		list = append(list, s)
	}
	return list
}

// daysLeft returns the whole days until a certificate ends, negative after.
func daysLeft(c *x509.Certificate, now time.Time) int {
	return int(math.Floor(c.NotAfter.Sub(now).Hours() / 24))
}

func keyName(leaf *x509.Certificate) string {
	switch key := leaf.PublicKey.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d", key.N.BitLen())
	case *ecdsa.PublicKey:
		return "ECDSA " + key.Curve.Params().Name
	}
	return leaf.PublicKeyAlgorithm.String()
}

// problem names the worst of what is wrong with a pair now: what all clients
// hold against it, or who may read the key.
func problem(p pair, complaints []Complaint) string {
	for _, c := range complaints {
		if !c.Some {
			return fmt.Sprintf("certificate %s: %s", p.files.Certificate, c.Text)
		}
	}
	if info, err := os.Stat(p.files.Key); err == nil && info.Mode().Perm()&0o007 != 0 {
		return fmt.Sprintf("private key %s can be read or written by everybody: chmod o= it", p.files.Key)
	}
	return ""
}

// stamp tells one version of a file from another, with its owner and mode.
type stamp struct {
	modified time.Time
	changed  syscall.Timespec
	size     int64
	inode    uint64
	missing  bool
}

func stampsOf(files []Files) []stamp {
	var list []stamp
	for _, f := range files {
		list = append(list, stampOf(f.Certificate), stampOf(f.Key))
	}
	return list
}

func stampOf(path string) stamp {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{missing: errors.Is(err, fs.ErrNotExist)}
	}
	s := stamp{modified: info.ModTime(), size: info.Size()}
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		s.inode, s.changed = sys.Ino, sys.Ctim
	}
	return s
}

// ChainLink is a certificate behind the server's own.
type ChainLink struct {
	Subject  string
	NotAfter time.Time
	DaysLeft int
}

// links describes what follows the leaf in a chain.
func links(chain []*x509.Certificate, now time.Time) (list []ChainLink) {
	for _, c := range chain[1:] {
		list = append(list, ChainLink{c.Subject.String(), c.NotAfter, daysLeft(c, now)})
	}
	return list
}

// needs says what clients must trust for a chain.
func needs(chain []*x509.Certificate) string {
	last := chain[len(chain)-1]
	if bytes.Equal(last.RawIssuer, last.RawSubject) {
		if len(chain) == 1 {
			return "the certificate itself"
		}
		return last.Subject.String()
	}
	return last.Issuer.String()
}
