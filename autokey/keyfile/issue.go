package keyfile

import (
	"encoding/asn1"
	"fmt"
	"io"
	"math/big"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"

	"ntsbridge/bridge/ntp"
)

// maxCommonName is the longest common name, characters (RFC 5280, appendix A).
const maxCommonName = 64

// certificateLife is the life of certificates made for SIGN, as in ntpd.
const certificateLife = 365 * 24 * time.Hour

// Issuer is who signs certificates for others.
type Issuer struct {
	Name string // common name of the issuer's own certificate, 1 to 64 characters
	Key  PrivateKey
	NID  NID // algorithm that goes with Key
}

// SignCertificate makes the certificate of a SIGN response, DER, as ntpd does:
// version, subject, public key and all extensions of the request, valid for
// 365 days from now, serial number now in NTP seconds.
//
// Whether the request deserves a signature is for the caller to judge.
func SignCertificate(rand io.Reader, request *Certificate, issuer Issuer, now time.Time) ([]byte, error) {
	now = now.UTC().Truncate(time.Second)
	return signTBS(rand, request.parts, certificateFields{
		issuer:    issuer.Name,
		serial:    ntp.TimestampFromTime(now).Seconds(),
		notBefore: now,
		notAfter:  now.Add(certificateLife),
	}, issuer.Key, issuer.NID)
}

// CertificateTemplate describes a self-signed certificate of ntp-keygen.
type CertificateTemplate struct {
	Subject   string    // host name, with @group; 1 to 64 characters
	Serial    uint32    // NTP seconds of now
	NotBefore time.Time // now
	NotAfter  time.Time // ntp-keygen: 365 days later
	Trusted   bool      // -T
	Private   bool      // -P; not together with Trusted
	GQPublic  *big.Int  // with a GQ key: its Public
}

// CreateCertificate makes a self-signed certificate, DER, octet for octet in
// the form of ntp-keygen 4.2.8p15.
func CreateCertificate(rand io.Reader, t CertificateTemplate, key PrivateKey, nid NID) ([]byte, error) {
	if t.Trusted && t.Private {
		return nil, fmt.Errorf("%w: trusted and private at once", ErrCertificate)
	}
	subject, err := marshalName(t.Subject)
	if err != nil {
		return nil, err
	}
	publicKey, err := marshalSPKI(key.Public())
	if err != nil {
		return nil, err
	}
	extensions, err := marshalExtensions(t)
	if err != nil {
		return nil, err
	}
	version := []byte{0xa0, 3, 2, 1, 2} // v3
	return signTBS(rand, tbs{version, subject, publicKey, extensions}, certificateFields{
		issuer:    t.Subject,
		serial:    t.Serial,
		notBefore: t.NotBefore,
		notAfter:  t.NotAfter,
	}, key, nid)
}

// certificateFields is what a new certificate does not take from a request.
type certificateFields struct {
	issuer              string
	serial              uint32
	notBefore, notAfter time.Time
}

// signTBS assembles a certificate and signs it.
func signTBS(rand io.Reader, parts tbs, f certificateFields, key PrivateKey, nid NID) ([]byte, error) {
	issuer, err := marshalName(f.issuer)
	if err != nil {
		return nil, err
	}
	a, err := nid.usable()
	if err != nil {
		return nil, err
	}
	var b cryptobyte.Builder
	b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(parts.version)
		b.AddASN1Uint64(uint64(f.serial))
		a.addIdentifier(b)
		b.AddBytes(issuer)
		b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
			addTime(b, f.notBefore)
			addTime(b, f.notAfter)
		})
		b.AddBytes(parts.subject)
		b.AddBytes(parts.publicKey)
		b.AddBytes(parts.extensions)
	})
	body, err := b.Bytes()
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	signature, err := Sign(rand, key, nid, body)
	if err != nil {
		return nil, err
	}
	var cert cryptobyte.Builder
	cert.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(body)
		a.addIdentifier(b)
		b.AddASN1BitString(signature)
	})
	return cert.Bytes()
}

// addIdentifier writes the AlgorithmIdentifier: with NULL parameters for RSA,
// with none for DSA (RFC 3279, section 2.2).
func (a *algorithm) addIdentifier(b *cryptobyte.Builder) {
	b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(a.oid)
		if a.family == familyRSA {
			b.AddASN1NULL()
		}
	})
}

// addTime writes UTCTime up to 2049, then GeneralizedTime (RFC 5280, section
// 4.1.2.5).
func addTime(b *cryptobyte.Builder, t time.Time) {
	t = t.UTC()
	if y := t.Year(); y >= 1950 && y < 2050 {
		b.AddASN1UTCTime(t)
		return
	}
	b.AddASN1GeneralizedTime(t)
}

// marshalName returns a Name of one common name, UTF8String.
func marshalName(cn string) ([]byte, error) {
	if n := utf8.RuneCountInString(cn); n < 1 || n > maxCommonName || !utf8.ValidString(cn) {
		return nil, fmt.Errorf("%w: common name of %d characters, want 1 to %d", ErrCertificate, n, maxCommonName)
	}
	var b cryptobyte.Builder
	b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(casn1.SET, func(b *cryptobyte.Builder) {
			b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(oidCommonName)
				b.AddASN1(casn1.UTF8String, func(b *cryptobyte.Builder) { b.AddBytes([]byte(cn)) })
			})
		})
	})
	return b.Bytes()
}

// marshalSPKI returns a SubjectPublicKeyInfo.
func marshalSPKI(pub PublicKey) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
		switch k := pub.(type) {
		case *RSAPublicKey:
			b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(oidRSA)
				b.AddASN1NULL()
			})
			b.AddASN1BitString(MarshalPublicKey(k))
		case *DSAPublicKey:
			b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(oidDSA)
				addIntegers(b, k.P, k.Q, k.G)
			})
			var y cryptobyte.Builder
			y.AddASN1BigInt(k.Y)
			b.AddASN1BitString(y.BytesOrPanic())
		}
	})
	return b.Bytes()
}

// addIntegers writes SEQUENCE { INTEGER, ... }.
func addIntegers(b *cryptobyte.Builder, values ...*big.Int) {
	b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, v := range values {
			b.AddASN1BigInt(v)
		}
	})
}

// marshalExtensions returns the extensions of ntp-keygen, in its order and
// with their context tag.
func marshalExtensions(t CertificateTemplate) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(casn1.Tag(3).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) {
		b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
			addExtension(b, oidBasicConstraints, true, func(b *cryptobyte.Builder) {
				b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1Boolean(true) })
			})
			addExtension(b, oidKeyUsage, false, func(b *cryptobyte.Builder) {
				// digitalSignature and keyCertSign: two unused bits.
				b.AddASN1(casn1.BIT_STRING, func(b *cryptobyte.Builder) { b.AddBytes([]byte{2, 0x84}) })
			})
			if t.GQPublic != nil {
				addExtension(b, oidSubjectKeyID, false, func(b *cryptobyte.Builder) {
					b.AddASN1OctetString(t.GQPublic.Bytes())
				})
			}
			if t.Trusted || t.Private {
				usage := oidTrustRoot
				if t.Private {
					usage = oidPrivate
				}
				addExtension(b, oidExtKeyUsage, false, func(b *cryptobyte.Builder) {
					b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(usage) })
				})
			}
		})
	})
	return b.Bytes()
}

// addExtension writes one Extension (RFC 5280, section 4.1).
func addExtension(b *cryptobyte.Builder, id asn1.ObjectIdentifier, critical bool, value cryptobyte.BuilderContinuation) {
	b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(id)
		if critical {
			b.AddASN1Boolean(true)
		}
		b.AddASN1(casn1.OCTET_STRING, value)
	})
}
