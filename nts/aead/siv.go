package aead

// portableMAC is the first half of an AES-SIV key where there is no assembly.
type portableMAC struct {
	aes    portable
	k1, d0 number // see sivMAC
}

// newPortableMAC makes k1 and d0.
func newPortableMAC(aes portable) portableMAC {
	k := portableMAC{aes: aes}
	var x block
	aes.cbcMAC(&x, nil, number{})
	k.k1 = toNumber(x[:]).dbl()
	x = block{}
	aes.cbcMAC(&x, nil, k.k1)
	k.d0 = toNumber(x[:])
	return k
}

// subkey returns what is added to a last block of r octets (RFC 4493, section
// 2.4): K1 to a whole one, K2 and the padding to another.
func (k portableMAC) subkey(r int) number {
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
func (k portableMAC) cmac(p []byte) number {
	var x block
	n := whole(len(p))
	r := len(p) - n
	k.aes.cbcMAC(&x, p[:n], tail(p, r).xor(k.subkey(r)))
	return toNumber(x[:])
}

// cmacXorEnd returns the CMAC of p with d added to its last 16 octets; p has
// at least that many (RFC 5297, section 2.4, "xorend").
func (k portableMAC) cmacXorEnd(p []byte, d number) number {
	var x block
	n := whole(len(p))
	r := len(p) - n
	last := tail(p, r).xor(d.left(blockLen - r)).xor(k.subkey(r))
	if n > 0 {
		n -= blockLen // d reaches into this block too
		k.aes.cbcMAC(&x, p[:n], toNumber(p[n:]).xor(d.right(r)))
	}
	k.aes.cbcMAC(&x, nil, last)
	return toNumber(x[:])
}

// s2v returns the synthetic IV of components and plaintext (RFC 5297,
// section 2.4).
func (k portableMAC) s2v(plaintext []byte, components ...[]byte) number {
	d := k.d0
	for _, c := range components {
		d = d.dbl().xor(k.cmac(c))
	}
	if r := len(plaintext); r < blockLen {
		var x block
		k.aes.cbcMAC(&x, nil, tail(plaintext, r).xor(pad(r)).xor(d.dbl()).xor(k.k1))
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
