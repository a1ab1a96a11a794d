package keyfile

import (
	"fmt"
	"io"
	"slices"
)

// Sign signs message as Autokey does (RFC 5906, section 10): RSA PKCS #1 v1.5,
// as long as the modulus, or DSA in DER. The error is ErrAlgorithm if nid does
// not go with the key.
func Sign(rand io.Reader, key PrivateKey, nid NID, message []byte) ([]byte, error) {
	a, err := nid.usable()
	if err != nil {
		return nil, err
	}
	if a.family != key.Public().family() {
		return nil, fmt.Errorf("%w: %v with another kind of key", ErrAlgorithm, nid)
	}
	return key.sign(rand, a, a.digest(message))
}

// Verify checks what Sign makes. The error is ErrSignature or ErrAlgorithm.
// It knows no policy: see Policy.Verify.
func Verify(pub PublicKey, nid NID, message, sig []byte) error {
	a, err := nid.usable()
	if err != nil {
		return err
	}
	if pub == nil || a.family != pub.family() {
		return fmt.Errorf("%w: %v with another kind of key", ErrAlgorithm, nid)
	}
	return pub.verify(a, a.digest(message), sig)
}

// Policy says which signature algorithms and key sizes Autokey may use here.
// The zero value allows nothing; see DefaultPolicy.
type Policy struct {
	MinRSABits, MaxRSABits int   // bits of the modulus
	MinDSABits, MaxDSABits int   // bits of the modulus
	Algorithms             []NID // those allowed
}

// DefaultPolicy is what an ntpd 4.2.8 takes, as far as it can be computed
// here: RSA of 512 to 4096 bits with any digest, DSA of 512 to 3072 bits. It
// is there to let old peers in; nothing in it is secure below 2048 bits and
// SHA-256.
func DefaultPolicy() Policy {
	p := Policy{MinRSABits: 512, MaxRSABits: 4096, MinDSABits: 512, MaxDSABits: 3072}
	for _, a := range algorithms {
		if a.hash != nil {
			p.Algorithms = append(p.Algorithms, a.nid)
		}
	}
	return p
}

// Allow returns nil if a signature by pub under nid may be made or trusted,
// else ErrAlgorithm with the reason.
func (p Policy) Allow(nid NID, pub PublicKey) error {
	if !slices.Contains(p.Algorithms, nid) {
		return fmt.Errorf("%w: %v is not allowed", ErrAlgorithm, nid)
	}
	if pub == nil {
		return fmt.Errorf("%w: no public key", ErrAlgorithm)
	}
	low, high := p.MinRSABits, p.MaxRSABits
	if pub.family() == familyDSA {
		low, high = p.MinDSABits, p.MaxDSABits
	}
	if n := pub.Bits(); n < low || n > high {
		return fmt.Errorf("%w: key of %d bits, allowed are %d to %d", ErrAlgorithm, n, low, high)
	}
	return nil
}

// Verify checks a signature that the policy allows.
func (p Policy) Verify(pub PublicKey, nid NID, message, sig []byte) error {
	if err := p.Allow(nid, pub); err != nil {
		return err
	}
	return Verify(pub, nid, message, sig)
}
