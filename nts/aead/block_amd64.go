//go:build !purego

package aead

import "golang.org/x/sys/cpu"

// assembly tells whether to use the assembly. Only tests change it.
var assembly = cpu.X86.HasAES && cpu.X86.HasPCLMULQDQ && cpu.X86.HasSSSE3 && cpu.X86.HasSSE41

// schedule is an expanded AES key.
type schedule struct {
	roundKeys          // of the assembly
	portable  portable // of crypto/aes; without a cipher where the assembly works
}

// sivMAC is the first half of an AES-SIV key.
type sivMAC struct {
	aes schedule
	k1  number // CMAC's subkey for whole blocks (RFC 4493, section 2.3)
	d0  number // CMAC of the zero block, where S2V starts
}

// roundKeys are the round keys of an AES key of any length.
type roundKeys struct {
	keys   [15]block
	rounds int // 10, 12 or 14: one less than there are keys
}

// expand128, expand192 and expand256 write the round keys of a key.
//
//go:noescape
func expand128(keys *[15]block, key *byte)

//go:noescape
func expand192(keys *[15]block, key *byte)

//go:noescape
func expand256(keys *[15]block, key *byte)

// subkeys makes what an AES-SIV Key keeps of its first half.
//
//go:noescape
func subkeys(r *roundKeys, k1, d0 *number)

// s2v makes the synthetic IV v with k.
//
//go:noescape
func s2v(k *sivMAC, v *number, plaintext, ad, nonce []byte)

// xorStreamBE encrypts or decrypts in to out in counter mode. The first counter
// is the block of big-endian halves hi and lo; it counts in its last 4 octets.
// out is as long as in and may overlap it anyhow.
//
//go:noescape
func xorStreamBE(r *roundKeys, out, in []byte, hi, lo uint64)

// sealGCMSIV fills out with ciphertext and tag. It may overlap all others: they
// are read first, and the plaintext as fits the overlap.
//
//go:noescape
func sealGCMSIV(r *roundKeys, out, nonce, plaintext, ad []byte)

// openGCMSIV fills out with the plaintext, and returns 0 if it is authentic.
// It may overlap sealed.
//
//go:noescape
func openGCMSIV(r *roundKeys, out, nonce, sealed, ad []byte) (difference uint64)

func (s *schedule) expand(key []byte) {
	if !assembly {
		s.portable = newPortable(key)
		return
	}
	s.portable = portable{}
	s.rounds = 6 + len(key)/4 // FIPS 197, section 5
	switch len(key) {
	case 16:
		expand128(&s.keys, &key[0])
	case 24:
		expand192(&s.keys, &key[0])
	case 32:
		expand256(&s.keys, &key[0])
	}
}

// subkeys makes k1 and d0.
func (k *sivMAC) subkeys() {
	if k.aes.portable.Block != nil {
		p := newPortableMAC(k.aes.portable)
		k.k1, k.d0 = p.k1, p.d0
		return
	}
	subkeys(&k.aes.roundKeys, &k.k1, &k.d0)
}

// s2v returns the synthetic IV (RFC 5297, section 2.4).
func (k *sivMAC) s2v(plaintext, associatedData, nonce []byte) (v number) {
	if k.aes.portable.Block != nil {
		return portableMAC{k.aes.portable, k.k1, k.d0}.s2v(plaintext, associatedData, nonce)
	}
	s2v(k, &v, plaintext, associatedData, nonce)
	return v
}

// xorStream encrypts or decrypts in to out, which may overlap it anyhow, in
// AES-SIV's counter mode.
func (s *schedule) xorStream(out, in []byte, ctr number) {
	if s.portable.Block != nil {
		copy(out, in)
		s.portable.xorStream(out, ctr.block(), sivOrder)
		return
	}
	xorStreamBE(&s.roundKeys, out[:len(in)], in, ctr.hi, ctr.lo)
}

// seal fills out, TagLen octets longer than the plaintext.
func (s *schedule) seal(out, nonce, plaintext, associatedData []byte) {
	if s.portable.Block != nil {
		s.portable.seal(out, nonce, plaintext, associatedData)
		return
	}
	_, _ = nonce[:gcmSIVNonceLen], out[:len(plaintext)+TagLen]
	sealGCMSIV(&s.roundKeys, out, nonce, plaintext, associatedData)
}

// open fills out, TagLen octets shorter than sealed, and reports whether it is
// authentic.
func (s *schedule) open(out, nonce, sealed, associatedData []byte) bool {
	if s.portable.Block != nil {
		return s.portable.open(out, nonce, sealed, associatedData)
	}
	_, _ = nonce[:gcmSIVNonceLen], out[:len(sealed)-TagLen]
	return openGCMSIV(&s.roundKeys, out, nonce, sealed, associatedData) == 0
}
