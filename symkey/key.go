package symkey

import (
	"crypto/cipher"
	"errors"
	"fmt"
	"net/netip"
)

// ErrAlgorithm is wrapped by errors about algorithms that are unknown or not
// offered here.
var ErrAlgorithm = errors.New("key type not supported")

// ErrSecret is wrapped by errors about secrets of a length that the algorithm
// does not take.
var ErrSecret = errors.New("secret of unsuitable length")

// Key is one symmetric key. It is immutable and safe for concurrent use.
type Key struct {
	id        uint32
	algorithm *algorithm
	secret    []byte
	given     int // octets of the secret before padding or cutting
	addresses []netip.Prefix

	block  cipher.Block // AES-CMAC only, like the subkeys
	k1, k2 [cmacLen]byte
}

// ID returns the key identifier, 1 to 2^32-1.
func (k *Key) ID() uint32 { return k.id }

// Algorithm returns the algorithm's name as this package writes it.
func (k *Key) Algorithm() string { return k.algorithm.name }

// MACLen returns the uncut length of the key's MAC in octets, without the key
// identifier: 16 to 64.
func (k *Key) MACLen() int { return k.algorithm.macLen }

// Addresses returns the prefixes from which the key may be used; empty means
// from anywhere.
func (k *Key) Addresses() []netip.Prefix { return append([]netip.Prefix(nil), k.addresses...) }

// Format writes the same as String for every verb, so that no way of printing
// a key shows its secret.
func (k *Key) Format(f fmt.State, _ rune) { fmt.Fprint(f, k.String()) }
