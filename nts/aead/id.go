package aead

import (
	"errors"
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
