package oldcipher

import (
	"crypto/cipher"
	"encoding/binary"
	"math/bits"
)

// CamelliaBlockSize is Camellia's block size in octets.
const CamelliaBlockSize = 16

// camellia is the key schedule of RFC 3713, section 2.2: whitening keys, one
// round key for each of the 18 or 24 rounds, and two FL keys for each gap
// between six rounds.
type camellia struct {
	rounds int
	kw     [4]uint64
	k      [24]uint64
	ke     [6]uint64
}

// camelliaSigma are the constants of the key schedule.
var camelliaSigma = [6]uint64{
	0xA09E667F3BCC908B, 0xB67AE8584CAA73B2, 0xC6EF372FE94F82BE,
	0x54FF53A5F1D36F1C, 0x10E527FADE682D1D, 0xB05688C2B3E6C1FD,
}

// NewCamellia returns Camellia with a key of 16, 24 or 32 octets.
func NewCamellia(key []byte) (cipher.Block, error) {
	var kl, kr wide
	switch len(key) {
	case 16:
	case 24:
		kr.hi = binary.BigEndian.Uint64(key[16:])
		kr.lo = ^kr.hi
	case 32:
		kr = wide{binary.BigEndian.Uint64(key[16:]), binary.BigEndian.Uint64(key[24:])}
	default:
		return nil, KeySizeError(len(key))
	}
	kl = wide{binary.BigEndian.Uint64(key), binary.BigEndian.Uint64(key[8:])}
	ka, kb := camelliaMix(kl, kr)
	c := new(camellia)
	if len(key) == 16 {
		c.schedule128(kl, ka)
	} else {
		c.schedule256(kl, kr, ka, kb)
	}
	return c, nil
}

// wide is a number of 128 bits.
type wide struct{ hi, lo uint64 }

// rotate returns w rotated left by n, 0 < n < 128.
func (w wide) rotate(n uint) wide {
	if n >= 64 {
		w.hi, w.lo = w.lo, w.hi
		n -= 64
	}
	return wide{w.hi<<n | w.lo>>(64-n), w.lo<<n | w.hi>>(64-n)}
}

// camelliaMix makes KA and KB from KL and KR.
func camelliaMix(kl, kr wide) (ka, kb wide) {
	d1, d2 := kl.hi^kr.hi, kl.lo^kr.lo
	d2 ^= camelliaF(d1, camelliaSigma[0])
	d1 ^= camelliaF(d2, camelliaSigma[1])
	d1 ^= kl.hi
	d2 ^= kl.lo
	d2 ^= camelliaF(d1, camelliaSigma[2])
	d1 ^= camelliaF(d2, camelliaSigma[3])
	ka = wide{d1, d2}
	d1 ^= kr.hi
	d2 ^= kr.lo
	d2 ^= camelliaF(d1, camelliaSigma[4])
	d1 ^= camelliaF(d2, camelliaSigma[5])
	return ka, wide{d1, d2}
}

// put stores both halves of w rotated by n in two places.
func put(a, b *uint64, w wide, n uint) {
	if n > 0 {
		w = w.rotate(n)
	}
	*a, *b = w.hi, w.lo
}

func (c *camellia) schedule128(kl, ka wide) {
	c.rounds = 18
	var unused uint64
	put(&c.kw[0], &c.kw[1], kl, 0)
	put(&c.k[0], &c.k[1], ka, 0)
	put(&c.k[2], &c.k[3], kl, 15)
	put(&c.k[4], &c.k[5], ka, 15)
	put(&c.ke[0], &c.ke[1], ka, 30)
	put(&c.k[6], &c.k[7], kl, 45)
	put(&c.k[8], &unused, ka, 45)
	put(&unused, &c.k[9], kl, 60)
	put(&c.k[10], &c.k[11], ka, 60)
	put(&c.ke[2], &c.ke[3], kl, 77)
	put(&c.k[12], &c.k[13], kl, 94)
	put(&c.k[14], &c.k[15], ka, 94)
	put(&c.k[16], &c.k[17], kl, 111)
	put(&c.kw[2], &c.kw[3], ka, 111)
}

func (c *camellia) schedule256(kl, kr, ka, kb wide) {
	c.rounds = 24
	put(&c.kw[0], &c.kw[1], kl, 0)
	put(&c.k[0], &c.k[1], kb, 0)
	put(&c.k[2], &c.k[3], kr, 15)
	put(&c.k[4], &c.k[5], ka, 15)
	put(&c.ke[0], &c.ke[1], kr, 30)
	put(&c.k[6], &c.k[7], kb, 30)
	put(&c.k[8], &c.k[9], kl, 45)
	put(&c.k[10], &c.k[11], ka, 45)
	put(&c.ke[2], &c.ke[3], kl, 60)
	put(&c.k[12], &c.k[13], kr, 60)
	put(&c.k[14], &c.k[15], kb, 60)
	put(&c.k[16], &c.k[17], kl, 77)
	put(&c.ke[4], &c.ke[5], ka, 77)
	put(&c.k[18], &c.k[19], kr, 94)
	put(&c.k[20], &c.k[21], ka, 94)
	put(&c.k[22], &c.k[23], kl, 111)
	put(&c.kw[2], &c.kw[3], kb, 111)
}

func (c *camellia) BlockSize() int { return CamelliaBlockSize }

// Encrypt implements cipher.Block (RFC 3713, section 2.3).
func (c *camellia) Encrypt(dst, src []byte) {
	_, _ = src[15], dst[15]
	d1 := binary.BigEndian.Uint64(src) ^ c.kw[0]
	d2 := binary.BigEndian.Uint64(src[8:]) ^ c.kw[1]
	for i := 0; i < c.rounds; i += 2 {
		if i > 0 && i%6 == 0 {
			d1 = camelliaFL(d1, c.ke[i/3-2])
			d2 = camelliaFLInverse(d2, c.ke[i/3-1])
		}
		d2 ^= camelliaF(d1, c.k[i])
		d1 ^= camelliaF(d2, c.k[i+1])
	}
	binary.BigEndian.PutUint64(dst, d2^c.kw[2])
	binary.BigEndian.PutUint64(dst[8:], d1^c.kw[3])
}

// Decrypt implements cipher.Block: encryption with the keys in reverse order.
func (c *camellia) Decrypt(dst, src []byte) {
	_, _ = src[15], dst[15]
	d1 := binary.BigEndian.Uint64(src) ^ c.kw[2]
	d2 := binary.BigEndian.Uint64(src[8:]) ^ c.kw[3]
	for i := c.rounds - 2; i >= 0; i -= 2 {
		d2 ^= camelliaF(d1, c.k[i+1])
		d1 ^= camelliaF(d2, c.k[i])
		if i > 0 && i%6 == 0 {
			d1 = camelliaFL(d1, c.ke[i/3-1])
			d2 = camelliaFLInverse(d2, c.ke[i/3-2])
		}
	}
	binary.BigEndian.PutUint64(dst, d2^c.kw[0])
	binary.BigEndian.PutUint64(dst[8:], d1^c.kw[1])
}

// camelliaF is the round function (RFC 3713, section 2.4.1).
func camelliaF(in, key uint64) uint64 {
	x := in ^ key
	t1 := camelliaSbox[byte(x>>56)]
	t2 := bits.RotateLeft8(camelliaSbox[byte(x>>48)], 1)
	t3 := bits.RotateLeft8(camelliaSbox[byte(x>>40)], 7)
	t4 := camelliaSbox[bits.RotateLeft8(byte(x>>32), 1)]
	t5 := bits.RotateLeft8(camelliaSbox[byte(x>>24)], 1)
	t6 := bits.RotateLeft8(camelliaSbox[byte(x>>16)], 7)
	t7 := camelliaSbox[bits.RotateLeft8(byte(x>>8), 1)]
	t8 := camelliaSbox[byte(x)]
	return uint64(t1^t3^t4^t6^t7^t8)<<56 |
		uint64(t1^t2^t4^t5^t7^t8)<<48 |
		uint64(t1^t2^t3^t5^t6^t8)<<40 |
		uint64(t2^t3^t4^t5^t6^t7)<<32 |
		uint64(t1^t2^t6^t7^t8)<<24 |
		uint64(t2^t3^t5^t7^t8)<<16 |
		uint64(t3^t4^t5^t6^t8)<<8 |
		uint64(t1^t4^t5^t6^t7)
}

// camelliaFL is the function FL (RFC 3713, section 2.4.2).
func camelliaFL(in, key uint64) uint64 {
	x1, x2 := uint32(in>>32), uint32(in)
	x2 ^= bits.RotateLeft32(x1&uint32(key>>32), 1)
	x1 ^= x2 | uint32(key)
	return uint64(x1)<<32 | uint64(x2)
}

// camelliaFLInverse is the inverse of camelliaFL (section 2.4.3).
func camelliaFLInverse(in, key uint64) uint64 {
	y1, y2 := uint32(in>>32), uint32(in)
	y1 ^= y2 | uint32(key)
	y2 ^= bits.RotateLeft32(y1&uint32(key>>32), 1)
	return uint64(y1)<<32 | uint64(y2)
}

// camelliaSbox is SBOX1 of RFC 3713, section 2.4.1; the other three are
// rotations of it.
var camelliaSbox = [256]byte{
	0x70, 0x82, 0x2c, 0xec, 0xb3, 0x27, 0xc0, 0xe5, 0xe4, 0x85, 0x57, 0x35, 0xea, 0x0c, 0xae, 0x41,
	0x23, 0xef, 0x6b, 0x93, 0x45, 0x19, 0xa5, 0x21, 0xed, 0x0e, 0x4f, 0x4e, 0x1d, 0x65, 0x92, 0xbd,
	0x86, 0xb8, 0xaf, 0x8f, 0x7c, 0xeb, 0x1f, 0xce, 0x3e, 0x30, 0xdc, 0x5f, 0x5e, 0xc5, 0x0b, 0x1a,
	0xa6, 0xe1, 0x39, 0xca, 0xd5, 0x47, 0x5d, 0x3d, 0xd9, 0x01, 0x5a, 0xd6, 0x51, 0x56, 0x6c, 0x4d,
	0x8b, 0x0d, 0x9a, 0x66, 0xfb, 0xcc, 0xb0, 0x2d, 0x74, 0x12, 0x2b, 0x20, 0xf0, 0xb1, 0x84, 0x99,
	0xdf, 0x4c, 0xcb, 0xc2, 0x34, 0x7e, 0x76, 0x05, 0x6d, 0xb7, 0xa9, 0x31, 0xd1, 0x17, 0x04, 0xd7,
	0x14, 0x58, 0x3a, 0x61, 0xde, 0x1b, 0x11, 0x1c, 0x32, 0x0f, 0x9c, 0x16, 0x53, 0x18, 0xf2, 0x22,
	0xfe, 0x44, 0xcf, 0xb2, 0xc3, 0xb5, 0x7a, 0x91, 0x24, 0x08, 0xe8, 0xa8, 0x60, 0xfc, 0x69, 0x50,
	0xaa, 0xd0, 0xa0, 0x7d, 0xa1, 0x89, 0x62, 0x97, 0x54, 0x5b, 0x1e, 0x95, 0xe0, 0xff, 0x64, 0xd2,
	0x10, 0xc4, 0x00, 0x48, 0xa3, 0xf7, 0x75, 0xdb, 0x8a, 0x03, 0xe6, 0xda, 0x09, 0x3f, 0xdd, 0x94,
	0x87, 0x5c, 0x83, 0x02, 0xcd, 0x4a, 0x90, 0x33, 0x73, 0x67, 0xf6, 0xf3, 0x9d, 0x7f, 0xbf, 0xe2,
	0x52, 0x9b, 0xd8, 0x26, 0xc8, 0x37, 0xc6, 0x3b, 0x81, 0x96, 0x6f, 0x4b, 0x13, 0xbe, 0x63, 0x2e,
	0xe9, 0x79, 0xa7, 0x8c, 0x9f, 0x6e, 0xbc, 0x8e, 0x29, 0xf5, 0xf9, 0xb6, 0x2f, 0xfd, 0xb4, 0x59,
	0x78, 0x98, 0x06, 0x6a, 0xe7, 0x46, 0x71, 0xba, 0xd4, 0x25, 0xab, 0x42, 0x88, 0xa2, 0x8d, 0xfa,
	0x72, 0x07, 0xb9, 0x55, 0xf8, 0xee, 0xac, 0x0a, 0x36, 0x49, 0x2a, 0x68, 0x3c, 0x38, 0xf1, 0xa4,
	0x40, 0x28, 0xd3, 0x7b, 0xbb, 0xc9, 0x43, 0xc1, 0x15, 0xe3, 0xad, 0xf4, 0x77, 0xc7, 0x80, 0x9e,
}
