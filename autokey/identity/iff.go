package identity

import (
	"fmt"
	"io"
	"math/big"
)

// IFFKey is the server's secret of the IFF scheme (RFC 5906, appendix B).
type IFFKey struct {
	P *big.Int // prime modulus, 160 to 4096 bits
	Q *big.Int // prime order of G, divides P-1, 160 bits with ntp-keygen
	G *big.Int // generator of the subgroup of order Q
	B *big.Int // secret group key, 0 < B < Q
}

// IFFParameters is what a client knows of an IFF group.
type IFFParameters struct {
	P, Q, G *big.Int // as in IFFKey
	V       *big.Int // public key, G^(Q-B) mod P
}

// Validate returns nil or an ErrParameters that names the value at fault.
func (k *IFFKey) Validate() error {
	if err := checkIFFGroup(k.P, k.Q, k.G); err != nil {
		return err
	}
	return checkInside("group key b", k.B, new(big.Int), k.Q)
}

// Parameters returns what the clients of the group need.
func (k *IFFKey) Parameters() *IFFParameters {
	exponent := new(big.Int).Sub(k.Q, k.B)
	return &IFFParameters{P: k.P, Q: k.Q, G: k.G, V: exponent.Exp(k.G, exponent, k.P)}
}

// Respond returns SEQUENCE { y, hash(x) } with y = k + b r mod q and
// x = g^k mod p for a random k.
func (k *IFFKey) Respond(rand io.Reader, challenge []byte) ([]byte, error) {
	if err := k.check(); err != nil {
		return nil, err
	}
	r, err := readChallenge(challenge, maxChallenge)
	if err != nil {
		return nil, err
	}
	secret, y := new(big.Int), new(big.Int)
	for y.Sign() == 0 {
		if secret, err = random(rand, k.Q); err != nil {
			return nil, err
		}
		y.Mul(k.B, r.Mod(r, k.Q))
		y.Mod(y.Add(y, secret), k.Q)
	}
	exponent, err := blind(rand, secret, k.Q)
	if err != nil {
		return nil, err
	}
	return marshal(y, hash(exponent.Exp(k.G, exponent, k.P)))
}

// check is the cheap part of Validate, made at every use.
func (k *IFFKey) check() error {
	if err := checkIFFRanges(k.P, k.Q, k.G); err != nil {
		return err
	}
	return checkInside("group key b", k.B, new(big.Int), k.Q)
}

// Validate returns nil or an ErrParameters that names the value at fault.
func (p *IFFParameters) Validate() error {
	if err := checkIFFGroup(p.P, p.Q, p.G); err != nil {
		return err
	}
	if err := checkInside("public key v", p.V, one, p.P); err != nil {
		return err
	}
	if new(big.Int).Exp(p.V, p.Q, p.P).Cmp(one) != 0 {
		return fmt.Errorf("%w: public key v is not in the group", ErrParameters)
	}
	return nil
}

// Challenge returns a challenge of as many octets as q has.
func (p *IFFParameters) Challenge(rand io.Reader) ([]byte, error) {
	if err := checkIFFRanges(p.P, p.Q, p.G); err != nil {
		return nil, err
	}
	return newChallenge(rand, p.Q)
}

// Verify checks hash(g^y v^r mod p).
func (p *IFFParameters) Verify(challenge, response []byte) error {
	if err := checkIFFRanges(p.P, p.Q, p.G); err != nil {
		return err
	}
	if err := checkInside("public key v", p.V, one, p.P); err != nil {
		return err
	}
	r, err := readChallenge(challenge, maxChallenge)
	if err != nil {
		return err
	}
	values, err := unmarshal(response, 2, max(octets(p.Q), hashLen))
	if err != nil {
		return err
	}
	y, sum := values[0], values[1]
	if !inside(y, p.Q) {
		return fmt.Errorf("%w: y is out of range", ErrVerify)
	}
	x := new(big.Int).Exp(p.G, y, p.P)
	x.Mul(x, r.Exp(p.V, r.Mod(r, p.Q), p.P))
	if hash(x.Mod(x, p.P)).Cmp(sum) != 0 {
		return ErrVerify
	}
	return nil
}

// checkIFFRanges checks the sizes of the group's values.
func checkIFFRanges(p, q, g *big.Int) error {
	if err := checkModulus("modulus p", p); err != nil {
		return err
	}
	if q == nil || q.BitLen() < 128 || q.Bit(0) == 0 || q.Cmp(p) >= 0 {
		return fmt.Errorf("%w: order q is missing or out of range", ErrParameters)
	}
	return checkInside("generator g", g, one, p)
}

// checkIFFGroup checks that g generates a group of prime order q modulo p.
func checkIFFGroup(p, q, g *big.Int) error {
	if err := checkIFFRanges(p, q, g); err != nil {
		return err
	}
	rest := new(big.Int).Sub(p, one)
	if rest.Mod(rest, q).Sign() != 0 {
		return fmt.Errorf("%w: order q does not divide p-1", ErrParameters)
	}
	if !p.ProbablyPrime(1) || !q.ProbablyPrime(1) {
		return fmt.Errorf("%w: p or q is not prime", ErrParameters)
	}
	if rest.Exp(g, q, p).Cmp(one) != 0 {
		return fmt.Errorf("%w: generator g is not of order q", ErrParameters)
	}
	return nil
}

var (
	_ Responder = (*IFFKey)(nil)
	_ Verifier  = (*IFFParameters)(nil)
)
