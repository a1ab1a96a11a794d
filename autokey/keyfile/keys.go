package keyfile

import (
	"crypto/rsa"
	"fmt"
	"io"
	"math/big"
)

// Sizes of moduli, bits. Files are read with the wide range; what may be used
// is up to the Policy.
const (
	minKeyBits = 256
	maxKeyBits = 8192
)

var one = big.NewInt(1)

// PublicKey is *RSAPublicKey or *DSAPublicKey.
type PublicKey interface {
	// Bits returns the length of the modulus.
	Bits() int
	// Equal reports whether other is the same key.
	Equal(other PublicKey) bool
	family() family
	// verify checks a signature on a digest.
	verify(a *algorithm, digest, sig []byte) error
}

// PrivateKey is *RSAPrivateKey or *DSAPrivateKey. It prints without its
// secrets.
type PrivateKey interface {
	Public() PublicKey
	// sign signs a digest.
	sign(rand io.Reader, a *algorithm, digest []byte) ([]byte, error)
}

// RSAPublicKey is an RSA public key, with no limit to the exponent.
type RSAPublicKey struct{ N, E *big.Int }

// DSAPublicKey is a DSA public key.
type DSAPublicKey struct{ P, Q, G, Y *big.Int }

// RSAPrivateKey is an RSA private key. Make it with NewRSAPrivateKey.
type RSAPrivateKey struct {
	RSAPublicKey
	D, P, Q *big.Int

	dp, dq, qinv *big.Int
	// std is the same key for crypto/rsa, which computes in constant time; nil
	// if it does not take it (below 1024 bits, or an odd exponent).
	std *rsa.PrivateKey
}

// DSAPrivateKey is a DSA private key.
type DSAPrivateKey struct {
	DSAPublicKey
	X *big.Int
}

// Bits returns the length of the modulus n.
func (k *RSAPublicKey) Bits() int { return k.N.BitLen() }

// Bits returns the length of the modulus p.
func (k *DSAPublicKey) Bits() int { return k.P.BitLen() }

// Equal reports whether other is the same key.
func (k *RSAPublicKey) Equal(other PublicKey) bool {
	o, ok := other.(*RSAPublicKey)
	return ok && o != nil && k.N.Cmp(o.N) == 0 && k.E.Cmp(o.E) == 0
}

// Equal reports whether other is the same key.
func (k *DSAPublicKey) Equal(other PublicKey) bool {
	o, ok := other.(*DSAPublicKey)
	return ok && o != nil && k.P.Cmp(o.P) == 0 && k.Q.Cmp(o.Q) == 0 && k.G.Cmp(o.G) == 0 && k.Y.Cmp(o.Y) == 0
}

func (k *RSAPublicKey) family() family { return familyRSA }
func (k *DSAPublicKey) family() family { return familyDSA }

// Public returns the public half.
func (k *RSAPrivateKey) Public() PublicKey { return &k.RSAPublicKey }

// Public returns the public half.
func (k *DSAPrivateKey) Public() PublicKey { return &k.DSAPublicKey }

// Format implements fmt.Formatter; it never prints a value.
func (k RSAPrivateKey) Format(s fmt.State, _ rune) { formatKey(s, "RSA", k.N) }

// Format implements fmt.Formatter; it never prints a value.
func (k DSAPrivateKey) Format(s fmt.State, _ rune) { formatKey(s, "DSA", k.P) }

func formatKey(w io.Writer, kind string, modulus *big.Int) {
	bits := 0
	if modulus != nil {
		bits = modulus.BitLen()
	}
	fmt.Fprintf(w, "%s private key (%d bits)", kind, bits)
}

// octets returns the length of x in octets.
func octets(x *big.Int) int { return (x.BitLen() + 7) / 8 }
