package keyfile

import (
	"crypto/rsa"
	"crypto/subtle"
	"fmt"
	"io"
	"math"
	"math/big"
)

// stdMinBits is the smallest modulus for which crypto/rsa is used. Below,
// it refuses to work unless a GODEBUG setting says otherwise, and Autokey's
// default is 512 bits.
const stdMinBits = 1024

// NewRSAPrivateKey returns the key with the given modulus, exponents and
// primes after checking that they belong together.
func NewRSAPrivateKey(n, e, d, p, q *big.Int) (*RSAPrivateKey, error) {
	pub := RSAPublicKey{n, e}
	if err := pub.check(minKeyBits, maxKeyBits); err != nil {
		return nil, err
	}
	if p.Cmp(one) <= 0 || q.Cmp(one) <= 0 || new(big.Int).Mul(p, q).Cmp(n) != 0 {
		return nil, malformed("RSA primes do not make up the modulus")
	}
	p1, q1 := new(big.Int).Sub(p, one), new(big.Int).Sub(q, one)
	if d.Sign() <= 0 || d.Cmp(n) >= 0 {
		return nil, malformed("RSA private exponent is out of range")
	}
	product := new(big.Int).Mul(e, d)
	for _, m := range []*big.Int{p1, q1} {
		if new(big.Int).Mod(product, m).Cmp(one) != 0 {
			return nil, malformed("RSA exponents do not belong together")
		}
	}
	k := &RSAPrivateKey{RSAPublicKey: pub, D: d, P: p, Q: q}
	k.dp, k.dq = new(big.Int).Mod(d, p1), new(big.Int).Mod(d, q1)
	if k.qinv = new(big.Int).ModInverse(q, p); k.qinv == nil {
		return nil, malformed("RSA primes are not different")
	}
	k.useStd()
	return k, nil
}

// useStd hands the key to crypto/rsa where that takes it.
func (k *RSAPrivateKey) useStd() {
	if k.N.BitLen() < stdMinBits || !k.E.IsInt64() || k.E.Int64() > math.MaxInt32 {
		return
	}
	std := &rsa.PrivateKey{
		PublicKey: rsa.PublicKey{N: k.N, E: int(k.E.Int64())},
		D:         k.D,
		Primes:    []*big.Int{k.P, k.Q},
	}
	if std.Validate() != nil {
		return
	}
	std.Precompute()
	k.std = std
}

// check refuses a key that nobody would make: wrong size, even values.
func (k *RSAPublicKey) check(minBits, maxBits int) error {
	if k.N.Sign() <= 0 || k.E.Sign() <= 0 {
		return malformed("RSA key with a value that is not positive")
	}
	if n := k.N.BitLen(); n < minBits || n > maxBits {
		return unsupported("RSA modulus of %d bits, want %d to %d", n, minBits, maxBits)
	}
	if k.N.Bit(0) == 0 {
		return malformed("RSA modulus is even")
	}
	if k.E.Bit(0) == 0 || k.E.Cmp(one) == 0 || k.E.Cmp(k.N) >= 0 {
		return malformed("RSA public exponent is out of range")
	}
	return nil
}

// encode returns EMSA-PKCS1-v1_5 of a digest for a modulus of size octets
// (RFC 8017, section 9.2).
func (a *algorithm) encode(digest []byte, size int) ([]byte, error) {
	pad := size - 3 - len(a.prefix) - len(digest)
	if pad < 8 {
		return nil, fmt.Errorf("%w: RSA key of %d octets is too small for %s", ErrAlgorithm, size, a.name)
	}
	em := make([]byte, 0, size)
	em = append(em, 0, 1)
	for range pad {
		em = append(em, 0xff)
	}
	em = append(em, 0)
	em = append(em, a.prefix...)
	return append(em, digest...), nil
}

func (k *RSAPublicKey) verify(a *algorithm, digest, sig []byte) error {
	want, err := a.encode(digest, octets(k.N))
	if err != nil {
		return err
	}
	if len(sig) != len(want) {
		return fmt.Errorf("%w: %d octets for a modulus of %d", ErrSignature, len(sig), len(want))
	}
	s := new(big.Int).SetBytes(sig)
	if s.Cmp(k.N) >= 0 {
		return ErrSignature
	}
	got := s.Exp(s, k.E, k.N).FillBytes(make([]byte, len(want)))
	if subtle.ConstantTimeCompare(got, want) != 1 {
		return ErrSignature
	}
	return nil
}

func (k *RSAPrivateKey) sign(rand io.Reader, a *algorithm, digest []byte) ([]byte, error) {
	em, err := a.encode(digest, octets(k.N))
	if err != nil {
		return nil, err
	}
	if k.std != nil {
		return rsa.SignPKCS1v15(rand, k.std, 0, append([]byte(a.prefix), digest...))
	}
	s, err := k.private(rand, new(big.Int).SetBytes(em))
	if err != nil {
		return nil, err
	}
	return s.FillBytes(em), nil
}

// private returns c^d mod n, blinded, and checked so that a faulty computation
// does not give the primes away.
func (k *RSAPrivateKey) private(rand io.Reader, c *big.Int) (*big.Int, error) {
	if k.qinv == nil {
		return nil, fmt.Errorf("%w: RSA key was not made with NewRSAPrivateKey", ErrKeyType)
	}
	r, inverse, err := k.blinding(rand)
	if err != nil {
		return nil, err
	}
	blinded := new(big.Int).Exp(r, k.E, k.N)
	blinded.Mod(blinded.Mul(blinded, c), k.N)

	m := new(big.Int).Exp(blinded, k.dp, k.P)
	m2 := new(big.Int).Exp(blinded, k.dq, k.Q)
	m.Mul(m.Sub(m, m2), k.qinv)
	m.Mod(m, k.P)
	m.Add(m.Mul(m, k.Q), m2)

	m.Mod(m.Mul(m, inverse), k.N)
	if new(big.Int).Exp(m, k.E, k.N).Cmp(c) != 0 {
		return nil, fmt.Errorf("%w: RSA computation failed", ErrKeyType)
	}
	return m, nil
}

// blinding returns a random number that is prime to n, and its inverse.
func (k *RSAPrivateKey) blinding(rand io.Reader) (r, inverse *big.Int, err error) {
	buf := make([]byte, octets(k.N))
	for range 100 {
		if _, err := io.ReadFull(rand, buf); err != nil {
			return nil, nil, fmt.Errorf("random source: %w", err)
		}
		r = new(big.Int).SetBytes(buf)
		r.Mod(r, k.N)
		if inverse = new(big.Int).ModInverse(r, k.N); inverse != nil {
			return r, inverse, nil
		}
	}
	return nil, nil, fmt.Errorf("random source gives no usable numbers")
}
