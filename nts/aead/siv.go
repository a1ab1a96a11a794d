package aead

// initSIV expands both halves of an AES-SIV key (RFC 5297, section 2.2).
func (k *Key) initSIV(key []byte) {
	k.mac.expand(key[:len(key)/2])
	k.ctr.expand(key[len(key)/2:])
	k.k1 = block{}
	k.mac.encrypt(&k.k1)
	k.k1.dbl()
	k.d0 = k.k1 // zero block with the subkey
	k.mac.encrypt(&k.d0)
}

// finish adds the last block of a CMAC, 0 to 16 octets, to the chain x
// (RFC 4493, section 2.4).
func (k *Key) finish(x *block, last []byte) {
	if len(last) == blockLen {
		x.xor(last)
		x.xor(k.k1[:])
	} else {
		var padded block
		padded[copy(padded[:], last)] = 0x80
		k2 := k.k1
		k2.dbl()
		x.xor(padded[:])
		x.xor(k2[:])
	}
	k.mac.encrypt(x)
}

// cmac returns the CMAC of p (RFC 4493), read where it lies.
func (k *Key) cmac(p []byte) (x block) {
	n := 0
	if len(p) > blockLen {
		n = (len(p) - 1) &^ (blockLen - 1)
		k.mac.cbcMAC(&x, p[:n])
	}
	k.finish(&x, p[n:])
	return x
}

// s2v returns the synthetic IV of components and plaintext (RFC 5297, section
// 2.4).
func (k *Key) s2v(plaintext []byte, components ...[]byte) block {
	d := k.d0
	for _, c := range components {
		d.dbl()
		m := k.cmac(c)
		d.xor(m[:])
	}
	var x block
	n := len(plaintext)
	if n < blockLen {
		d.dbl()
		var padded block
		padded[copy(padded[:], plaintext)] = 0x80
		d.xor(padded[:])
		k.finish(&x, d[:])
		return x
	}
	// The last 16 octets have d added. They start anywhere in the last block
	// but one, so up to two blocks are put together here.
	head := (n - blockLen) &^ (blockLen - 1)
	k.mac.cbcMAC(&x, plaintext[:head])
	var buf [2 * blockLen]byte
	tail := buf[:copy(buf[:], plaintext[head:])]
	(*block)(tail[len(tail)-blockLen:]).xor(d[:])
	if len(tail) > blockLen {
		k.mac.cbcMAC(&x, tail[:blockLen])
		tail = tail[blockLen:]
	}
	k.finish(&x, tail)
	clear(buf[:])
	return x
}

// sivCounter makes the first counter of a synthetic IV (RFC 5297, section
// 2.5).
func sivCounter(v block) block {
	v[8] &= 0x7f
	v[12] &= 0x7f
	return v
}

// sealSIV appends synthetic IV and ciphertext (RFC 5297, section 2.6).
func (k *Key) sealSIV(dst, plaintext []byte, components ...[]byte) []byte {
	v := k.s2v(plaintext, components...)
	whole, out := extend(dst, TagLen+len(plaintext))
	copy(out[TagLen:], plaintext)
	copy(out, v[:])
	k.ctr.xorStream(out[TagLen:], sivCounter(v), nextBE)
	return whole
}

// openSIV appends the plaintext (RFC 5297, section 2.7).
func (k *Key) openSIV(dst, ciphertext []byte, components ...[]byte) ([]byte, error) {
	v := block(ciphertext)
	whole, out := extend(dst, len(ciphertext)-TagLen)
	copy(out, ciphertext[TagLen:])
	k.ctr.xorStream(out, sivCounter(v), nextBE)
	got := k.s2v(out, components...)
	if err := verify(&v, &got, out); err != nil {
		return nil, err
	}
	return whole, nil
}
