package aead

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"
)

var allIDs = []ID{AESSIVCMAC256, AESSIVCMAC384, AESSIVCMAC512, AES128GCMSIV}

// pattern is n octets that differ by seed.
func pattern(n int, seed byte) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i)*7 + seed
	}
	return p
}

// newKey is an expanded key made of pattern.
func newKey(t testing.TB, id ID, seed byte) *Key {
	t.Helper()
	k := new(Key)
	if err := k.Init(id, pattern(id.KeyLen(), seed)); err != nil {
		t.Fatal(err)
	}
	return k
}

// eachID runs a test for every algorithm, both ways.
func eachID(t *testing.T, test func(t *testing.T, id ID)) {
	bothPaths(t, func(t *testing.T) {
		for _, id := range allIDs {
			t.Run(id.String(), func(t *testing.T) { test(t, id) })
		}
	})
}

func TestRegistry(t *testing.T) {
	for _, c := range []struct {
		id            ID
		name          string
		key, nonce, n int
	}{
		{15, "AEAD_AES_SIV_CMAC_256", 32, 16, 16},
		{16, "AEAD_AES_SIV_CMAC_384", 48, 16, 16},
		{17, "AEAD_AES_SIV_CMAC_512", 64, 16, 16},
		{30, "AEAD_AES_128_GCM_SIV", 16, 12, 16},
		{0, "AEAD(0)", 0, 0, 0},
		{31, "AEAD(31)", 0, 0, 0},
	} {
		if got := c.id.String(); got != c.name {
			t.Errorf("String of %d = %q, want %q", uint16(c.id), got, c.name)
		}
		if Supported(c.id) != (c.key > 0) || c.id.KeyLen() != c.key ||
			c.id.NonceLen() != c.nonce || c.id.TagLen() != c.n {
			t.Errorf("%v: supported %v, lengths %d %d %d, want %d %d %d", c.id, Supported(c.id),
				c.id.KeyLen(), c.id.NonceLen(), c.id.TagLen(), c.key, c.nonce, c.n)
		}
	}
}

func TestInitRefuses(t *testing.T) {
	for _, id := range allIDs {
		for n := range 70 {
			k := newKey(t, AESSIVCMAC256, 1)
			err := k.Init(id, make([]byte, n))
			if n == id.KeyLen() {
				if err != nil {
					t.Errorf("%v with %d octets: %v", id, n, err)
				}
				continue
			}
			if !errors.Is(err, ErrKeyLen) || *k != (Key{}) {
				t.Errorf("%v with %d octets: %v, or not cleared", id, n, err)
			}
		}
	}
	k := newKey(t, AESSIVCMAC256, 1)
	if err := k.Init(1, make([]byte, 16)); !errors.Is(err, ErrAlgorithm) || *k != (Key{}) {
		t.Errorf("algorithm 1: %v, or not cleared", err)
	}
}

func TestNotInitialised(t *testing.T) {
	eachID(t, func(t *testing.T, id ID) {
		k := newKey(t, id, 1)
		sealed := k.Seal(nil, pattern(12, 2), nil, nil)
		k.Clear()
		if *k != (Key{}) {
			t.Error("Clear leaves something")
		}
		if _, err := k.Open(nil, pattern(12, 2), sealed, nil); !errors.Is(err, ErrAuthentication) {
			t.Errorf("Open: %v", err)
		}
		mustPanic(t, func() { k.Seal(nil, pattern(12, 2), nil, nil) })
	})
}

func mustPanic(t *testing.T, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	f()
}

// TestInitAgain expands every key over one of every algorithm.
func TestInitAgain(t *testing.T) {
	eachID(t, func(t *testing.T, id ID) {
		want := newKey(t, id, 1).Seal(nil, pattern(12, 2), pattern(50, 3), pattern(70, 4))
		for _, before := range allIDs {
			k := newKey(t, before, 9)
			if err := k.Init(id, pattern(id.KeyLen(), 1)); err != nil {
				t.Fatal(err)
			}
			if got := k.Seal(nil, pattern(12, 2), pattern(50, 3), pattern(70, 4)); !bytes.Equal(got, want) {
				t.Errorf("after %v: %x, want %x", before, got, want)
			}
			if k.ID() != id {
				t.Errorf("ID = %v", k.ID())
			}
		}
	})
}

func TestRedacted(t *testing.T) {
	k := newKey(t, AESSIVCMAC256, 1)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d", "%q"} {
		for _, v := range []any{k, *k, struct{ K *Key }{k}.K, []Key{*k}[0]} {
			if got := fmt.Sprintf(verb, v); got != redacted {
				t.Errorf("%s of %T = %q", verb, v, got)
			}
		}
	}
	if k.String() != redacted || k.GoString() != redacted {
		t.Error("String or GoString tells something")
	}
}

func TestAppends(t *testing.T) {
	eachID(t, func(t *testing.T, id ID) {
		k := newKey(t, id, 1)
		nonce, plaintext, ad := pattern(12, 2), pattern(37, 3), pattern(21, 4)
		sealed := k.Seal(nil, nonce, plaintext, ad)
		if len(sealed) != len(plaintext)+TagLen {
			t.Fatalf("%d octets sealed", len(sealed))
		}
		for _, room := range []int{0, 10, 37, 52, 53, 100} {
			dst := append(make([]byte, 0, 5+room), "first"...)
			got := k.Seal(dst, nonce, plaintext, ad)
			if !bytes.Equal(got, append([]byte("first"), sealed...)) {
				t.Errorf("Seal with room for %d: %x", room, got)
			}
			got, err := k.Open(dst, nonce, sealed, ad)
			if err != nil || !bytes.Equal(got, append([]byte("first"), plaintext...)) {
				t.Errorf("Open with room for %d: %x, %v", room, got, err)
			}
		}
	})
}

// TestOverlap seals and opens with the output anywhere around the input, and
// seals over associated data and nonce too.
func TestOverlap(t *testing.T) {
	const length, middle = 300, 400
	eachID(t, func(t *testing.T, id ID) {
		k := newKey(t, id, 1)
		nonce, plaintext, ad := pattern(12, 2), pattern(length, 3), pattern(21, 4)
		sealed := k.Seal(nil, nonce, plaintext, ad)
		for _, shift := range []int{-200, -129, -128, -17, -16, -15, -1, 0, 1, 15, 16, 17, 127, 128, 200} {
			buf := make([]byte, 3*middle)
			in, dst := buf[middle:middle+length], buf[:middle+shift]
			copy(in, plaintext)
			if got := k.Seal(dst, nonce, in, ad)[len(dst):]; !bytes.Equal(got, sealed) {
				t.Errorf("Seal at %d differs", shift)
			}
			in = buf[middle : middle+len(sealed)]
			copy(in, sealed)
			if got, err := k.Open(dst, nonce, in, ad); err != nil || !bytes.Equal(got[len(dst):], plaintext) {
				t.Errorf("Open at %d differs: %v", shift, err)
			}
		}
		buf := append(append(make([]byte, 0, 600), ad...), nonce...)
		if got := k.Seal(buf[:0], buf[21:33], plaintext, buf[:21]); !bytes.Equal(got, sealed) {
			t.Error("Seal over associated data and nonce differs")
		}
	})
}

// TestLengths compares both ways of calculating at all lengths around those of
// one, two and three turns of eight blocks.
func TestLengths(t *testing.T) {
	for _, id := range allIDs {
		t.Run(id.String(), func(t *testing.T) {
			nonce, all := pattern(12, 2), pattern(400, 3)
			for n := range all {
				for _, m := range []int{0, 1, 15, 16, 17, 64, 79, 80, n} {
					for _, lengths := range [][2]int{{n, m}, {m, n}} {
						plaintext, ad := all[:lengths[0]], all[:lengths[1]]
						var want []byte
						generic(func() { want = newKey(t, id, 1).Seal(nil, nonce, plaintext, ad) })
						k := newKey(t, id, 1)
						if got := k.Seal(nil, nonce, plaintext, ad); !bytes.Equal(got, want) {
							t.Fatalf("Seal with lengths %d differs", lengths)
						}
						if got, err := k.Open(nil, nonce, want, ad); err != nil || !bytes.Equal(got, plaintext) {
							t.Fatalf("Open with lengths %d differs: %v", lengths, err)
						}
					}
				}
			}
		})
	}
}

// TestRefusal changes everything that can be changed, and looks for plaintext
// that is left behind.
func TestRefusal(t *testing.T) {
	eachID(t, func(t *testing.T, id ID) {
		k, other := newKey(t, id, 1), newKey(t, id, 2)
		nonce, plaintext, ad := pattern(12, 2), bytes.Repeat([]byte{0xff}, 40), pattern(33, 4)
		sealed := k.Seal(nil, nonce, plaintext, ad)
		refuse := func(what string, k *Key, nonce, sealed, ad []byte) {
			t.Helper()
			dst := make([]byte, 3, 200)
			got, err := k.Open(dst, nonce, sealed, ad)
			if got != nil || !errors.Is(err, ErrAuthentication) {
				t.Errorf("%s: %x, %v", what, got, err)
			}
			if room := dst[3:cap(dst)]; !bytes.Equal(room, make([]byte, len(room))) {
				t.Errorf("%s: %x is left behind", what, room)
			}
		}
		refuse("other key", other, nonce, sealed, ad)
		for i, part := range [][]byte{nonce, sealed, ad} {
			for bit := range len(part) * 8 {
				part[bit/8] ^= 1 << (bit % 8)
				refuse(fmt.Sprintf("part %d, bit %d", i, bit), k, nonce, sealed, ad)
				part[bit/8] ^= 1 << (bit % 8)
			}
			for n := range len(part) {
				cut := [][]byte{nonce, sealed, ad}
				cut[i] = part[:n]
				refuse(fmt.Sprintf("part %d of %d octets", i, n), k, cut[0], cut[1], cut[2])
			}
		}
		refuse("longer nonce", k, append(nonce, 0), sealed, ad)
		refuse("longer message", k, nonce, append(sealed, 0), ad)
		refuse("longer data", k, nonce, sealed, append(ad, 0))
		if _, err := k.Open(nil, nonce, sealed, ad); err != nil {
			t.Errorf("unchanged: %v", err)
		}
	})
}

// TestConcurrent is for the race detector.
func TestConcurrent(t *testing.T) {
	eachID(t, func(t *testing.T, id ID) {
		k := newKey(t, id, 1)
		want := k.Seal(nil, pattern(12, 2), pattern(50, 3), nil)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 50 {
					if got := k.Seal(nil, pattern(12, 2), pattern(50, 3), nil); !bytes.Equal(got, want) {
						t.Error("Seal differs")
					}
					if _, err := k.Open(nil, pattern(12, 2), want, nil); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
	})
}
