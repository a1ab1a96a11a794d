package identity

import (
	"errors"
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

// Responder is the server's side of a scheme: *IFFKey, *GQKey, *MVKey.
type Responder interface {
	// Respond returns the DER value of the response to a challenge of 1 to
	// MaxChallenge octets.
	Respond(rand io.Reader, challenge []byte) ([]byte, error)
}

// Verifier is the client's side of a scheme: *IFFParameters, *GQParameters,
// *MVParameters.
type Verifier interface {
	// Challenge returns a fresh challenge of the length that ntpd expects.
	Challenge(rand io.Reader) ([]byte, error)
	// Verify returns nil if response answers challenge; else an error that is
	// ErrParameters, ErrChallenge, ErrFormat or ErrVerify.
	Verify(challenge, response []byte) error
}

// MaxChallenge is the longest challenge answered, octets.
const MaxChallenge = 1024

// IFFKey is the server's secret of the IFF scheme.
type IFFKey struct {
	P *big.Int // prime modulus
	Q *big.Int // prime order of G, divides P-1
	G *big.Int // generator of the subgroup of order Q
	B *big.Int // secret group key, 0 < B < Q
}

// IFFParameters is what a client knows of an IFF group.
type IFFParameters struct {
	P, Q, G *big.Int // as in IFFKey
	V       *big.Int // public key, G^(Q-B) mod P
}

// GQKey is the server's secret of the GQ scheme.
type GQKey struct {
	N *big.Int // modulus
	B *big.Int // group key (public exponent of the scheme)
	U *big.Int // server's secret
}

// GQParameters is what a client knows of a GQ group.
type GQParameters struct {
	N, B *big.Int // as in GQKey
	V    *big.Int // server's public value from its certificate; nil in a group file, see WithPublic
}

// MVKey is the server's secret of the MV scheme.
type MVKey struct {
	P, Q       *big.Int // modulus and Q = (P-1)/2, the product of the key primes
	E          *big.Int // public encryption key
	GBar, GHat *big.Int // enabling keys
}

// MVParameters is one client's key of an MV group.
type MVParameters struct {
	P          *big.Int
	XBar, XHat *big.Int // the client's private key pair
}

func (k *IFFKey) Validate() error            { return errors.ErrUnsupported }
func (k *IFFKey) Parameters() *IFFParameters { return nil }
func (k *IFFKey) Respond(rand io.Reader, challenge []byte) ([]byte, error) {
	return nil, errors.ErrUnsupported
}
func (p *IFFParameters) Validate() error                          { return errors.ErrUnsupported }
func (p *IFFParameters) Challenge(rand io.Reader) ([]byte, error) { return nil, errors.ErrUnsupported }
func (p *IFFParameters) Verify(challenge, response []byte) error  { return errors.ErrUnsupported }
func (k *GQKey) Validate() error                                  { return errors.ErrUnsupported }
func (k *GQKey) Public() *big.Int                                 { return nil }
func (k *GQKey) Parameters() *GQParameters                        { return nil }
func (k *GQKey) Respond(rand io.Reader, challenge []byte) ([]byte, error) {
	return nil, errors.ErrUnsupported
}
func (p *GQParameters) Validate() error { return errors.ErrUnsupported }

// WithPublic returns a copy of p for the server whose certificate carries v.
func (p *GQParameters) WithPublic(v *big.Int) *GQParameters { return &GQParameters{p.N, p.B, v} }
func (p *GQParameters) Challenge(rand io.Reader) ([]byte, error) {
	return nil, errors.ErrUnsupported
}
func (p *GQParameters) Verify(challenge, response []byte) error { return errors.ErrUnsupported }
func (k *MVKey) Validate() error                                { return errors.ErrUnsupported }
func (k *MVKey) Respond(rand io.Reader, challenge []byte) ([]byte, error) {
	return nil, errors.ErrUnsupported
}
func (p *MVParameters) Validate() error { return errors.ErrUnsupported }
func (p *MVParameters) Challenge(rand io.Reader) ([]byte, error) {
	return nil, errors.ErrUnsupported
}
func (p *MVParameters) Verify(challenge, response []byte) error { return errors.ErrUnsupported }
