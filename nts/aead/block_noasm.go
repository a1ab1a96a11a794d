//go:build !amd64 || purego

package aead

// schedule is an expanded AES key.
type schedule struct {
	portable portable
}

// sivMAC is the first half of an AES-SIV key.
type sivMAC struct {
	aes schedule
	k1  number // CMAC's subkey for whole blocks (RFC 4493, section 2.3)
	d0  number // CMAC of the zero block, where S2V starts
}

func (s *schedule) expand(key []byte) { s.portable = newPortable(key) }

func (k *sivMAC) subkeys() {
	p := newPortableMAC(k.aes.portable)
	k.k1, k.d0 = p.k1, p.d0
}

func (k *sivMAC) s2v(plaintext, associatedData, nonce []byte) number {
	return portableMAC{k.aes.portable, k.k1, k.d0}.s2v(plaintext, associatedData, nonce)
}

func (s *schedule) xorStream(out, in []byte, ctr number) {
	copy(out, in)
	s.portable.xorStream(out, ctr.block(), sivOrder)
}

func (s *schedule) seal(out, nonce, plaintext, associatedData []byte) {
	s.portable.seal(out, nonce, plaintext, associatedData)
}

func (s *schedule) open(out, nonce, sealed, associatedData []byte) bool {
	return s.portable.open(out, nonce, sealed, associatedData)
}
