package aead

// initSIV expands both halves of an AES-SIV key (RFC 5297, section 2.2).
func (k *Key) initSIV(key []byte) {
	k.mac.expand(key[:len(key)/2])
	k.ctr.expand(key[len(key)/2:])
	k.subkeys()
}

// subkeysGeneric makes k1 and d0.
func (k *Key) subkeysGeneric() {
	var x block
	k.mac.cbcMACGeneric(&x, nil, number{})
	k.k1 = toNumber(x[:]).dbl()
	x = block{}
	k.mac.cbcMACGeneric(&x, nil, k.k1)
	k.d0 = toNumber(x[:])
}

// subkey returns what is added to a last block of r octets (RFC 4493, section
// 2.4): K1 to a whole one, K2 and the padding to another.
func (k *Key) subkey(r int) number {
	if r == blockLen {
		return k.k1
	}
	return k.k1.dbl().xor(pad(r))
}

// whole returns how many octets of a message of n stand before its last
// block, which has 1 to 16 octets, or none if n is 0.
func whole(n int) int {
	return max(n-1, 0) &^ (blockLen - 1)
}

// cmac returns the CMAC of p (RFC 4493), read where it lies.
func (k *Key) cmac(p []byte) number {
	var x block
	n := whole(len(p))
	r := len(p) - n
	k.mac.cbcMACGeneric(&x, p[:n], tail(p, r).xor(k.subkey(r)))
	return toNumber(x[:])
}

// cmacXorEnd returns the CMAC of p with d added to its last 16 octets; p has
// at least that many (RFC 5297, section 2.4, "xorend").
func (k *Key) cmacXorEnd(p []byte, d number) number {
	var x block
	n := whole(len(p))
	r := len(p) - n
	last := tail(p, r).xor(d.left(blockLen - r)).xor(k.subkey(r))
	if n > 0 {
		n -= blockLen // d reaches into this block too
		k.mac.cbcMACGeneric(&x, p[:n], toNumber(p[n:]).xor(d.right(r)))
	}
	k.mac.cbcMACGeneric(&x, nil, last)
	return toNumber(x[:])
}

// s2vGeneric returns the synthetic IV of components and plaintext (RFC 5297,
// section 2.4).
func (k *Key) s2vGeneric(plaintext []byte, components ...[]byte) number {
	d := k.d0
	for _, c := range components {
		d = d.dbl().xor(k.cmac(c))
	}
	if r := len(plaintext); r < blockLen {
		var x block
		k.mac.cbcMACGeneric(&x, nil, tail(plaintext, r).xor(pad(r)).xor(d.dbl()).xor(k.k1))
		return toNumber(x[:])
	}
	return k.cmacXorEnd(plaintext, d)
}

// sivCounter makes the first counter of a synthetic IV (RFC 5297, section
// 2.5).
func sivCounter(v number) number {
	v.lo &^= 1<<63 | 1<<31
	return v
}

// sealSIV appends synthetic IV and ciphertext (RFC 5297, section 2.6).
func (k *Key) sealSIV(dst, plaintext, associatedData, nonce []byte) []byte {
	v := k.s2v(plaintext, associatedData, nonce)
	all, out := extend(dst, TagLen+len(plaintext))
	k.ctr.xorStream(out[TagLen:], plaintext, sivCounter(v))
	v.put(out)
	return all
}

// openSIV appends the plaintext (RFC 5297, section 2.7).
func (k *Key) openSIV(dst, ciphertext, associatedData, nonce []byte) ([]byte, error) {
	v := toNumber(ciphertext)
	all, out := extend(dst, len(ciphertext)-TagLen)
	k.ctr.xorStream(out, ciphertext[TagLen:], sivCounter(v))
	if !v.equal(k.s2v(out, associatedData, nonce)) {
		clear(out)
		return nil, ErrAuthentication
	}
	return all, nil
}
