package aead

import (
	"bytes"
	"crypto/aes"
	"crypto/subtle"
	"encoding/hex"
	"testing"

	"github.com/facebook/time/ntp/protocol/nts/aessiv"
	"pgregory.net/rapid"
)

func fromHex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// sealComponents seals with any number of components. The API, and the
// assembly, have associated data and nonce, always.
func sealComponents(t *testing.T, id ID, key, plaintext []byte, components ...[]byte) (sealed []byte) {
	t.Helper()
	generic(func() {
		var k Key
		if err := k.Init(id, key); err != nil {
			t.Fatal(err)
		}
		v := portableMAC{k.mac.aes.portable, k.mac.k1, k.mac.d0}.s2v(plaintext, components...)
		sealed = append(make([]byte, TagLen), plaintext...)
		v.put(sealed)
		k.ctr.xorStream(sealed[TagLen:], plaintext, sivCounter(v))
	})
	return sealed
}

// openComponents is the reverse: decrypting, and sealing again.
func openComponents(t *testing.T, id ID, key, sealed []byte, components ...[]byte) (plaintext []byte, ok bool) {
	t.Helper()
	generic(func() {
		var k Key
		if err := k.Init(id, key); err != nil {
			t.Fatal(err)
		}
		plaintext = make([]byte, len(sealed)-TagLen)
		k.ctr.xorStream(plaintext, sealed[TagLen:], sivCounter(toNumber(sealed)))
	})
	return plaintext, bytes.Equal(sealComponents(t, id, key, plaintext, components...), sealed)
}

// TestRFC5297 has the vectors of RFC 5297, appendix A.
func TestRFC5297(t *testing.T) {
	for _, c := range []struct {
		name, key, plaintext, sealed string
		components                   []string
	}{
		{
			name:       "A.1 deterministic",
			key:        "fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
			components: []string{"101112131415161718191a1b1c1d1e1f2021222324252627"},
			plaintext:  "112233445566778899aabbccddee",
			sealed:     "85632d07c6e8f37f950acd320a2ecc9340c02b9690c4dc04daef7f6afe5c",
		},
		{
			name: "A.2 nonce-based",
			key:  "7f7e7d7c7b7a79787776757473727170404142434445464748494a4b4c4d4e4f",
			components: []string{
				"00112233445566778899aabbccddeeffdeaddadadeaddadaffeeddccbbaa99887766554433221100",
				"102030405060708090a0",
				"09f911029d74e35bd84156c5635688c0",
			},
			plaintext: "7468697320697320736f6d6520706c61696e7465787420746f20656e6372797074207573696e67205349562d414553",
			sealed:    "7bdb6e3b432667eb06f4d14bff2fbd0fcb900f2fddbe404326601965c889bf17dba77ceb094fa663b7a3f748ba8af829ea64ad544a272e9c485b62a3fd5c0d",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			var components [][]byte
			for _, s := range c.components {
				components = append(components, fromHex(t, s))
			}
			got := sealComponents(t, AESSIVCMAC256, fromHex(t, c.key), fromHex(t, c.plaintext), components...)
			if !bytes.Equal(got, fromHex(t, c.sealed)) {
				t.Errorf("seal = %x, want %s", got, c.sealed)
			}
			got, ok := openComponents(t, AESSIVCMAC256, fromHex(t, c.key), fromHex(t, c.sealed), components...)
			if !ok || !bytes.Equal(got, fromHex(t, c.plaintext)) {
				t.Errorf("open = %x, %v, want %s", got, ok, c.plaintext)
			}
		})
	}
}

// slowSIV is RFC 5297 as its pseudocode reads, octet by octet.
type slowSIV struct{ k1, k2 []byte }

func (s slowSIV) encrypt(key, in []byte) []byte {
	c, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	out := make([]byte, 16)
	c.Encrypt(out, in)
	return out
}

func slowXor(a, b []byte) []byte {
	out := make([]byte, len(a))
	subtle.XORBytes(out, a, b)
	return out
}

func slowDbl(in []byte) []byte {
	out := make([]byte, 16)
	for i := range out {
		out[i] = in[i] << 1
		if i < 15 {
			out[i] |= in[i+1] >> 7
		}
	}
	if in[0]&0x80 != 0 {
		out[15] ^= 0x87
	}
	return out
}

func slowPad(in []byte) []byte {
	out := make([]byte, 16)
	out[copy(out, in)] = 0x80
	return out
}

func (s slowSIV) cmac(p []byte) []byte {
	sub := slowDbl(s.encrypt(s.k1, make([]byte, 16)))
	x := make([]byte, 16)
	for len(p) > 16 {
		x = s.encrypt(s.k1, slowXor(x, p[:16]))
		p = p[16:]
	}
	if len(p) < 16 {
		p, sub = slowPad(p), slowDbl(sub)
	}
	return s.encrypt(s.k1, slowXor(slowXor(x, p), sub))
}

func (s slowSIV) s2v(parts ...[]byte) []byte {
	d := s.cmac(make([]byte, 16))
	last := parts[len(parts)-1]
	for _, p := range parts[:len(parts)-1] {
		d = slowXor(slowDbl(d), s.cmac(p))
	}
	if len(last) < 16 {
		return s.cmac(slowXor(slowDbl(d), slowPad(last)))
	}
	end := bytes.Clone(last)
	copy(end[len(end)-16:], slowXor(end[len(end)-16:], d))
	return s.cmac(end)
}

func (s slowSIV) seal(plaintext []byte, components ...[]byte) []byte {
	v := s.s2v(append(components, plaintext)...)
	out := bytes.Clone(v)
	q := bytes.Clone(v)
	q[8] &= 0x7f
	q[12] &= 0x7f
	for len(plaintext) > 0 {
		n := min(16, len(plaintext))
		out = append(out, slowXor(plaintext[:n], s.encrypt(s.k2, q))...)
		plaintext = plaintext[n:]
		for i := 15; i >= 0; i-- {
			q[i]++
			if q[i] != 0 {
				break
			}
		}
	}
	return out
}

// TestSIVLengths compares with the slow version at every length around the
// blocks, also for the components that only tests have.
func TestSIVLengths(t *testing.T) {
	bothPaths(t, func(t *testing.T) {
		for _, id := range sivIDs {
			k := newKey(t, id, 1)
			key := pattern(id.KeyLen(), 1)
			slow := slowSIV{key[:len(key)/2], key[len(key)/2:]}
			for n := range 70 {
				for _, parts := range [][][]byte{
					{pattern(n, 2)}, {nil, pattern(n, 2)}, {pattern(n, 2), nil}, {pattern(20, 2), pattern(n, 3), nil},
					{pattern(n, 2), pattern(69-n, 3), pattern(n, 4)}, {nil, pattern(n, 3), pattern(69-n, 4)},
					{pattern(n, 2), pattern(69-n, 3), pattern(n, 4), pattern(20, 5)},
				} {
					last := len(parts) - 1
					want := slow.seal(parts[last], parts[:last:last]...)
					got := sealComponents(t, id, key, parts[last], parts[:last]...)
					if !bytes.Equal(got, want) {
						t.Fatalf("%v, %d parts of %d: %x, want %x", id, len(parts), n, got, want)
					}
					if last != 2 {
						continue
					}
					if got := k.Seal(nil, parts[1], parts[2], parts[0]); !bytes.Equal(got, want) {
						t.Fatalf("%v, Seal of %d: %x, want %x", id, n, got, want)
					}
				}
			}
		}
	})
}

// TestSIVAgrees compares with the slow version and, for the one algorithm it
// has, with facebook/time's.
func TestSIVAgrees(t *testing.T) {
	bothPaths(t, func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			id := rapid.SampledFrom([]ID{AESSIVCMAC256, AESSIVCMAC384, AESSIVCMAC512}).Draw(t, "id")
			d := drawMessage(t, id, 40)
			key := d.key
			slow := slowSIV{key[:len(key)/2], key[len(key)/2:]}
			sealed := checkMessage(t, id, d)
			if want := slow.seal(d.plaintext, d.ad, d.nonce); !bytes.Equal(sealed, want) {
				t.Fatalf("Seal = %x, want %x", sealed, want)
			}
			if id != AESSIVCMAC256 {
				return
			}
			theirs, err := aessiv.NewAESSIV(key)
			if err != nil {
				t.Fatal(err)
			}
			got, err := theirs.Open(nil, sealed, d.ad, d.nonce)
			if err != nil || !bytes.Equal(got, d.plaintext) {
				t.Fatalf("facebook/time opens it as %x, %v", got, err)
			}
		})
	})
}
