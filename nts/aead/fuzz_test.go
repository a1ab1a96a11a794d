package aead

import (
	"bytes"
	"testing"
)

// FuzzOpen opens what strangers send; and takes the same octets as a message
// of our own, which must come back, and must be refused with one bit changed.
// The two ways of calculating must agree in everything.
func FuzzOpen(f *testing.F) {
	for i, id := range allIDs {
		k := newKey(f, id, 1)
		nonce, ad := pattern(id.NonceLen(), 2), pattern(188, 3)
		f.Add(byte(i), pattern(id.KeyLen(), 1), nonce, k.Seal(nil, nonce, pattern(104, 4), ad), ad, uint16(77))
		f.Add(byte(i), pattern(id.KeyLen(), 1), nonce, k.Seal(nil, nonce, nil, ad), ad, uint16(300))
		f.Add(byte(i), pattern(id.KeyLen(), 1), []byte{}, pattern(16, 5), []byte{}, uint16(0))
		f.Add(byte(i), []byte{}, pattern(13, 6), []byte{}, ad, uint16(9))
	}
	f.Fuzz(func(t *testing.T, algorithm byte, secret, nonce, text, ad []byte, flip uint16) {
		id := allIDs[int(algorithm)%len(allIDs)]
		key := make([]byte, id.KeyLen())
		copy(key, secret)
		var k, slow Key
		if err := k.Init(id, key); err != nil {
			t.Fatal(err)
		}
		opened, err := k.Open(nil, nonce, text, ad)
		generic(func() {
			if err := slow.Init(id, key); err != nil {
				t.Fatal(err)
			}
			if p, e := slow.Open(nil, nonce, text, ad); e != err || !bytes.Equal(p, opened) {
				t.Fatalf("Open = %x, %v; generic %x, %v", opened, err, p, e)
			}
		})
		if err == nil && !bytes.Equal(k.Seal(nil, nonce, opened, ad), text) {
			t.Fatal("what opens is not what Seal makes")
		}
		if id == AES128GCMSIV {
			nonce = append(nonce, make([]byte, 12)...)[:12]
		}
		sealed := k.Seal(nil, nonce, text, ad)
		generic(func() {
			if s := slow.Seal(nil, nonce, text, ad); !bytes.Equal(s, sealed) {
				t.Fatalf("Seal = %x, generic %x", sealed, s)
			}
		})
		if p, err := k.Open(nil, nonce, sealed, ad); err != nil || !bytes.Equal(p, text) {
			t.Fatalf("Open = %x, %v, want %x", p, err, text)
		}
		parts := [][]byte{bytes.Clone(nonce), sealed, bytes.Clone(ad)}
		bit := int(flip) % (8 * (len(nonce) + len(sealed) + len(ad)))
		for _, p := range parts {
			if bit < 8*len(p) {
				p[bit/8] ^= 1 << (bit % 8)
				break
			}
			bit -= 8 * len(p)
		}
		if _, err := k.Open(nil, parts[0], parts[1], parts[2]); err != ErrAuthentication {
			t.Fatalf("a changed bit: %v", err)
		}
	})
}
