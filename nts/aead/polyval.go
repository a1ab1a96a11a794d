package aead

import (
	"encoding/binary"
	"math/bits"
)

// element is an element of POLYVAL's field GF(2^128), whose polynomial is
// x^128 + x^127 + x^126 + x^121 + 1; the low half first (RFC 8452, section 3).
type element struct{ lo, hi uint64 }

func toElement(b *block) element {
	return element{binary.LittleEndian.Uint64(b[:8]), binary.LittleEndian.Uint64(b[8:])}
}

// polyvalGeneric adds p, padded with zeros to whole blocks, to the POLYVAL x
// under key h (RFC 8452, section 3).
func polyvalGeneric(x, h *block, p []byte) {
	sum, key := toElement(x), toElement(h)
	for len(p) > 0 {
		var in block
		p = p[copy(in[:], p):]
		e := toElement(&in)
		sum.lo ^= e.lo
		sum.hi ^= e.hi
		sum = dot(sum, key)
	}
	binary.LittleEndian.PutUint64(x[:8], sum.lo)
	binary.LittleEndian.PutUint64(x[8:], sum.hi)
}

// dot returns a*b*x^-128, in constant time.
func dot(a, b element) element {
	low := mul64(a.lo, b.lo)
	high := mul64(a.hi, b.hi)
	middle := mul64(a.lo^a.hi, b.lo^b.hi) // Karatsuba
	middle.lo ^= low.lo ^ high.lo
	middle.hi ^= low.hi ^ high.hi
	low.hi ^= middle.lo
	high.lo ^= middle.hi
	low = fold(fold(low))
	return element{high.lo ^ low.lo, high.hi ^ low.hi}
}

// fold divides by x^64: the low half, times the polynomial without its
// constant term, is added in, and what is left of it is zero and dropped.
func fold(e element) element {
	return element{
		e.hi ^ e.lo<<63 ^ e.lo<<62 ^ e.lo<<57,
		e.lo ^ e.lo>>1 ^ e.lo>>2 ^ e.lo>>7,
	}
}

// mul64 is the product of two polynomials of degree 63.
func mul64(x, y uint64) element {
	return element{
		mulLow(x, y),
		bits.Reverse64(mulLow(bits.Reverse64(x), bits.Reverse64(y))) >> 1,
	}
}

// mulLow is the low half of a product of polynomials. Integer multiplication
// stands in for the polynomials' where each factor has only every fourth bit:
// 16 partial products add up to at most 15 without the top one, so the carries
// stay in the three bits between.
func mulLow(x, y uint64) uint64 {
	const every4th = 0x1111111111111111
	var sum uint64
	for shift := range 4 {
		var s uint64
		for i := range 4 {
			s ^= x & (every4th << i) * (y & (every4th << ((shift - i) & 3)))
		}
		sum |= s & (every4th << shift)
	}
	return sum
}
