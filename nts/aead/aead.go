package aead

import (
	"errors"
	"fmt"
	"io"
	"strconv"
)

// ID is an algorithm's number in IANA's registry of AEAD algorithms, as
// negotiated in NTS key establishment (RFC 8915, section 4.1.5).
type ID uint16

// The algorithms. AESSIVCMAC256 is the one that every NTS implementation has.
const (
	AESSIVCMAC256 ID = 15 // RFC 5297, two AES-128 keys
	AESSIVCMAC384 ID = 16 // RFC 5297, two AES-192 keys
	AESSIVCMAC512 ID = 17 // RFC 5297, two AES-256 keys
	AES128GCMSIV  ID = 30 // RFC 8452
)

// TagLen is what Seal adds to a plaintext, in octets, with every algorithm.
const TagLen = 16

// gcmSIVNonceLen is the only nonce length of AES-GCM-SIV, in octets.
const gcmSIVNonceLen = 12

// Supported reports whether the package has the algorithm.
func Supported(id ID) bool { return id.KeyLen() != 0 }

// KeyLen returns the length of the algorithm's key in octets, 0 if it is not
// supported.
func (id ID) KeyLen() int {
	switch id {
	case AESSIVCMAC256:
		return 32
	case AESSIVCMAC384:
		return 48
	case AESSIVCMAC512:
		return 64
	case AES128GCMSIV:
		return 16
	}
	return 0
}

// NonceLen returns the length of the nonces that we send, in octets, 0 if the
// algorithm is not supported. AES-SIV takes nonces of any length; 16 octets is
// what RFC 8915, section 5.6 lets every receiver expect.
func (id ID) NonceLen() int {
	switch id {
	case AESSIVCMAC256, AESSIVCMAC384, AESSIVCMAC512:
		return 16
	case AES128GCMSIV:
		return gcmSIVNonceLen
	}
	return 0
}

// TagLen returns what Seal adds to a plaintext, in octets: 16, or 0 if the
// algorithm is not supported.
func (id ID) TagLen() int {
	if !Supported(id) {
		return 0
	}
	return TagLen
}

// String returns the algorithm's name in IANA's registry.
func (id ID) String() string {
	switch id {
	case AESSIVCMAC256:
		return "AEAD_AES_SIV_CMAC_256"
	case AESSIVCMAC384:
		return "AEAD_AES_SIV_CMAC_384"
	case AESSIVCMAC512:
		return "AEAD_AES_SIV_CMAC_512"
	case AES128GCMSIV:
		return "AEAD_AES_128_GCM_SIV"
	}
	return "AEAD(" + strconv.Itoa(int(id)) + ")"
}

// The errors.
var (
	// ErrAuthentication is returned by Open, whatever the cause.
	ErrAuthentication = errors.New("aead: message does not authenticate")
	// ErrAlgorithm is returned by Init for an algorithm that is not Supported.
	ErrAlgorithm = errors.New("aead: algorithm not supported")
	// ErrKeyLen is returned by Init for a key that is not KeyLen octets.
	ErrKeyLen = errors.New("aead: key has the wrong length")
)

// Key is an algorithm with an expanded key. The zero value opens nothing and
// must not seal; Init makes it usable, as often as its owner likes. Between
// calls of Init and Clear a Key may be used by several goroutines.
type Key struct {
	id  ID
	mac schedule // AES-SIV: first half of the key, for S2V
	ctr schedule // AES-SIV: second half; AES-GCM-SIV: key-generating key
	k1  number   // AES-SIV: CMAC's subkey for whole blocks (RFC 4493, section 2.3)
	d0  number   // AES-SIV: CMAC of the zero block, where S2V starts
}

// Init expands a key of id.KeyLen() octets. The key is not kept by reference.
// On an error the Key is as after Clear.
func (k *Key) Init(id ID, key []byte) error {
	if !Supported(id) {
		k.Clear()
		return ErrAlgorithm
	}
	if len(key) != id.KeyLen() {
		k.Clear()
		return ErrKeyLen
	}
	if k.id != id {
		k.Clear() // another algorithm may leave parts of the last key
	}
	k.id = id
	if id == AES128GCMSIV {
		k.ctr.expand(key)
		return nil
	}
	k.initSIV(key)
	return nil
}

// ID returns the algorithm, 0 before Init.
func (k *Key) ID() ID { return k.id }

// Seal encrypts plaintext and appends len(plaintext)+TagLen octets to dst. For
// AES-SIV that is the synthetic IV and then the ciphertext (RFC 5297, section
// 2.6), for AES-GCM-SIV the ciphertext and then the tag (RFC 8452, section 4).
//
// With AES-SIV the associated data and the nonce are two components of S2V in
// this order (RFC 5297, section 3); the nonce may have any length, and counts
// as a component also when it is empty. With AES-GCM-SIV a nonce that is not
// 12 octets long is a mistake of the programmer, as is a Key without Init:
// Seal panics.
//
// The room behind dst may overlap any of the other arguments: everything has
// been read before the first octet is written.
func (k *Key) Seal(dst, nonce, plaintext, associatedData []byte) []byte {
	if k.id == 0 {
		panic("aead: Seal with a Key that is not initialised")
	}
	if k.id == AES128GCMSIV {
		return k.sealGCMSIV(dst, nonce, plaintext, associatedData)
	}
	return k.sealSIV(dst, plaintext, associatedData, nonce)
}

// Open verifies and decrypts what Seal made and appends the plaintext to dst.
// It returns ErrAuthentication, and no more, for anything else: also for a
// ciphertext shorter than TagLen, a nonce whose length the algorithm refuses,
// and a Key without Init.
//
// The room behind dst may overlap ciphertext in any way, but must not overlap
// nonce or associatedData. On failure the octets that were written there are
// zero, so a ciphertext opened in place is lost.
func (k *Key) Open(dst, nonce, ciphertext, associatedData []byte) ([]byte, error) {
	if k.id == 0 || len(ciphertext) < TagLen {
		return nil, ErrAuthentication
	}
	if k.id == AES128GCMSIV {
		return k.openGCMSIV(dst, nonce, ciphertext, associatedData)
	}
	return k.openSIV(dst, ciphertext, associatedData, nonce)
}

// Clear overwrites the key; the Key is then as the zero value.
func (k *Key) Clear() { *k = Key{} }

const redacted = "aead.Key(redacted)"

// String tells nothing of the key.
func (Key) String() string { return redacted }

// GoString tells nothing of the key.
func (Key) GoString() string { return redacted }

// Format tells nothing of the key, whatever the verb.
func (Key) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, redacted) }

// extend returns dst with n octets more, and these octets. What is there may be
// the input, so it is left as it is.
func extend(dst []byte, n int) (whole, tail []byte) {
	if total := len(dst) + n; cap(dst) >= total {
		whole = dst[:total]
	} else {
		whole = make([]byte, total)
		copy(whole, dst)
	}
	return whole, whole[len(dst):]
}
