//go:build !amd64 || purego

package aead

import "crypto/cipher"

// schedule is an expanded AES key.
type schedule struct {
	generic cipher.Block // of crypto/aes
}

func (s *schedule) expand(key []byte) { s.expandGeneric(key) }

func (k *Key) subkeys() { k.subkeysGeneric() }

func (k *Key) s2v(plaintext, associatedData, nonce []byte) number {
	return k.s2vGeneric(plaintext, associatedData, nonce)
}

func (s *schedule) xorStream(out, in []byte, ctr number) {
	copy(out, in)
	s.xorStreamGeneric(out, ctr.block(), sivOrder)
}

func (s *schedule) seal(out, nonce, plaintext, associatedData []byte) {
	s.sealGeneric(out, nonce, plaintext, associatedData)
}

func (s *schedule) open(out, nonce, sealed, associatedData []byte) bool {
	return s.openGeneric(out, nonce, sealed, associatedData)
}
