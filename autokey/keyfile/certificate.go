package keyfile

import (
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"math/big"
	"time"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// maxCertificate is the longest certificate read, octets. ntpd sends at most
// 2048 octets in one extension field.
const maxCertificate = 16384

var (
	oidRSA              = oid(1, 2, 840, 113549, 1, 1, 1)
	oidDSA              = oid(1, 2, 840, 10040, 4, 1)
	oidCommonName       = oid(2, 5, 4, 3)
	oidSubjectKeyID     = oid(2, 5, 29, 14)
	oidKeyUsage         = oid(2, 5, 29, 15)
	oidBasicConstraints = oid(2, 5, 29, 19)
	oidExtKeyUsage      = oid(2, 5, 29, 37)
	// oidTrustRoot is OpenSSL's "Trust Root", ntp-keygen -T.
	oidTrustRoot = oid(1, 3, 6, 1, 5, 5, 7, 48, 1, 11)
	// oidPrivate is OpenSSL's "Private", ntp-keygen -P.
	oidPrivate = oid(1, 3, 6, 1, 4)
)

// Certificate is a certificate as ntpd reads it.
type Certificate struct {
	Raw       []byte    // DER
	Subject   string    // everything behind the first "CN=", with @group
	Issuer    string    // same
	Serial    *big.Int  // NTP seconds of its making, with ntp-keygen
	NotBefore time.Time // to the second
	NotAfter  time.Time // to the second
	NID       NID       // algorithm of the signature on it; 0 if unknown
	PublicKey PublicKey
	Trusted   bool     // extended key usage is trustRoot and nothing else
	Private   bool     // extended key usage is private and nothing else
	GQPublic  *big.Int // subject key identifier as a number; nil if there is none

	signed    []byte // TBSCertificate, DER
	signature []byte
	parts     tbs
}

// tbs is what a new certificate takes from a request, DER. version and
// extensions come with their context tags and may be empty.
type tbs struct {
	version, subject, publicKey, extensions []byte
}

// ParseCertificate reads one DER certificate. It does not judge validity,
// signature or algorithm. Like ntpd it refuses a certificate without common
// name in subject or issuer.
func ParseCertificate(der []byte) (*Certificate, error) {
	if len(der) > maxCertificate {
		return nil, unsupported("certificate of %d octets, at most %d", len(der), maxCertificate)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, malformed("certificate: %v", err)
	}
	c := &Certificate{
		Raw:       cert.Raw,
		Serial:    cert.SerialNumber,
		NotBefore: cert.NotBefore,
		NotAfter:  cert.NotAfter,
		signed:    cert.RawTBSCertificate,
		signature: cert.Signature,
	}
	if c.Subject, err = commonName(cert.RawSubject); err != nil {
		return nil, fmt.Errorf("certificate subject: %w", err)
	}
	if c.Issuer, err = commonName(cert.RawIssuer); err != nil {
		return nil, fmt.Errorf("certificate issuer: %w", err)
	}
	if c.PublicKey, err = parseSPKI(cert.RawSubjectPublicKeyInfo); err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	if err := c.split(); err != nil {
		return nil, err
	}
	usages := len(cert.ExtKeyUsage) + len(cert.UnknownExtKeyUsage)
	if usages == 1 && len(cert.UnknownExtKeyUsage) == 1 {
		c.Trusted = cert.UnknownExtKeyUsage[0].Equal(oidTrustRoot)
		c.Private = cert.UnknownExtKeyUsage[0].Equal(oidPrivate)
	}
	if len(cert.SubjectKeyId) > 0 {
		c.GQPublic = new(big.Int).SetBytes(cert.SubjectKeyId)
	}
	return c, nil
}

// split fills in the signature algorithm and the parts that SIGN copies.
func (c *Certificate) split() error {
	fail := malformed("certificate does not split")
	var cert, body, algorithm cryptobyte.String
	input := cryptobyte.String(c.Raw)
	if !input.ReadASN1(&cert, casn1.SEQUENCE) || !cert.ReadASN1(&body, casn1.SEQUENCE) ||
		!cert.ReadASN1(&algorithm, casn1.SEQUENCE) {
		return fail
	}
	var id asn1.ObjectIdentifier
	if !algorithm.ReadASN1ObjectIdentifier(&id) {
		return fail
	}
	c.NID = nidByOID(id)

	context0 := casn1.Tag(0).Constructed().ContextSpecific()
	context3 := casn1.Tag(3).Constructed().ContextSpecific()
	var version, subject, publicKey, extensions cryptobyte.String
	if body.PeekASN1Tag(context0) && !body.ReadASN1Element(&version, context0) {
		return fail
	}
	if !body.SkipASN1(casn1.INTEGER) || !body.SkipASN1(casn1.SEQUENCE) || // serial, algorithm
		!body.SkipASN1(casn1.SEQUENCE) || !body.SkipASN1(casn1.SEQUENCE) || // issuer, validity
		!body.ReadASN1Element(&subject, casn1.SEQUENCE) || !body.ReadASN1Element(&publicKey, casn1.SEQUENCE) {
		return fail
	}
	for n := casn1.Tag(1); n <= 2; n++ { // unique identifiers, which nobody uses
		if !body.SkipOptionalASN1(n.ContextSpecific()) {
			return fail
		}
	}
	if !body.Empty() && (!body.ReadASN1Element(&extensions, context3) || !body.Empty()) {
		return fail
	}
	c.parts = tbs{version, subject, publicKey, extensions}
	return nil
}

// parseSPKI reads a SubjectPublicKeyInfo with an RSA or DSA key.
func parseSPKI(der []byte) (PublicKey, error) {
	var info, algorithm cryptobyte.String
	var id asn1.ObjectIdentifier
	var bits asn1.BitString
	input := cryptobyte.String(der)
	if !input.ReadASN1(&info, casn1.SEQUENCE) || !info.ReadASN1(&algorithm, casn1.SEQUENCE) ||
		!algorithm.ReadASN1ObjectIdentifier(&id) || !info.ReadASN1BitString(&bits) || bits.BitLength%8 != 0 {
		return nil, malformed("public key")
	}
	switch {
	case id.Equal(oidRSA):
		k, err := parseRSAPublicKey(bits.Bytes)
		if err != nil {
			return nil, err
		}
		return k, k.check(minKeyBits, maxKeyBits)
	case id.Equal(oidDSA):
		k := &DSAPublicKey{new(big.Int), new(big.Int), new(big.Int), new(big.Int)}
		var params cryptobyte.String
		value := cryptobyte.String(bits.Bytes)
		if !algorithm.ReadASN1(&params, casn1.SEQUENCE) || !params.ReadASN1Integer(k.P) ||
			!params.ReadASN1Integer(k.Q) || !params.ReadASN1Integer(k.G) || !params.Empty() ||
			!value.ReadASN1Integer(k.Y) || !value.Empty() {
			return nil, malformed("DSA public key")
		}
		return k, k.check()
	}
	return nil, fmt.Errorf("%w: neither RSA nor DSA (%v)", ErrKeyType, id)
}

// SelfSigned reports whether subject and issuer are the same. The signature is
// another matter: CheckSignature with c.PublicKey.
func (c *Certificate) SelfSigned() bool { return c.Subject == c.Issuer }

// CheckSignature verifies the signature on c with the issuer's key, if the
// policy allows algorithm and key. The error is ErrAlgorithm or ErrSignature.
func (c *Certificate) CheckSignature(policy Policy, issuer PublicKey) error {
	return policy.Verify(issuer, c.NID, c.signed, c.signature)
}

// ValidAt reports whether now lies within the validity.
func (c *Certificate) ValidAt(now time.Time) bool {
	return !now.Before(c.NotBefore) && !now.After(c.NotAfter)
}
