package aead

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
)

// streamLen is the octets of key stream made at a time.
const streamLen = 8 * blockLen

// portable is an expanded AES key of crypto/aes, for machines without our
// assembly.
type portable struct{ cipher.Block }

// order is the octet order of a counter.
type order bool

const (
	// sivOrder counts in the last 4 octets, big endian. Bit 31 of AES-SIV's
	// counter is cleared at the start, so nothing carries (RFC 5297, 2.5).
	sivOrder order = true
	// gcmSIVOrder counts in the first 4 octets, little endian, and wraps
	// (RFC 8452, section 4).
	gcmSIVOrder order = false
)

// newPortable expands a key of 16, 24 or 32 octets.
func newPortable(key []byte) portable {
	c, err := aes.NewCipher(key)
	if err != nil {
		panic("aead: " + err.Error()) // the length has been checked
	}
	return portable{c}
}

// cbcMAC runs the chain of CBC-MAC from x over the whole blocks of p
// and then over last.
func (s portable) cbcMAC(x *block, p []byte, last number) {
	buf := make([]byte, blockLen)
	copy(buf, x[:])
	for ; len(p) >= blockLen; p = p[blockLen:] {
		subtle.XORBytes(buf, buf, p[:blockLen])
		s.Encrypt(buf, buf)
	}
	b := last.block()
	subtle.XORBytes(buf, buf, b[:])
	s.Encrypt(buf, buf)
	*x = block(buf)
	clear(buf)
}

// stream makes streamLen octets of key stream and advances the counter.
func (s portable) stream(out *[streamLen]byte, ctr *block, o order) {
	buf := make([]byte, blockLen)
	for i := 0; i < streamLen; i += blockLen {
		copy(buf, ctr[:])
		s.Encrypt(buf, buf)
		copy(out[i:], buf)
		if o == sivOrder {
			binary.BigEndian.PutUint32(ctr[12:], binary.BigEndian.Uint32(ctr[12:])+1)
		} else {
			binary.LittleEndian.PutUint32(ctr[:], binary.LittleEndian.Uint32(ctr[:])+1)
		}
	}
	clear(buf)
}

// xorStream encrypts or decrypts p in place in counter mode.
func (s portable) xorStream(p []byte, ctr block, o order) {
	if len(p) == 0 {
		return
	}
	var stream [streamLen]byte
	for len(p) > 0 {
		s.stream(&stream, &ctr, o)
		p = p[subtle.XORBytes(p, p, stream[:]):]
	}
	clear(stream[:])
}
