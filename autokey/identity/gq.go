package identity

import (
	"fmt"
	"io"
	"math/big"
)

// GQKey is the server's secret of the GQ scheme (RFC 5906, appendix C).
type GQKey struct {
	N *big.Int // modulus, 160 to 4096 bits; p15 clients manage at most 1016
	B *big.Int // group key, the scheme's public exponent, above 1, as long as N
	U *big.Int // server's secret, above 1, as long as N, prime to N
}

// GQParameters is what a client knows of a GQ group.
type GQParameters struct {
	N, B *big.Int // as in GQKey
	V    *big.Int // server's public value; nil in a group file, see WithPublic
}

// Validate returns nil or an ErrParameters that names the value at fault.
func (k *GQKey) Validate() error {
	if err := checkGQ(k.N, k.B); err != nil {
		return err
	}
	if err := checkInside("server's secret u", k.U, one, asLong(k.N)); err != nil {
		return err
	}
	if new(big.Int).GCD(nil, nil, k.U, k.N).Cmp(one) != 0 {
		return fmt.Errorf("%w: server's secret u is not prime to n", ErrParameters)
	}
	return nil
}

// Public returns the server's public value v = (1/u)^b mod n, which it
// publishes in its certificate's subject key identifier.
func (k *GQKey) Public() *big.Int {
	inverse := new(big.Int).ModInverse(k.U, k.N)
	if inverse == nil {
		return new(big.Int)
	}
	return inverse.Exp(inverse, k.B, k.N)
}

// Parameters returns what the clients of the group need, v included.
func (k *GQKey) Parameters() *GQParameters {
	return &GQParameters{N: k.N, B: k.B, V: k.Public()}
}

// Respond returns SEQUENCE { y, hash(x) } with y = k u^r mod n and
// x = k^b mod n for a random k. Unlike ntpd it refuses a challenge longer than
// n: the work grows with its length, and no client sends one.
func (k *GQKey) Respond(rand io.Reader, challenge []byte) ([]byte, error) {
	if err := checkGQ(k.N, k.B); err != nil {
		return nil, err
	}
	if err := checkInside("server's secret u", k.U, one, asLong(k.N)); err != nil {
		return nil, err
	}
	r, err := readChallenge(challenge, min(octets(k.N), maxChallenge))
	if err != nil {
		return nil, err
	}
	secret, err := random(rand, k.N)
	if err != nil {
		return nil, err
	}
	y := r.Exp(k.U, r, k.N)
	y.Mod(y.Mul(y, secret), k.N)
	return marshal(y, hash(secret.Exp(secret, k.B, k.N)))
}

// Validate returns nil or an ErrParameters that names the value at fault. A
// missing V is no fault.
func (p *GQParameters) Validate() error {
	if err := checkGQ(p.N, p.B); err != nil {
		return err
	}
	if p.V == nil {
		return nil
	}
	return checkInside("public value v", p.V, one, p.N)
}

// WithPublic returns a copy of p for the server whose certificate carries the
// public value v.
func (p *GQParameters) WithPublic(v *big.Int) *GQParameters {
	return &GQParameters{N: p.N, B: p.B, V: v}
}

// Challenge returns a challenge of as many octets as n has.
func (p *GQParameters) Challenge(rand io.Reader) ([]byte, error) {
	if err := checkGQ(p.N, p.B); err != nil {
		return nil, err
	}
	return newChallenge(rand, p.N)
}

// Verify checks hash(v^r y^b mod n).
func (p *GQParameters) Verify(challenge, response []byte) error {
	if err := checkGQ(p.N, p.B); err != nil {
		return err
	}
	if err := checkInside("server's public value v", p.V, one, p.N); err != nil {
		return err
	}
	r, err := readChallenge(challenge, maxChallenge)
	if err != nil {
		return err
	}
	values, err := unmarshal(response, 2, max(octets(p.N), hashLen))
	if err != nil {
		return err
	}
	y, sum := values[0], values[1]
	if !inside(y, p.N) {
		return fmt.Errorf("%w: y is out of range", ErrVerify)
	}
	x := y.Exp(y, p.B, p.N)
	x.Mul(x, r.Exp(p.V, r, p.N))
	if hash(x.Mod(x, p.N)).Cmp(sum) != 0 {
		return ErrVerify
	}
	return nil
}

// checkGQ checks the sizes of the group's values.
func checkGQ(n, b *big.Int) error {
	if err := checkModulus("modulus n", n); err != nil {
		return err
	}
	return checkInside("group key b", b, one, asLong(n))
}

// asLong returns the first number that is longer than n: ntp-keygen rolls b
// and u with as many bits as n has and does not reduce them.
func asLong(n *big.Int) *big.Int { return new(big.Int).Lsh(one, uint(n.BitLen())) }

var (
	_ Responder = (*GQKey)(nil)
	_ Verifier  = (*GQParameters)(nil)
)
