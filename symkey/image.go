package symkey

import (
	"encoding"
	"encoding/binary"
	"fmt"

	"ntsbridge/bridge/ntp/digest"
)

// The algorithms that an Image can be of.
const (
	ImageMD5 = 1 + iota
	ImageSHA1
	ImageAES128
)

// Image is a key made ready for MACs over messages of one length, for somebody
// who computes them outside of Go: a digest goes on from State over Blocks
// blocks of 64 octets of Block, in which the message has its place at At.
// AES-CMAC of a message of whole blocks needs Subkey (RFC 4493's K1) and Secret
// alone. All of it is secret.
type Image struct {
	ID        uint32
	Algorithm int
	MACLen    int // octets, whole

	State  [5]uint32 // of MD5 four, as each algorithm's words
	At     int       // octets, 0 to 63
	Blocks int       // 1 or 2
	Block  [128]byte

	Secret, Subkey [cmacLen]byte
}

// Format shows nothing of what is in it, for every verb.
func (i Image) Format(f fmt.State, _ rune) { fmt.Fprint(f, "image of a key") }

// Image returns the key made ready for messages of n octets, 16 to 48 and a
// multiple of 16. ok is false for keys of other algorithms than MD5, SHA1 and
// AES128CMAC, and for those that only some clients may use (LimitClients).
func (k *Key) Image(n int) (i Image, ok bool) {
	i = Image{ID: k.id, MACLen: k.algorithm.macLen}
	if k.strict && len(k.addresses) > 0 || n < cmacLen || n > 3*cmacLen || n%cmacLen != 0 {
		return Image{}, false
	}
	switch {
	case k.algorithm.name == "MD5":
		i.Algorithm = ImageMD5
	case k.algorithm.name == "SHA1":
		i.Algorithm = ImageSHA1
	case k.algorithm.aesKey == cmacLen:
		i.Algorithm = ImageAES128
		i.Subkey = k.cmac.k1
		copy(i.Secret[:], k.secret)
		return i, true
	default:
		return Image{}, false
	}
	return i, i.digest(k.algorithm.digest, k.secret, n)
}

// digest fills in the digest's state behind the whole blocks of a secret, and
// the rest of it with the padding behind a message of n octets (RFC 1321,
// section 3; FIPS 180-4, section 5.1).
func (i *Image) digest(d *digest.Digest, secret []byte, n int) (ok bool) {
	whole := len(secret) &^ 63
	h := d.New()
	h.Reset()
	if _, err := h.Write(secret[:whole]); err != nil {
		return false
	}
	m, ok := h.(encoding.BinaryMarshaler)
	if !ok {
		return false
	}
	state, err := m.MarshalBinary() // a name of four octets, then the words
	if err != nil || len(state) < 4+4*len(i.State) {
		return false
	}
	words := 4
	if i.Algorithm == ImageSHA1 {
		words = 5
	}
	for w := range words {
		i.State[w] = binary.BigEndian.Uint32(state[4+4*w:])
	}
	i.At = copy(i.Block[:], secret[whole:])
	i.Block[i.At+n] = 0x80
	i.Blocks = 1 + (i.At+n+8)/64
	end, bits := i.Block[64*i.Blocks-8:64*i.Blocks], uint64(8*(len(secret)+n))
	if i.Algorithm == ImageMD5 {
		binary.LittleEndian.PutUint64(end, bits)
	} else {
		binary.BigEndian.PutUint64(end, bits)
	}
	return true
}
