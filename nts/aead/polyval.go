package aead

import (
	"encoding/binary"
	"math/bits"
)

// polyval is a POLYVAL in the making (RFC 8452, section 3).
type polyval struct{ key, sum element }

// add adds one block.
func (h *polyval) add(e element) { h.sum = dot(h.sum.add(e), h.key) }

// update adds p, padded with zeros to whole blocks.
func (h *polyval) update(p []byte) {
	for ; len(p) >= blockLen; p = p[blockLen:] {
		h.add(toElement(p))
	}
	if len(p) > 0 {
		h.add(elementOf(tail(p, len(p))))
	}
}

// element is an element of POLYVAL's field GF(2^128), whose polynomial is
// x^128 + x^127 + x^126 + x^121 + 1; the low half first (RFC 8452, section 3).
type element struct{ lo, hi uint64 }

func toElement(p []byte) element {
	_ = p[blockLen-1]
	return element{binary.LittleEndian.Uint64(p), binary.LittleEndian.Uint64(p[8:])}
}

// elementOf returns the block of n as an element.
func elementOf(n number) element {
	return element{bits.ReverseBytes64(n.hi), bits.ReverseBytes64(n.lo)}
}

// number returns the block of e as a number.
func (e element) number() number { return number{bits.ReverseBytes64(e.lo), bits.ReverseBytes64(e.hi)} }

func (e element) add(f element) element { return element{e.lo ^ f.lo, e.hi ^ f.hi} }

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

// fold divides by x^64: adding the low half times the polynomial makes the low
// half zero; what is above remains.
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
// at most 16 partial products meet in a bit, and 16 only in the top one, so
// carries end in the three bits between.
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
