package identity

import (
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"math/big"
)

// Errors of this package, one for each class that a caller treats differently.
var (
	// ErrParameters says that a key or parameter set has values out of range.
	ErrParameters = errors.New("identity: unusable key or parameters")
	// ErrChallenge says that a challenge is empty or too long to be answered.
	ErrChallenge = errors.New("identity: unusable challenge")
	// ErrFormat says that a response is not the DER it should be.
	ErrFormat = errors.New("identity: malformed response")
	// ErrVerify says that a well-formed response does not answer the challenge.
	ErrVerify = errors.New("identity: response does not match")
)

// maxChallenge is the longest challenge answered, octets. A real client sends
// as many octets as the modulus of its scheme has; ntpd answers any length.
const maxChallenge = 1024

// Range of the moduli p (IFF, MV) and n (GQ), bits. ntp-keygen asks for 256 to
// 2048; the modulus of MV comes out shorter, since it is made of many primes.
const (
	minModulusBits = 160
	maxModulusBits = 4096
)

// Responder is the server's side of a scheme: *IFFKey, *GQKey, *MVKey.
type Responder interface {
	// Respond returns the DER value of the response to a challenge of 1 to
	// 1024 octets. The error is ErrParameters, ErrChallenge or one of
	// the random source.
	Respond(rand io.Reader, challenge []byte) ([]byte, error)
}

// Verifier is the client's side of a scheme: *IFFParameters, *GQParameters,
// *MVParameters.
type Verifier interface {
	// Challenge returns a fresh challenge of the length that ntpd expects,
	// padded with zeros on the left.
	Challenge(rand io.Reader) ([]byte, error)
	// Verify returns nil if response answers challenge; else an error that is
	// ErrParameters, ErrChallenge, ErrFormat or ErrVerify.
	Verify(challenge, response []byte) error
}

var one = big.NewInt(1)

// hash is the hash of an integer as ntpd computes it: MD5, whatever the
// session's digest, of the minimal big-endian octets, read as an integer.
func hash(x *big.Int) *big.Int {
	sum := md5.Sum(x.Bytes())
	return new(big.Int).SetBytes(sum[:])
}

// hashLen is the longest hash in octets.
const hashLen = md5.Size

// readChallenge returns a challenge of 1 to limit octets as an integer.
func readChallenge(challenge []byte, limit int) (*big.Int, error) {
	if len(challenge) == 0 {
		return nil, fmt.Errorf("%w: empty", ErrChallenge)
	}
	if len(challenge) > limit {
		return nil, fmt.Errorf("%w: %d octets, at most %d", ErrChallenge, len(challenge), limit)
	}
	return new(big.Int).SetBytes(challenge), nil
}

// newChallenge returns a random number of 1 to modulus-1 in as many octets as
// the modulus has.
func newChallenge(rand io.Reader, modulus *big.Int) ([]byte, error) {
	r, err := random(rand, modulus)
	if err != nil {
		return nil, err
	}
	return r.FillBytes(make([]byte, octets(modulus))), nil
}

// random returns a number of 1 to limit-1, evenly distributed; limit > 1.
func random(rand io.Reader, limit *big.Int) (*big.Int, error) {
	buf := make([]byte, octets(limit))
	x := new(big.Int)
	for range 1000 {
		if _, err := io.ReadFull(rand, buf); err != nil {
			return nil, fmt.Errorf("identity: random source: %w", err)
		}
		if excess := len(buf)*8 - limit.BitLen(); excess > 0 {
			buf[0] &= 0xff >> excess
		}
		x.SetBytes(buf)
		if x.Sign() > 0 && x.Cmp(limit) < 0 {
			return x, nil
		}
	}
	return nil, errors.New("identity: random source gives no usable numbers")
}

// blind returns k plus a random multiple of order (64 bits), so that the time
// of an exponentiation tells nothing of k.
func blind(rand io.Reader, k, order *big.Int) (*big.Int, error) {
	var buf [8]byte
	if _, err := io.ReadFull(rand, buf[:]); err != nil {
		return nil, fmt.Errorf("identity: random source: %w", err)
	}
	t := new(big.Int).SetBytes(buf[:])
	return t.Add(t.Mul(t, order), k), nil
}

// octets returns the length of x in octets.
func octets(x *big.Int) int { return (x.BitLen() + 7) / 8 }

// checkModulus refuses a modulus of wrong size or with an even value.
func checkModulus(name string, m *big.Int) error {
	if m == nil || m.Sign() <= 0 {
		return fmt.Errorf("%w: %s is missing", ErrParameters, name)
	}
	if n := m.BitLen(); n < minModulusBits || n > maxModulusBits {
		return fmt.Errorf("%w: %s has %d bits, want %d to %d", ErrParameters, name, n,
			minModulusBits, maxModulusBits)
	}
	if m.Bit(0) == 0 {
		return fmt.Errorf("%w: %s is even", ErrParameters, name)
	}
	return nil
}

// checkInside refuses x unless low < x < high.
func checkInside(name string, x, low, high *big.Int) error {
	if x == nil {
		return fmt.Errorf("%w: %s is missing", ErrParameters, name)
	}
	if x.Cmp(low) <= 0 || x.Cmp(high) >= 0 {
		return fmt.Errorf("%w: %s is out of range", ErrParameters, name)
	}
	return nil
}

// inside reports whether 0 < x < high.
func inside(x, high *big.Int) bool { return x.Sign() > 0 && x.Cmp(high) < 0 }
