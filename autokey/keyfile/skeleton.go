package keyfile

import (
	"errors"
	"io"
	"io/fs"
	"math/big"
	"time"

	"ntsbridge/autokey/identity"
)

// NID is OpenSSL's number of a signature algorithm, as it stands in the upper
// half of the Autokey status word.
type NID uint16

// The signature algorithms that ntpd 4.2.8 can be met with.
const (
	RSAMD4       NID = 396
	RSAMD5       NID = 8
	RSASHA1      NID = 65
	RSASHA1Old   NID = 115 // sha1WithRSA, OIW
	RSARIPEMD160 NID = 119
	RSASHA224    NID = 671
	RSASHA256    NID = 668
	RSASHA384    NID = 669
	RSASHA512    NID = 670
	DSASHA1      NID = 113
	DSASHA224    NID = 802
	DSASHA256    NID = 803
)

// PublicKey is *RSAPublicKey or *DSAPublicKey.
type PublicKey interface {
	// Bits returns the length of the modulus.
	Bits() int
	// Equal reports whether other is the same key.
	Equal(other PublicKey) bool
	isPublicKey()
}

// PrivateKey is *RSAPrivateKey or *DSAPrivateKey.
type PrivateKey interface {
	Public() PublicKey
	isPrivateKey()
}

// RSAPublicKey is an RSA public key of any size.
type RSAPublicKey struct{ N, E *big.Int }

// DSAPublicKey is a DSA public key.
type DSAPublicKey struct{ P, Q, G, Y *big.Int }

// RSAPrivateKey is an RSA private key.
type RSAPrivateKey struct {
	RSAPublicKey
	D, P, Q *big.Int
}

// DSAPrivateKey is a DSA private key.
type DSAPrivateKey struct {
	DSAPublicKey
	X *big.Int
}

func (k *RSAPublicKey) Bits() int                  { return k.N.BitLen() }
func (k *DSAPublicKey) Bits() int                  { return k.P.BitLen() }
func (k *RSAPublicKey) Equal(other PublicKey) bool { return false }
func (k *DSAPublicKey) Equal(other PublicKey) bool { return false }
func (k *RSAPublicKey) isPublicKey()               {}
func (k *DSAPublicKey) isPublicKey()               {}
func (k *RSAPrivateKey) Public() PublicKey         { return &k.RSAPublicKey }
func (k *DSAPrivateKey) Public() PublicKey         { return &k.DSAPublicKey }
func (k *RSAPrivateKey) isPrivateKey()             {}
func (k *DSAPrivateKey) isPrivateKey()             {}

// Policy says which signature algorithms and key sizes Autokey may use here.
// The zero value allows nothing; see DefaultPolicy.
type Policy struct {
	MinRSABits, MaxRSABits int
	MinDSABits, MaxDSABits int
	Algorithms             []NID
}

// DefaultPolicy is what ntpd 4.2.8 with OpenSSL 1.1 accepts.
func DefaultPolicy() Policy { return Policy{} }

// Allow returns nil if a signature by pub under nid may be made or trusted.
func (p Policy) Allow(nid NID, pub PublicKey) error { return errors.ErrUnsupported }

// Sign signs message as Autokey does: RSA PKCS #1 v1.5 (length = modulus
// length), or DSA (DER).
func Sign(rand io.Reader, key PrivateKey, nid NID, message []byte) ([]byte, error) {
	return nil, errors.ErrUnsupported
}

// Verify checks what Sign makes. The error is ErrSignature or ErrAlgorithm.
func Verify(pub PublicKey, nid NID, message, sig []byte) error { return errors.ErrUnsupported }

// EncryptCookie encrypts a cookie for a client (RSAES-OAEP, SHA-1, no label).
func EncryptCookie(rand io.Reader, pub *RSAPublicKey, cookie uint32) ([]byte, error) {
	return nil, errors.ErrUnsupported
}

// DecryptCookie is the inverse of EncryptCookie.
func DecryptCookie(rand io.Reader, key *RSAPrivateKey, ciphertext []byte) (uint32, error) {
	return 0, errors.ErrUnsupported
}

// MarshalPublicKey returns the PKCS #1 form (COOK request value).
func MarshalPublicKey(pub *RSAPublicKey) []byte { return nil }

// ParsePublicKey reads the PKCS #1 form only, 512 to 4096 bits.
func ParsePublicKey(der []byte) (*RSAPublicKey, error) { return nil, errors.ErrUnsupported }

// Certificate is a certificate as ntpd reads it.
type Certificate struct {
	Raw       []byte // DER
	Subject   string // everything behind the first CN=
	Issuer    string // same
	Serial    *big.Int
	NotBefore time.Time
	NotAfter  time.Time
	NID       NID // of the signature on it
	PublicKey PublicKey
	Trusted   bool     // extended key usage is exactly trustRoot
	Private   bool     // extended key usage is exactly private
	GQPublic  *big.Int // from the subject key identifier; nil if there is none
}

// ParseCertificate reads one DER certificate.
func ParseCertificate(der []byte) (*Certificate, error) { return nil, errors.ErrUnsupported }

// SelfSigned reports whether subject and issuer are the same (names only).
func (c *Certificate) SelfSigned() bool { return c.Subject == c.Issuer }

// CheckSignature verifies the signature on c with the issuer's key.
func (c *Certificate) CheckSignature(policy Policy, issuer PublicKey) error {
	return errors.ErrUnsupported
}

// Issuer is who signs certificates.
type Issuer struct {
	Name string // common name
	Key  PrivateKey
	NID  NID // algorithm, fits Key
}

// SignCertificate makes the certificate of a SIGN response, as DER.
func SignCertificate(rand io.Reader, request *Certificate, issuer Issuer, now time.Time) ([]byte, error) {
	return nil, errors.ErrUnsupported
}

// CertificateTemplate describes a self-signed certificate of ntp-keygen.
type CertificateTemplate struct {
	Subject   string
	Serial    uint32
	NotBefore time.Time
	NotAfter  time.Time
	Trusted   bool
	Private   bool
	GQPublic  *big.Int
}

// CreateCertificate makes a self-signed certificate, as DER.
func CreateCertificate(rand io.Reader, t CertificateTemplate, key PrivateKey, nid NID) ([]byte, error) {
	return nil, errors.ErrUnsupported
}

// HostOptions are the words of the crypto line.
type HostOptions struct {
	Host     string    // name in the file names; required
	Ident    string    // name in the identity key file names; default Host
	Password string    // of all private files; default Host
	Now      time.Time // for findings; zero: validity is not judged
}

// Host is a host's key set.
type Host struct {
	Name                 string // common name of the certificate, with @group
	HostKey              *RSAPrivateKey
	HostFilestamp        uint32     // NTP seconds
	SignKey              PrivateKey // nil: HostKey signs
	SignFilestamp        uint32
	Certificate          *Certificate
	CertificateFilestamp uint32
	IFF                  *identity.IFFKey // nil: scheme not offered
	IFFFilestamp         uint32
	GQ                   *identity.GQKey
	GQFilestamp          uint32
	MV                   *identity.MVKey
	MVFilestamp          uint32
	Findings             []Finding
}

// Signer returns the key that signs messages and certificates.
func (h *Host) Signer() PrivateKey {
	if h.SignKey != nil {
		return h.SignKey
	}
	return h.HostKey
}

// NID returns the algorithm of the host's signatures (that of its certificate).
func (h *Host) NID() NID { return h.Certificate.NID }

// Finding is something about a file that works but should be known.
type Finding struct {
	File string
	Code string // stable word, e.g. "weak-key"
	Text string
}

// LoadHost reads a host's key set with the rules of ntpd.
func LoadHost(fsys fs.FS, opt HostOptions) (*Host, error) { return nil, errors.ErrUnsupported }

// Scheme is an identity scheme with a group file.
type Scheme uint8

// The schemes, in the order in which a client picks them.
const (
	IFF Scheme = 1 + iota
	GQ
	MV
)

// Group is a client's group parameter file.
type Group struct {
	Name      string
	Filestamp uint32
	IFF       *identity.IFFParameters // exactly one of the three is set
	GQ        *identity.GQParameters  // V nil: use WithPublic
	MV        *identity.MVParameters
}

// LoadGroup reads ntpkey_{iff,gq,mv}par_GROUP. The error is fs.ErrNotExist if
// there is no such file.
func LoadGroup(fsys fs.FS, scheme Scheme, group string) (*Group, error) {
	return nil, errors.ErrUnsupported
}
