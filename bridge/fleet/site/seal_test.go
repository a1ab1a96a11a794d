package site

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What one gateway seals to another, that one opens, and nobody else: not for
// another gateway, generation or sender, nor changed.
func TestSeal(t *testing.T) {
	dir := t.TempDir()
	a, err := LoadKey(dir, true)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := LoadKey(dir, false); err != nil || !again.Equal(a) {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(dir, KeyFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatal(info, err)
	}
	b, _ := LoadKey(t.TempDir(), true)
	c, _ := LoadKey(t.TempDir(), true)
	toB, err := ParseKey(PublicKey(b.PublicKey()))
	if err != nil || !toB.Equal(b.PublicKey()) {
		t.Fatal(err)
	}
	box, err := seal(a, toB, "context", []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	if text, err := unseal(b, a.PublicKey(), "context", box); err != nil || string(text) != "secret" {
		t.Fatal(string(text), err)
	}
	if again, _ := seal(a, toB, "context", []byte("secret")); bytes.Equal(again, box) {
		t.Error("two boxes are the same")
	}
	if _, err := unseal(b, a.PublicKey(), "other", box); err == nil {
		t.Error("opened in another context")
	}
	if _, err := unseal(b, c.PublicKey(), "context", box); err == nil {
		t.Error("opened as from another sender")
	}
	if _, err := unseal(c, a.PublicKey(), "context", box); err == nil {
		t.Error("opened by another gateway")
	}
	for i := range box {
		bad := bytes.Clone(box)
		bad[i] ^= 1
		if _, err := unseal(b, a.PublicKey(), "context", bad); err == nil {
			t.Fatalf("octet %d is not protected", i)
		}
		if _, err := unseal(b, a.PublicKey(), "context", box[:i]); err == nil {
			t.Fatalf("%d octets are enough", i)
		}
	}
	for _, bad := range []string{"", "x", strings.Repeat("A", 44), PublicKey(b.PublicKey())[1:]} {
		if _, err := ParseKey(bad); err == nil {
			t.Errorf("%q is a key", bad)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, KeyFile), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadKey(dir, true); err == nil {
		t.Error("a broken key was made anew")
	}
}

func FuzzParseKey(f *testing.F) {
	f.Add("A7Vq3HkF3m1L3k3cO3Vq3HkF3m1L3k3cO3Vq3HkF3m1L")
	f.Fuzz(func(t *testing.T, s string) {
		if k, err := ParseKey(s); err == nil && len(PublicKey(k)) != 44 {
			t.Error(s)
		}
	})
}
