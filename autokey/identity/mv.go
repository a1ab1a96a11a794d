package identity

import (
	"crypto/subtle"
	"fmt"
	"io"
	"math/big"
)

// MVKey is the server's secret of the MV scheme (RFC 5906, appendix D).
type MVKey struct {
	P          *big.Int // prime modulus 2Q+1, 160 to 4096 bits
	Q          *big.Int // product of the primes that make up the client keys
	E          *big.Int // public encryption key
	GBar, GHat *big.Int // enabling keys
}

// MVParameters is one client's key of an MV group.
type MVParameters struct {
	P          *big.Int // as in MVKey
	XBar, XHat *big.Int // the client's private key pair
}

// Validate returns nil or an ErrParameters that names the value at fault.
func (k *MVKey) Validate() error {
	if err := k.check(); err != nil {
		return err
	}
	if !k.P.ProbablyPrime(1) {
		return fmt.Errorf("%w: modulus p is not prime", ErrParameters)
	}
	for _, v := range []struct {
		name  string
		value *big.Int
	}{{"encryption key E", k.E}, {"enabling key gbar", k.GBar}, {"enabling key ghat", k.GHat}} {
		if big.Jacobi(v.value, k.P) != 1 {
			return fmt.Errorf("%w: %s is not in the group", ErrParameters, v.name)
		}
	}
	return nil
}

// check is the cheap part of Validate, made at every use.
func (k *MVKey) check() error {
	if err := checkModulus("modulus p", k.P); err != nil {
		return err
	}
	if k.Q == nil || new(big.Int).Rsh(k.P, 1).Cmp(k.Q) != 0 {
		return fmt.Errorf("%w: q is not (p-1)/2", ErrParameters)
	}
	if err := checkInside("encryption key E", k.E, one, k.P); err != nil {
		return err
	}
	if err := checkInside("enabling key gbar", k.GBar, one, k.P); err != nil {
		return err
	}
	return checkInside("enabling key ghat", k.GHat, one, k.P)
}

// Respond returns SEQUENCE { y, gbar^k, ghat^k } with y = r E^k mod p for a
// random k that is prime to q.
func (k *MVKey) Respond(rand io.Reader, challenge []byte) ([]byte, error) {
	if err := k.check(); err != nil {
		return nil, err
	}
	r, err := readChallenge(challenge, maxChallenge)
	if err != nil {
		return nil, err
	}
	var secret *big.Int
	for tries := 0; ; tries++ {
		if secret, err = random(rand, k.Q); err != nil {
			return nil, err
		}
		if new(big.Int).GCD(nil, nil, secret, k.Q).Cmp(one) == 0 {
			break
		}
		if tries == 100 {
			return nil, fmt.Errorf("%w: q has small factors", ErrParameters)
		}
	}
	if secret, err = blind(rand, secret, k.Q); err != nil {
		return nil, err
	}
	y := new(big.Int).Exp(k.E, secret, k.P)
	y.Mod(y.Mul(y, r), k.P)
	gbar := new(big.Int).Exp(k.GBar, secret, k.P)
	ghat := new(big.Int).Exp(k.GHat, secret, k.P)
	return marshal(y, gbar, ghat)
}

// Validate returns nil or an ErrParameters that names the value at fault.
func (p *MVParameters) Validate() error {
	if err := p.check(); err != nil {
		return err
	}
	if !p.P.ProbablyPrime(1) {
		return fmt.Errorf("%w: modulus p is not prime", ErrParameters)
	}
	return nil
}

// check is the cheap part of Validate, made at every use.
func (p *MVParameters) check() error {
	if err := checkModulus("modulus p", p.P); err != nil {
		return err
	}
	if err := checkInside("private key xbar", p.XBar, one, p.P); err != nil {
		return err
	}
	return checkInside("private key xhat", p.XHat, one, p.P)
}

// Challenge returns a challenge of as many octets as p has.
func (p *MVParameters) Challenge(rand io.Reader) ([]byte, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	return newChallenge(rand, p.P)
}

// Verify checks that (gbar^k)^xhat (ghat^k)^xbar y mod p is the challenge.
//
// Unlike ntpd it refuses gbar^k and ghat^k that are not squares modulo p, and
// 1: with such values anybody could answer without any key.
func (p *MVParameters) Verify(challenge, response []byte) error {
	if err := p.check(); err != nil {
		return err
	}
	r, err := readChallenge(challenge, maxChallenge)
	if err != nil {
		return err
	}
	if r.Cmp(p.P) >= 0 {
		return fmt.Errorf("%w: not below p", ErrChallenge)
	}
	values, err := unmarshal(response, 3, octets(p.P))
	if err != nil {
		return err
	}
	y, gbar, ghat := values[0], values[1], values[2]
	for _, v := range values {
		if !inside(v, p.P) {
			return fmt.Errorf("%w: value out of range", ErrVerify)
		}
	}
	for _, v := range []*big.Int{gbar, ghat} {
		if v.Cmp(one) == 0 || big.Jacobi(v, p.P) != 1 {
			return fmt.Errorf("%w: enabling key is not in the group", ErrVerify)
		}
	}
	y.Mul(y, gbar.Exp(gbar, p.XHat, p.P))
	y.Mod(y, p.P)
	y.Mul(y, ghat.Exp(ghat, p.XBar, p.P))
	y.Mod(y, p.P)
	size := octets(p.P)
	if subtle.ConstantTimeCompare(y.FillBytes(make([]byte, size)), r.FillBytes(make([]byte, size))) != 1 {
		return ErrVerify
	}
	return nil
}

var (
	_ Responder = (*MVKey)(nil)
	_ Verifier  = (*MVParameters)(nil)
)
