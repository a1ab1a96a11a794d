//go:build !purego

package aead

import (
	"crypto/cipher"

	"golang.org/x/sys/cpu"
)

// assembly tells whether to use the assembly. Only tests change it.
var assembly = cpu.X86.HasAES && cpu.X86.HasPCLMULQDQ && cpu.X86.HasSSSE3 && cpu.X86.HasSSE41

// schedule is an expanded AES key.
type schedule struct {
	roundKeys              // of the assembly
	generic   cipher.Block // of crypto/aes; nil where the assembly works
}

// roundKeys are the round keys of an AES key of any length.
type roundKeys struct {
	keys   [15]block
	rounds int // 10, 12 or 14: one less than there are keys
}

// expand128, expand192 and expand256 write the round keys of a key.
//
//go:noescape
func expand128(r *roundKeys, key *byte)

//go:noescape
func expand192(r *roundKeys, key *byte)

//go:noescape
func expand256(r *roundKeys, key *byte)

// cbcMAC runs the chain of CBC-MAC from x over blocks blocks at p and then
// over the block of big-endian halves hi and lo.
//
//go:noescape
func cbcMAC(r *roundKeys, x *block, p *byte, blocks int, hi, lo uint64)

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
		s.expandGeneric(key)
		return
	}
	s.generic = nil
	s.rounds = 6 + len(key)/4 // FIPS 197, section 5
	switch len(key) {
	case 16:
		expand128(&s.roundKeys, &key[0])
	case 24:
		expand192(&s.roundKeys, &key[0])
	case 32:
		expand256(&s.roundKeys, &key[0])
	}
}

func (s *schedule) cbcMAC(x *block, p []byte, last number) {
	if s.generic != nil {
		s.cbcMACGeneric(x, p, last)
		return
	}
	start := &x[0] // of nothing
	if len(p) >= blockLen {
		start = &p[0]
	}
	cbcMAC(&s.roundKeys, x, start, len(p)/blockLen, last.hi, last.lo)
}

// xorStream encrypts or decrypts in to out, which may overlap it anyhow, in
// AES-SIV's counter mode.
func (s *schedule) xorStream(out, in []byte, ctr number) {
	if s.generic != nil {
		copy(out, in)
		s.xorStreamGeneric(out, ctr.block(), sivOrder)
		return
	}
	xorStreamBE(&s.roundKeys, out[:len(in)], in, ctr.hi, ctr.lo)
}

// seal fills out, TagLen octets longer than the plaintext.
func (s *schedule) seal(out, nonce, plaintext, associatedData []byte) {
	if s.generic != nil {
		s.sealGeneric(out, nonce, plaintext, associatedData)
		return
	}
	_, _ = nonce[:gcmSIVNonceLen], out[:len(plaintext)+TagLen]
	sealGCMSIV(&s.roundKeys, out, nonce, plaintext, associatedData)
}

// open fills out, TagLen octets shorter than sealed, and reports whether it is
// authentic.
func (s *schedule) open(out, nonce, sealed, associatedData []byte) bool {
	if s.generic != nil {
		return s.openGeneric(out, nonce, sealed, associatedData)
	}
	_, _ = nonce[:gcmSIVNonceLen], out[:len(sealed)-TagLen]
	return openGCMSIV(&s.roundKeys, out, nonce, sealed, associatedData) == 0
}
