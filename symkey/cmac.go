package symkey

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
)

// cmac is an AES-CMAC key.
type cmac struct {
	block  cipher.Block
	k1, k2 [cmacLen]byte
}

// newCMAC returns the key of a secret of 16, 24 or 32 octets.
func newCMAC(secret []byte) (cmac, error) {
	block, err := aes.NewCipher(secret)
	if err != nil {
		return cmac{}, err
	}
	k := cmac{block: block}
	k.subkeys()
	return k, nil
}

// sum writes AES-CMAC (RFC 4493, section 2.4) of msg to mac; x is scratch
// memory.
func (k *cmac) sum(mac *[cmacLen]byte, msg []byte, x *[cmacLen]byte) {
	*x = [cmacLen]byte{}
	for len(msg) > cmacLen {
		xorBlock(x, (*[cmacLen]byte)(msg))
		k.block.Encrypt(x[:], x[:])
		msg = msg[cmacLen:]
	}
	if len(msg) == cmacLen {
		xorBlock(x, (*[cmacLen]byte)(msg))
		xorBlock(x, &k.k1)
	} else {
		for i, c := range msg {
			x[i] ^= c
		}
		x[len(msg)] ^= 0x80
		xorBlock(x, &k.k2)
	}
	k.block.Encrypt(mac[:], x[:])
}

// subkeys derives CMAC's subkeys from the cipher (RFC 4493, section 2.3).
func (k *cmac) subkeys() {
	var zero [cmacLen]byte
	k.block.Encrypt(k.k1[:], zero[:])
	double(&k.k1)
	k.k2 = k.k1
	double(&k.k2)
}

// double multiplies by x in GF(2^128), in constant time.
func double(b *[cmacLen]byte) {
	hi, lo := binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
	carry := hi >> 63
	binary.BigEndian.PutUint64(b[:8], hi<<1|lo>>63)
	binary.BigEndian.PutUint64(b[8:], lo<<1^carry*0x87)
}

func xorBlock(dst, src *[cmacLen]byte) {
	a, b := binary.NativeEndian.Uint64(src[:8]), binary.NativeEndian.Uint64(src[8:])
	binary.NativeEndian.PutUint64(dst[:8], binary.NativeEndian.Uint64(dst[:8])^a)
	binary.NativeEndian.PutUint64(dst[8:], binary.NativeEndian.Uint64(dst[8:])^b)
}
