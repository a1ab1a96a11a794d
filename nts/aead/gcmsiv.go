package aead

import "encoding/binary"

// derive makes the keys of one nonce (RFC 8452, section 4).
func (k *Key) derive(nonce []byte, enc *schedule) (auth block) {
	var key block
	for i := range byte(4) {
		b := block{i}
		copy(b[4:], nonce)
		k.ctr.encrypt(&b)
		if i < 2 {
			copy(auth[i*8:], b[:8])
		} else {
			copy(key[i*8-16:], b[:8])
		}
	}
	enc.expand(key[:])
	clear(key[:])
	return auth
}

// tag computes the tag of a plaintext under the keys of one nonce (RFC 8452,
// section 4).
func tag(enc *schedule, auth *block, nonce, plaintext, associatedData []byte) block {
	var x, lengths block
	polyvalGeneric(&x, auth, associatedData)
	polyvalGeneric(&x, auth, plaintext)
	binary.LittleEndian.PutUint64(lengths[:8], uint64(len(associatedData))*8)
	binary.LittleEndian.PutUint64(lengths[8:], uint64(len(plaintext))*8)
	polyvalGeneric(&x, auth, lengths[:])
	for i, n := range nonce {
		x[i] ^= n
	}
	x[15] &= 0x7f
	enc.encrypt(&x)
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
	var enc schedule
	auth := k.derive(nonce, &enc)
	t := tag(&enc, &auth, nonce, plaintext, associatedData)
	whole, out := extend(dst, len(plaintext)+TagLen)
	copy(out, plaintext)
	enc.xorStream(out[:len(plaintext)], gcmSIVCounter(t), nextLE)
	copy(out[len(plaintext):], t[:])
	enc, auth = schedule{}, block{}
	return whole
}

// openGCMSIV appends the plaintext.
func (k *Key) openGCMSIV(dst, nonce, ciphertext, associatedData []byte) ([]byte, error) {
	if len(nonce) != gcmSIVNonceLen {
		return nil, ErrAuthentication
	}
	n := len(ciphertext) - TagLen
	t := block(ciphertext[n:])
	var enc schedule
	auth := k.derive(nonce, &enc)
	whole, out := extend(dst, n)
	copy(out, ciphertext)
	enc.xorStream(out, gcmSIVCounter(t), nextLE)
	got := tag(&enc, &auth, nonce, out, associatedData)
	enc, auth = schedule{}, block{}
	if err := verify(&t, &got, out); err != nil {
		return nil, err
	}
	return whole, nil
}
