package aead

import (
	"fmt"
	"io"
)

// Key is an algorithm with an expanded key. The zero value opens nothing and
// must not seal; Init makes it usable, as often as its owner likes. Between
// calls of Init and Clear a Key may be used by several goroutines.
type Key struct {
	id  ID
	mac sivMAC   // AES-SIV: first half of the key, for S2V
	ctr schedule // AES-SIV: second half; AES-GCM-SIV: key-generating key
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

// initSIV expands both halves of an AES-SIV key (RFC 5297, section 2.2).
func (k *Key) initSIV(key []byte) {
	k.mac.aes.expand(key[:len(key)/2])
	k.ctr.expand(key[len(key)/2:])
	k.mac.subkeys()
}

// sealSIV appends synthetic IV and ciphertext (RFC 5297, section 2.6).
func (k *Key) sealSIV(dst, plaintext, associatedData, nonce []byte) []byte {
	v := k.mac.s2v(plaintext, associatedData, nonce)
	all, out := extend(dst, TagLen+len(plaintext))
	k.ctr.xorStream(out[TagLen:], plaintext, sivCounter(v))
	v.put(out)
	return all
}

// openSIV appends the plaintext (RFC 5297, section 2.7).
func (k *Key) openSIV(dst, ciphertext, associatedData, nonce []byte) ([]byte, error) {
	v := toNumber(ciphertext)
	all, out := extend(dst, len(ciphertext)-TagLen)
	k.ctr.xorStream(out, ciphertext[TagLen:], sivCounter(v))
	if !v.equal(k.mac.s2v(out, associatedData, nonce)) {
		clear(out)
		return nil, ErrAuthentication
	}
	return all, nil
}

// sealGCMSIV appends ciphertext and tag (RFC 8452, section 4).
func (k *Key) sealGCMSIV(dst, nonce, plaintext, associatedData []byte) []byte {
	if len(nonce) != gcmSIVNonceLen {
		panic("aead: AES-GCM-SIV takes a nonce of 12 octets")
	}
	all, out := extend(dst, len(plaintext)+TagLen)
	k.ctr.seal(out, nonce, plaintext, associatedData)
	return all
}

// openGCMSIV appends the plaintext (RFC 8452, section 5).
func (k *Key) openGCMSIV(dst, nonce, ciphertext, associatedData []byte) ([]byte, error) {
	if len(nonce) != gcmSIVNonceLen {
		return nil, ErrAuthentication
	}
	all, out := extend(dst, len(ciphertext)-TagLen)
	if !k.ctr.open(out, nonce, ciphertext, associatedData) {
		clear(out)
		return nil, ErrAuthentication
	}
	return all, nil
}

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
