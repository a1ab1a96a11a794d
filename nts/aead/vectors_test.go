package aead

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"
)

// hexBytes is a string of hexadecimal digits in JSON.
type hexBytes []byte

func (h *hexBytes) UnmarshalJSON(text []byte) error {
	var s string
	err := json.Unmarshal(text, &s)
	if err == nil {
		*h, err = hex.DecodeString(s)
	}
	return err
}

// wycheproof is a file of Wycheproof, as far as it is used here.
type wycheproof struct {
	TestGroups []struct {
		KeySize int // bits
		Tests   []struct {
			TcID                       int `json:"tcId"`
			Comment                    string
			Key, Iv, Aad, Msg, Ct, Tag hexBytes
			Result                     string
		}
	}
}

func readWycheproof(t *testing.T, name string) (w wycheproof) {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &w); err != nil {
		t.Fatal(err)
	}
	return w
}

// sivIDs are the algorithms of AES-SIV by the bits of their keys.
var sivIDs = map[int]ID{256: AESSIVCMAC256, 384: AESSIVCMAC384, 512: AESSIVCMAC512}

// checkVector opens ciphertext, which must succeed if valid, and seals the
// plaintext again.
func checkVector(t *testing.T, id ID, key, nonce, plaintext, ciphertext, ad []byte, valid bool) {
	t.Helper()
	var k Key
	if err := k.Init(id, key); err != nil {
		t.Fatal(err)
	}
	got, err := k.Open(nil, nonce, ciphertext, ad)
	if valid != (err == nil) {
		t.Fatalf("Open: %v, valid is %v", err, valid)
	}
	if !valid {
		return
	}
	if !bytes.Equal(got, plaintext) {
		t.Errorf("Open = %x, want %x", got, plaintext)
	}
	if got := k.Seal(nil, nonce, plaintext, ad); !bytes.Equal(got, ciphertext) {
		t.Errorf("Seal = %x, want %x", got, ciphertext)
	}
}

func TestWycheproofSIV(t *testing.T) {
	bothPaths(t, func(t *testing.T) {
		count := 0
		for _, g := range readWycheproof(t, "aead_aes_siv_cmac_test.json").TestGroups {
			for _, c := range g.Tests {
				id := sivIDs[g.KeySize]
				if !Supported(id) {
					t.Fatalf("key of %d bits", g.KeySize)
				}
				checkVector(t, id, c.Key, c.Iv, c.Msg, append(c.Tag, c.Ct...), c.Aad, c.Result == "valid")
				if t.Failed() {
					t.Fatalf("in test %d, %s", c.TcID, c.Comment)
				}
				count++
			}
		}
		if count != 900 {
			t.Errorf("%d tests, want 900", count)
		}
	})
}

// TestWycheproofDeterministic has one component of associated data and no
// nonce, which is below the exported API.
func TestWycheproofDeterministic(t *testing.T) {
	count := 0
	for _, g := range readWycheproof(t, "aes_siv_cmac_test.json").TestGroups {
		for _, c := range g.Tests {
			got, ok := openComponents(t, sivIDs[g.KeySize], c.Key, c.Ct, c.Aad)
			if ok != (c.Result == "valid") {
				t.Fatalf("test %d, %s: %s, but open says %v", c.TcID, c.Comment, c.Result, ok)
			}
			if ok && !bytes.Equal(got, c.Msg) {
				t.Fatalf("test %d, %s: open = %x, want %x", c.TcID, c.Comment, got, c.Msg)
			}
			count++
		}
	}
	if count != 442 {
		t.Errorf("%d tests, want 442", count)
	}
}

func TestWycheproofGCMSIV(t *testing.T) {
	bothPaths(t, func(t *testing.T) {
		count := 0
		for _, g := range readWycheproof(t, "aes_gcm_siv_test.json").TestGroups {
			if g.KeySize != 128 {
				continue
			}
			for _, c := range g.Tests {
				checkVector(t, AES128GCMSIV, c.Key, c.Iv, c.Msg, append(c.Ct, c.Tag...), c.Aad, c.Result == "valid")
				if t.Failed() {
					t.Fatalf("in test %d, %s", c.TcID, c.Comment)
				}
				count++
			}
		}
		if count != 99 {
			t.Errorf("%d tests, want 99", count)
		}
	})
}
