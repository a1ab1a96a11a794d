package aead

import "encoding/binary"

// seal fills out, TagLen octets longer than the plaintext.
func (s portable) seal(out, nonce, plaintext, associatedData []byte) {
	var n nonceKeys
	n.derive(s, nonce)
	n.seal(out, nonce, plaintext, associatedData)
	n = nonceKeys{}
}

// open fills out, TagLen octets shorter than sealed, and reports
// whether it is authentic.
func (s portable) open(out, nonce, sealed, associatedData []byte) bool {
	var n nonceKeys
	n.derive(s, nonce)
	ok := n.open(out, nonce, sealed, associatedData)
	n = nonceKeys{}
	return ok
}

// nonceKeys are the keys of one nonce.
type nonceKeys struct {
	enc  portable
	auth element
}

// derive makes the keys of a nonce with the key-generating key s. The blocks
// are those of a counter that starts at 0 before the nonce (RFC 8452, section
// 4).
func (n *nonceKeys) derive(s portable, nonce []byte) {
	var ctr, enc block
	copy(ctr[4:], nonce)
	var stream [streamLen]byte
	s.stream(&stream, &ctr, gcmSIVOrder)
	n.auth = element{binary.LittleEndian.Uint64(stream[0:]), binary.LittleEndian.Uint64(stream[16:])}
	copy(enc[:8], stream[32:])
	copy(enc[8:], stream[48:])
	n.enc = newPortable(enc[:])
	clear(stream[:])
	enc = block{}
}

// tag returns the tag of a plaintext (RFC 8452, section 4).
func (n *nonceKeys) tag(nonce, plaintext, associatedData []byte) (t block) {
	h := polyval{key: n.auth}
	h.update(associatedData)
	h.update(plaintext)
	h.add(element{uint64(len(associatedData)) * 8, uint64(len(plaintext)) * 8})
	s := h.sum.number()
	s.hi ^= binary.BigEndian.Uint64(nonce)
	s.lo ^= uint64(binary.BigEndian.Uint32(nonce[8:])) << 32
	s.lo &^= 0x80
	n.enc.cbcMAC(&t, nil, s)
	return t
}

// gcmSIVCounter makes the first counter of a tag (RFC 8452, section 4).
func gcmSIVCounter(t block) block {
	t[15] |= 0x80
	return t
}

// seal is portable.seal with derived keys.
func (n *nonceKeys) seal(out, nonce, plaintext, associatedData []byte) {
	t := n.tag(nonce, plaintext, associatedData)
	copy(out, plaintext)
	n.enc.xorStream(out[:len(plaintext)], gcmSIVCounter(t), gcmSIVOrder)
	copy(out[len(plaintext):], t[:])
}

// open is portable.open with derived keys.
func (n *nonceKeys) open(out, nonce, sealed, associatedData []byte) bool {
	t := block(sealed[len(out):])
	copy(out, sealed)
	n.enc.xorStream(out, gcmSIVCounter(t), gcmSIVOrder)
	got := n.tag(nonce, out, associatedData)
	return toNumber(t[:]).equal(toNumber(got[:]))
}
