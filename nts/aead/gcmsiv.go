package aead

import "encoding/binary"

// nonceKeys are the keys of one nonce.
type nonceKeys struct {
	enc  schedule
	auth hashKey
}

// deriveGeneric makes the keys of one nonce. The blocks are those of a counter that
// starts at 0 before the nonce (RFC 8452, section 4).
func (k *Key) deriveGeneric(n *nonceKeys, nonce []byte) {
	var ctr, auth, enc block
	copy(ctr[4:], nonce)
	var stream [streamLen]byte
	k.ctr.stream(&stream, &ctr, gcmSIVOrder)
	copy(auth[:8], stream[0:])
	copy(auth[8:], stream[16:])
	copy(enc[:8], stream[32:])
	copy(enc[8:], stream[48:])
	n.auth.init(&auth)
	n.enc.expand(enc[:])
	clear(stream[:])
	auth, enc = block{}, block{}
}

// tag returns the tag of a plaintext (RFC 8452, section 4).
func (n *nonceKeys) tag(nonce, plaintext, associatedData []byte) block {
	var x block
	n.auth.update(&x, associatedData)
	n.auth.finish(&x, plaintext, element{
		uint64(len(associatedData)) * 8, uint64(len(plaintext)) * 8,
	})
	s := toNumber(x[:])
	s.hi ^= binary.BigEndian.Uint64(nonce)
	s.lo ^= uint64(binary.BigEndian.Uint32(nonce[8:])) << 32
	s.lo &^= 0x80
	x = block{}
	n.enc.cbcMAC(&x, nil, s)
	return x
}

// gcmSIVCounter makes the first counter of a tag (RFC 8452, section 4).
func gcmSIVCounter(t block) block {
	t[15] |= 0x80
	return t
}

// sealGCMSIV appends ciphertext and tag.
func (k *Key) sealGCMSIV(dst, nonce, plaintext, associatedData []byte) []byte {
	if len(nonce) != gcmSIVNonceLen {
		panic("aead: AES-GCM-SIV takes a nonce of 12 octets")
	}
	var n nonceKeys
	k.derive(&n, nonce)
	t := n.tag(nonce, plaintext, associatedData)
	all, out := extend(dst, len(plaintext)+TagLen)
	copy(out, plaintext)
	n.enc.xorStream(out[:len(plaintext)], gcmSIVCounter(t), gcmSIVOrder)
	copy(out[len(plaintext):], t[:])
	n = nonceKeys{}
	return all
}

// openGCMSIV appends the plaintext.
func (k *Key) openGCMSIV(dst, nonce, ciphertext, associatedData []byte) ([]byte, error) {
	if len(nonce) != gcmSIVNonceLen {
		return nil, ErrAuthentication
	}
	length := len(ciphertext) - TagLen
	t := block(ciphertext[length:])
	var n nonceKeys
	k.derive(&n, nonce)
	all, out := extend(dst, length)
	copy(out, ciphertext)
	n.enc.xorStream(out, gcmSIVCounter(t), gcmSIVOrder)
	got := n.tag(nonce, out, associatedData)
	n = nonceKeys{}
	if err := verify(&t, &got, out); err != nil {
		return nil, err
	}
	return all, nil
}
