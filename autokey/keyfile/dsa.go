package keyfile

import (
	"fmt"
	"io"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// check refuses a key with values out of range.
func (k *DSAPublicKey) check() error {
	if n := k.P.BitLen(); n < minKeyBits || n > maxKeyBits {
		return unsupported("DSA modulus of %d bits, want %d to %d", n, minKeyBits, maxKeyBits)
	}
	if k.Q.BitLen() < 128 || k.Q.Cmp(k.P) >= 0 || k.P.Bit(0) == 0 || k.Q.Bit(0) == 0 {
		return malformed("DSA order q is out of range")
	}
	for _, v := range []*big.Int{k.G, k.Y} {
		if v.Cmp(one) <= 0 || v.Cmp(k.P) >= 0 {
			return malformed("DSA value is out of range")
		}
	}
	return nil
}

// newDSAPrivateKey returns the key with the given values after checking them.
// y may be nil; it is g^x mod p.
func newDSAPrivateKey(p, q, g, y, x *big.Int) (*DSAPrivateKey, error) {
	k := &DSAPrivateKey{DSAPublicKey: DSAPublicKey{P: p, Q: q, G: g, Y: g}, X: x}
	if err := k.check(); err != nil {
		return nil, err
	}
	if x.Sign() <= 0 || x.Cmp(q) >= 0 {
		return nil, malformed("DSA private key is out of range")
	}
	k.Y = new(big.Int).Exp(g, x, p)
	if y != nil && k.Y.Cmp(y) != 0 {
		return nil, malformed("DSA public and private key do not belong together")
	}
	return k, k.check()
}

// hashToInt returns the leftmost bits of a digest, as many as q has (FIPS
// 186-4, section 4.6).
func (k *DSAPublicKey) hashToInt(digest []byte) *big.Int {
	z := new(big.Int).SetBytes(digest)
	if excess := 8*len(digest) - k.Q.BitLen(); excess > 0 {
		z.Rsh(z, uint(excess))
	}
	return z
}

func (k *DSAPublicKey) verify(_ *algorithm, digest, sig []byte) error {
	var body cryptobyte.String
	input, r, s := cryptobyte.String(sig), new(big.Int), new(big.Int)
	if !input.ReadASN1(&body, asn1.SEQUENCE) || !input.Empty() || len(body) > 2*octets(k.Q)+8 ||
		!body.ReadASN1Integer(r) || !body.ReadASN1Integer(s) || !body.Empty() {
		return fmt.Errorf("%w: not the DER of two integers", ErrSignature)
	}
	if r.Sign() <= 0 || s.Sign() <= 0 || r.Cmp(k.Q) >= 0 || s.Cmp(k.Q) >= 0 {
		return ErrSignature
	}
	w := s.ModInverse(s, k.Q)
	if w == nil {
		return ErrSignature
	}
	u1 := k.hashToInt(digest)
	u1.Mod(u1.Mul(u1, w), k.Q)
	u2 := w.Mod(w.Mul(w, r), k.Q)
	v := u1.Exp(k.G, u1, k.P)
	v.Mul(v, u2.Exp(k.Y, u2, k.P))
	v.Mod(v.Mod(v, k.P), k.Q)
	if v.Cmp(r) != 0 {
		return ErrSignature
	}
	return nil
}

func (k *DSAPrivateKey) sign(rand io.Reader, _ *algorithm, digest []byte) ([]byte, error) {
	z := k.hashToInt(digest)
	buf := make([]byte, octets(k.Q)+8)
	for range 100 {
		if _, err := io.ReadFull(rand, buf); err != nil {
			return nil, fmt.Errorf("random source: %w", err)
		}
		// 64 bits more than q has: the remainder is as good as even, and the
		// exponent below is blinded by the multiple of q in it.
		exponent := new(big.Int).SetBytes(buf)
		nonce := new(big.Int).Mod(exponent, k.Q)
		inverse := new(big.Int).ModInverse(nonce, k.Q)
		if inverse == nil {
			continue
		}
		r := exponent.Exp(k.G, exponent, k.P)
		r.Mod(r, k.Q)
		s := new(big.Int).Mul(k.X, r)
		s.Mul(s.Add(s, z), inverse)
		s.Mod(s, k.Q)
		if r.Sign() == 0 || s.Sign() == 0 {
			continue
		}
		var b cryptobyte.Builder
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1BigInt(r)
			b.AddASN1BigInt(s)
		})
		return b.Bytes()
	}
	return nil, fmt.Errorf("random source gives no usable numbers")
}
