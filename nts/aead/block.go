package aead

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
)

const blockLen = aes.BlockSize

// block is one block of AES, or an element of GF(2^128).
type block [blockLen]byte

// dbl multiplies by x in CMAC's field (RFC 5297, section 2.3).
func (b *block) dbl() {
	hi, lo := binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
	carry := -(hi >> 63) & 0x87
	binary.BigEndian.PutUint64(b[:8], hi<<1|lo>>63)
	binary.BigEndian.PutUint64(b[8:], lo<<1^carry)
}

// xor adds another block, c's first blockLen octets.
func (b *block) xor(c []byte) { subtle.XORBytes(b[:], b[:], c[:blockLen]) }

// schedule is an expanded AES key.
type schedule struct {
	generic cipher.Block // of crypto/aes
}

// expand expands a key of 16, 24 or 32 octets.
func (s *schedule) expand(key []byte) {
	c, err := aes.NewCipher(key)
	if err != nil {
		panic("aead: " + err.Error()) // the length has been checked
	}
	s.generic = c
}

// encrypt encrypts one block in place.
func (s *schedule) encrypt(b *block) {
	buf := new(block)
	*buf = *b
	s.generic.Encrypt(buf[:], buf[:])
	*b = *buf
	clear(buf[:])
}

// cbcMAC runs the chain of CBC-MAC from x over the whole blocks of p, the
// length of which is a multiple of blockLen.
func (s *schedule) cbcMAC(x *block, p []byte) {
	buf := new(block)
	*buf = *x
	for ; len(p) >= blockLen; p = p[blockLen:] {
		buf.xor(p)
		s.generic.Encrypt(buf[:], buf[:])
	}
	*x = *buf
	clear(buf[:])
}

// next advances a counter block.
type next func(ctr *block)

// nextBE counts in the last four octets, big endian (AES-SIV: bit 31 of the
// synthetic IV is cleared, so no more than 2^31 blocks need no carry).
func nextBE(ctr *block) {
	binary.BigEndian.PutUint32(ctr[12:], binary.BigEndian.Uint32(ctr[12:])+1)
}

// nextLE counts in the first four octets, little endian, and wraps (RFC 8452,
// section 4).
func nextLE(ctr *block) {
	binary.LittleEndian.PutUint32(ctr[:], binary.LittleEndian.Uint32(ctr[:])+1)
}

// xorStream encrypts or decrypts p in place in counter mode.
func (s *schedule) xorStream(p []byte, ctr block, inc next) {
	buf := new(block)
	for len(p) > 0 {
		*buf = ctr
		s.generic.Encrypt(buf[:], buf[:])
		p = p[subtle.XORBytes(p, p, buf[:]):]
		inc(&ctr)
	}
	clear(buf[:])
}
