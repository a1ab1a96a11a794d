package symkey

import (
	"bytes"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// errAlgorithm is wrapped by errors about algorithms that are unknown or not
// offered here.
var errAlgorithm = errors.New("key type not supported")

// errSecret is wrapped by errors about secrets of a length that the algorithm
// or the file format does not take.
var errSecret = errors.New("unsuitable secret")

// maxSecretLen is the longest secret in octets; a line of chronyd's key file
// holds a little less.
const maxSecretLen = 2048

// soundSecretLen is the length in octets below which a secret counts as short.
const soundSecretLen = 16

// Key is one symmetric key. It is immutable and safe for concurrent use.
type Key struct {
	id        uint32
	algorithm *algorithm
	secret    []byte
	given     int // octets of the secret before padding
	addresses []netip.Prefix
	strict    bool // the addresses count for clients, too

	cmac cmac // of AES-CMAC only
}

// NewKey makes a key. The identifier is 1 to 2^32-1 (ntpd: up to 65535). The
// algorithm goes by the name that ntpd, ntpsec or chronyd has for it, in any
// case: MD5, SHA1, SHA256, SHA3-256, AES128CMAC, AES256 and so on. The secret
// has 1 to 2048 octets, for AES-CMAC exactly the cipher's 16, 24 or 32. The
// prefixes name the hosts whose time is accepted under the key; none means all
// (see LimitClients). Arguments are copied.
func NewKey(id uint32, algorithm string, secret []byte, addresses []netip.Prefix) (*Key, error) {
	a := algorithmNamed(algorithm)
	if a == nil {
		return nil, fmt.Errorf("key %d: %w: %s", id, errAlgorithm, adviceFor(algorithm))
	}
	return newKey(id, a, secret, len(secret), addresses)
}

// newKey is NewKey after the algorithm is found; given is the length of the
// secret before it was padded.
func newKey(id uint32, a *algorithm, secret []byte, given int, addresses []netip.Prefix) (*Key, error) {
	switch {
	case id == 0:
		return nil, errors.New("key 0: the identifier 0 is reserved for crypto-NAKs; number keys from 1")
	case a.aesKey != 0 && len(secret) != a.aesKey:
		return nil, fmt.Errorf("key %d: %w: %s takes exactly %d octets, not %d",
			id, errSecret, a.name, a.aesKey, len(secret))
	case len(secret) == 0 || len(secret) > maxSecretLen:
		return nil, fmt.Errorf("key %d: %w: %d octets, want 1 to %d", id, errSecret, len(secret), maxSecretLen)
	}
	k := &Key{id: id, algorithm: a, secret: bytes.Clone(secret), given: given}
	for _, p := range addresses {
		if !p.IsValid() {
			return nil, fmt.Errorf("key %d: address list has an invalid prefix", id)
		}
		k.addresses = append(k.addresses, unmap(p))
	}
	if a.aesKey != 0 {
		var err error
		if k.cmac, err = newCMAC(k.secret); err != nil {
			return nil, fmt.Errorf("key %d: %w", id, err)
		}
	}
	return k, nil
}

// unmap clears the host bits, and makes an IPv4 prefix of a 4-in-6 one, since
// addresses are compared unmapped.
func unmap(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked()
}

// adviceFor says what to do about an algorithm that is not here. The name is
// repeated only if it is known not to be a misplaced secret.
func adviceFor(name string) string {
	if text, ok := refused[asciiUpper(name)]; ok {
		return text
	}
	var names []string
	for _, a := range algorithms {
		names = append(names, a.name)
	}
	return "the type is none of " + strings.Join(names, ", ")
}

// ID returns the key identifier, 1 to 2^32-1.
func (k *Key) ID() uint32 { return k.id }

// Algorithm returns the algorithm's name as this package writes it: ntpd's
// where ntpd has it.
func (k *Key) Algorithm() string { return k.algorithm.name }

// MACLen returns the uncut length of the key's MAC in octets, without the key
// identifier: 16 to 64.
func (k *Key) MACLen() int { return k.algorithm.macLen }

// Bits returns the length of the key's secret in bits.
func (k *Key) Bits() int { return 8 * len(k.secret) }

// LimitClients returns the key with an address list that holds for clients,
// too.
func (k *Key) LimitClients() *Key {
	strict := *k
	strict.strict = true
	return &strict
}

// Addresses returns the prefixes whose time is accepted under the key; none
// means all.
func (k *Key) Addresses() []netip.Prefix { return slices.Clone(k.addresses) }

// Allows reports whether time from addr is accepted under the key.
func (k *Key) Allows(addr netip.Addr) bool {
	if len(k.addresses) == 0 {
		return true
	}
	addr = addr.Unmap().WithZone("") // a prefix never contains a zone
	for _, p := range k.addresses {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// Weaknesses tells what speaks against the key, one sentence each, with a
// remedy. A sound key has none.
func (k *Key) Weaknesses() []string {
	var list []string
	if k.algorithm.weakness != "" {
		list = append(list, k.algorithm.weakness)
	}
	if k.given < soundSecretLen {
		list = append(list, fmt.Sprintf("the secret has %d octets, fewer than %d; make a longer one at random",
			k.given, soundSecretLen))
	}
	if len(k.secret) > 1 && bytes.Count(k.secret, k.secret[:1]) == len(k.secret) {
		list = append(list, "the secret repeats one octet; make one at random")
	}
	return list
}

// String describes the key without its secret. It and the next two have the
// value as receiver, so that a copied Key does not show its secret either.
func (k Key) String() string {
	if k.algorithm == nil {
		return "no key"
	}
	return fmt.Sprintf("key %d (%s, %d octets)", k.id, k.algorithm.name, k.given)
}

// GoString is String: %#v must not show the secret.
func (k Key) GoString() string { return k.String() }

// Format writes the same as String for every verb, so that no way of printing
// a key shows its secret.
func (k Key) Format(f fmt.State, _ rune) { fmt.Fprint(f, k.String()) }

// Equal reports whether two keys are the same in all that counts on the wire
// and in who may use them. Nil equals nil alone.
func (k *Key) Equal(o *Key) bool {
	if k == nil || o == nil {
		return k == o
	}
	return k.id == o.id && k.algorithm.name == o.algorithm.name && subtle.ConstantTimeCompare(k.secret, o.secret) == 1 &&
		slices.Equal(k.addresses, o.addresses)
}

// SameSecret reports whether who has one key has the other, whatever their numbers
// and digests are.
func (k *Key) SameSecret(o *Key) bool {
	return k.given == o.given && subtle.ConstantTimeCompare(k.secret, o.secret) == 1
}
