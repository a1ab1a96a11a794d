package keyfile

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"strings"
	"time"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"

	"ntsbridge/autokey/identity"
)

// Header is the two comment lines at the head of a key file.
type Header struct {
	Name      string    // without filestamp: "ntpkey_RSAhost_tick"
	Filestamp uint32    // NTP seconds
	Made      time.Time // written in its own zone, as ctime does
}

// FileName returns the name that ntp-keygen gives the file.
func (h Header) FileName() string { return fmt.Sprintf("%s.%d", h.Name, h.Filestamp) }

// encode returns the file: the header, an empty line, and a PEM block.
func (h Header) encode(block *pem.Block) ([]byte, error) {
	if h.Name == "" || strings.ContainsAny(h.Name, "\r\n/") {
		return nil, malformed("name of a key file")
	}
	head := "# " + h.FileName() + "\n# " + h.Made.Format(time.ANSIC) + "\n\n"
	if len(h.FileName())+2 > maxFirstLine {
		return nil, unsupported("file name of %d octets", len(h.FileName()))
	}
	return append([]byte(head), pem.EncodeToMemory(block)...), nil
}

// Encoding says how a private key is written. The zero value is PKCS #8 in the
// clear.
type Encoding struct {
	// Traditional is OpenSSL's form before 1.0.0, the only one that keeps the
	// public values of identity keys. Else PKCS #8.
	Traditional bool
	// Cipher is one of Ciphers; empty: not encrypted. ntp-keygen's default is
	// DefaultCipher.
	Cipher string
	// Password goes with Cipher, 1 to 1024 octets.
	Password string
}

// DefaultCipher is the cipher of ntp-keygen without -C.
const DefaultCipher = "des-ede3-cbc"

// Format implements fmt.Formatter; it never prints the password.
func (e Encoding) Format(s fmt.State, _ rune) {
	fmt.Fprintf(s, "traditional %t, cipher %q", e.Traditional, e.Cipher)
}

// EncodeKey returns a private key file. key is *RSAPrivateKey, *DSAPrivateKey,
// *identity.IFFKey, *identity.GQKey or *identity.MVKey. GQ keys are written in
// the arrangement that ntpd 4.2.8p15 works with; MV keys can be written as
// Traditional only.
func EncodeKey(rand io.Reader, h Header, key any, e Encoding) ([]byte, error) {
	raw, err := rawOf(key)
	if err != nil {
		return nil, err
	}
	return raw.encode(rand, h, e)
}

// EncodeGroup returns a group file for clients, in the form that real ntpd
// clients can use: traditional PEM in the clear. parameters is
// *identity.IFFParameters, *identity.GQParameters or *identity.MVParameters.
func EncodeGroup(h Header, parameters any) ([]byte, error) {
	var raw *rawKey
	switch p := parameters.(type) {
	case *identity.IFFParameters:
		raw = &rawKey{p: p.P, q: p.Q, g: p.G, y: p.V, x: one}
	case *identity.GQParameters:
		// b twice: old clients take it from the public exponent, 4.2.8p15 from
		// the private one.
		raw = &rawKey{rsa: []*big.Int{p.N, p.B, p.B, one, one, one, one, one}}
	case *identity.MVParameters:
		raw = &rawKey{p: p.P, q: one, g: one, y: p.XHat, x: p.XBar}
	default:
		return nil, fmt.Errorf("%w: %T is not group parameters", ErrKeyType, parameters)
	}
	return raw.encode(nil, h, Encoding{Traditional: true})
}

// EncodeCertificate returns a certificate file.
func EncodeCertificate(h Header, der []byte) ([]byte, error) {
	return h.encode(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// rawOf lays out a key as it is written.
func rawOf(key any) (*rawKey, error) {
	switch k := key.(type) {
	case *RSAPrivateKey:
		if k.qinv == nil {
			return nil, fmt.Errorf("%w: RSA key was not made with NewRSAPrivateKey", ErrKeyType)
		}
		return &rawKey{rsa: []*big.Int{k.N, k.E, k.D, k.P, k.Q, k.dp, k.dq, k.qinv}}, nil
	case *DSAPrivateKey:
		return &rawKey{p: k.P, q: k.Q, g: k.G, y: k.Y, x: k.X}, nil
	case *identity.IFFKey:
		return &rawKey{p: k.P, q: k.Q, g: k.G, y: k.Parameters().V, x: k.B}, nil
	case *identity.GQKey:
		return &rawKey{rsa: []*big.Int{k.N, k.U, k.B, k.U, k.Public(), one, one, one}}, nil
	case *identity.MVKey:
		return &rawKey{p: k.P, q: k.Q, g: k.E, y: k.GHat, x: k.GBar, needsPublic: true}, nil
	}
	return nil, fmt.Errorf("%w: %T is not a private key", ErrKeyType, key)
}

// encode writes the key in the wanted form.
func (r *rawKey) encode(rand io.Reader, h Header, e Encoding) ([]byte, error) {
	var c *blockCipher
	if e.Cipher != "" {
		if c = cipherByName(e.Cipher); c == nil || c.oid == nil {
			return nil, unsupported("cipher %q, want one of %s", clip(e.Cipher), strings.Join(Ciphers(), ", "))
		}
		if len(e.Password) == 0 || len(e.Password) > maxPassword {
			return nil, fmt.Errorf("%w: want 1 to %d octets", ErrPassword, maxPassword)
		}
	}
	var block *pem.Block
	var err error
	if e.Traditional {
		block, err = r.traditional(rand, c, e.Password)
	} else {
		block, err = r.pkcs8(rand, c, e.Password)
	}
	if err != nil {
		return nil, err
	}
	return h.encode(block)
}

// traditional returns OpenSSL's traditional PEM.
func (r *rawKey) traditional(rand io.Reader, c *blockCipher, password string) (*pem.Block, error) {
	block := &pem.Block{Type: typeDSA}
	var b cryptobyte.Builder
	if r.rsa != nil {
		block.Type = typeRSA
		addIntegers(&b, append([]*big.Int{new(big.Int)}, r.rsa...)...)
	} else {
		addIntegers(&b, new(big.Int), r.p, r.q, r.g, r.y, r.x)
	}
	der, err := b.Bytes()
	if err != nil || c == nil {
		block.Bytes = der
		return block, err
	}
	iv := make([]byte, c.blockSize)
	if _, err := io.ReadFull(rand, iv); err != nil {
		return nil, fmt.Errorf("random source: %w", err)
	}
	cipher, err := c.new(bytesToKey([]byte(password), iv[:8], c.keyLen))
	if err != nil {
		return nil, unsupported("cipher %s: %v", c.name, err)
	}
	block.Headers = map[string]string{
		"Proc-Type": "4,ENCRYPTED",
		"DEK-Info":  strings.ToUpper(c.name + "," + hex.EncodeToString(iv)),
	}
	block.Bytes = encryptCBC(cipher, iv, der)
	return block, nil
}

// pkcs8 returns PKCS #8, encrypted as OpenSSL 1.1 does it: PBES2 with PBKDF2,
// HMAC-SHA256, 8 octets of salt, 2048 rounds.
func (r *rawKey) pkcs8(rand io.Reader, c *blockCipher, password string) (*pem.Block, error) {
	if r.needsPublic {
		return nil, fmt.Errorf("%w: %s", ErrIncomplete, mvExport)
	}
	der, err := r.marshalPKCS8()
	if err != nil {
		return nil, err
	}
	if c == nil {
		return &pem.Block{Type: typePKCS8, Bytes: der}, nil
	}
	random := make([]byte, 8+c.blockSize)
	if _, err := io.ReadFull(rand, random); err != nil {
		return nil, fmt.Errorf("random source: %w", err)
	}
	salt, iv := random[:8], random[8:]
	key, err := pbkdf2.Key(sha256.New, password, salt, opensslRounds, c.keyLen)
	if err != nil {
		return nil, unsupported("PBKDF2: %v", err)
	}
	cipher, err := c.new(key)
	if err != nil {
		return nil, unsupported("cipher %s: %v", c.name, err)
	}
	der, err = c.marshalEncrypted(salt, iv, encryptCBC(cipher, iv, der))
	return &pem.Block{Type: typeEncryptedPKCS8, Bytes: der}, err
}

// opensslRounds is OpenSSL's number of rounds of PBKDF2.
const opensslRounds = 2048

// marshalPKCS8 returns a PrivateKeyInfo (RFC 5208, section 5).
func (r *rawKey) marshalPKCS8() ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Uint64(0)
		b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
			if r.rsa != nil {
				b.AddASN1ObjectIdentifier(oidRSA)
				b.AddASN1NULL()
				return
			}
			b.AddASN1ObjectIdentifier(oidDSA)
			addIntegers(b, r.p, r.q, r.g)
		})
		b.AddASN1(casn1.OCTET_STRING, func(b *cryptobyte.Builder) {
			if r.rsa != nil {
				addIntegers(b, append([]*big.Int{new(big.Int)}, r.rsa...)...)
				return
			}
			b.AddASN1BigInt(r.x)
		})
	})
	return b.Bytes()
}

// marshalEncrypted returns an EncryptedPrivateKeyInfo with PBES2.
func (c *blockCipher) marshalEncrypted(salt, iv, data []byte) ([]byte, error) {
	isRC2 := c.name == "rc2-cbc"
	var b cryptobyte.Builder
	b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
		addAlgorithm(b, oidPBES2, func(b *cryptobyte.Builder) {
			addAlgorithm(b, oidPBKDF2, func(b *cryptobyte.Builder) {
				b.AddASN1OctetString(salt)
				b.AddASN1Uint64(opensslRounds)
				if isRC2 {
					b.AddASN1Uint64(uint64(c.keyLen))
				}
				b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1ObjectIdentifier(oidHMACSHA256)
					b.AddASN1NULL()
				})
			})
			b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(c.oid)
				if !isRC2 {
					b.AddASN1OctetString(iv)
					return
				}
				b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1Uint64(rc2Version128)
					b.AddASN1OctetString(iv)
				})
			})
		})
		b.AddASN1OctetString(data)
	})
	return b.Bytes()
}

// addAlgorithm writes an AlgorithmIdentifier whose parameters are a sequence.
func addAlgorithm(b *cryptobyte.Builder, id []int, parameters cryptobyte.BuilderContinuation) {
	b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(id)
		b.AddASN1(casn1.SEQUENCE, parameters)
	})
}
