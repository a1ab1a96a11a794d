package digest

import (
	"encoding/binary"
	"math/bits"
)

// sm3Size is the length of an SM3 digest in octets.
const sm3Size = 32

const sm3Block = 64

// sm3 is the hash of GB/T 32905-2016 and ISO/IEC 10118-3, which neither the
// standard library nor x/crypto has.
type sm3 struct {
	state  [8]uint32
	buffer [sm3Block]byte
	length uint64 // octets written
}

func newSM3() *sm3 {
	d := new(sm3)
	d.Reset()
	return d
}

// Reset returns to the initial value (section 4.1).
func (d *sm3) Reset() {
	d.state = [8]uint32{
		0x7380166f, 0x4914b2b9, 0x172442d7, 0xda8a0600,
		0xa96f30bc, 0x163138aa, 0xe38dee4d, 0xb0fb0e4e,
	}
	d.length = 0
}

// Write adds p to the message; it never fails.
func (d *sm3) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		used := int(d.length % sm3Block)
		c := copy(d.buffer[used:], p)
		d.length += uint64(c)
		p = p[c:]
		if used+c == sm3Block {
			d.compress()
		}
	}
	return n, nil
}

// Sum appends the digest and spoils the state (padding: section 5.2).
func (d *sm3) Sum(b []byte) []byte {
	octets := d.length
	used := int(octets % sm3Block)
	d.buffer[used] = 0x80
	clear(d.buffer[used+1:])
	if used+1 > sm3Block-8 {
		d.compress()
		clear(d.buffer[:])
	}
	binary.BigEndian.PutUint64(d.buffer[sm3Block-8:], octets*8)
	d.compress()
	for _, v := range d.state {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return b
}

func sm3P0(x uint32) uint32 { return x ^ bits.RotateLeft32(x, 9) ^ bits.RotateLeft32(x, 17) }
func sm3P1(x uint32) uint32 { return x ^ bits.RotateLeft32(x, 15) ^ bits.RotateLeft32(x, 23) }

// compress works the full buffer into the state (section 5.3).
func (d *sm3) compress() {
	var w [68]uint32
	for i := range 16 {
		w[i] = binary.BigEndian.Uint32(d.buffer[4*i:])
	}
	for i := 16; i < 68; i++ {
		w[i] = sm3P1(w[i-16]^w[i-9]^bits.RotateLeft32(w[i-3], 15)) ^ bits.RotateLeft32(w[i-13], 7) ^ w[i-6]
	}
	s := d.state
	for i := range 64 {
		constant := uint32(0x79cc4519)
		ff := s[0] ^ s[1] ^ s[2]
		gg := s[4] ^ s[5] ^ s[6]
		if i >= 16 {
			constant = 0x7a879d8a
			ff = s[0]&s[1] | s[0]&s[2] | s[1]&s[2]
			gg = s[4]&s[5] | ^s[4]&s[6]
		}
		ss1 := bits.RotateLeft32(bits.RotateLeft32(s[0], 12)+s[4]+bits.RotateLeft32(constant, i%32), 7)
		ss2 := ss1 ^ bits.RotateLeft32(s[0], 12)
		tt1 := ff + s[3] + ss2 + (w[i] ^ w[i+4])
		tt2 := gg + s[7] + ss1 + w[i]
		s[3], s[2], s[1], s[0] = s[2], bits.RotateLeft32(s[1], 9), s[0], tt1
		s[7], s[6], s[5], s[4] = s[6], bits.RotateLeft32(s[5], 19), s[4], sm3P0(tt2)
	}
	for i := range s {
		d.state[i] ^= s[i]
	}
}
