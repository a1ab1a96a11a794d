package aead

import (
	"bytes"
	"testing"

	"golang.org/x/sys/unix"
)

// guarded returns a page between two that must not be touched.
func guarded(t *testing.T) []byte {
	t.Helper()
	size := unix.Getpagesize()
	all, err := unix.Mmap(-1, 0, 3*size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Munmap(all) })
	for _, at := range []int{0, 2 * size} {
		if err := unix.Mprotect(all[at:at+size], unix.PROT_NONE); err != nil {
			t.Fatal(err)
		}
	}
	return all[size : 2*size : 2*size]
}

// TestBounds lays every argument against the end and against the start of its
// page: a read or write beyond them ends the test with a fault.
func TestBounds(t *testing.T) {
	pages := make([][]byte, 5)
	for i := range pages {
		pages[i] = guarded(t)
	}
	for _, atEnd := range []bool{true, false} {
		place := func(i int, content []byte) []byte {
			p := pages[i][:len(content):len(content)]
			if atEnd {
				p = pages[i][len(pages[i])-len(content):]
			}
			copy(p, content)
			return p
		}
		eachID(t, func(t *testing.T, id ID) {
			want := newKey(t, id, 1)
			for n := range 150 {
				var k Key
				if err := k.Init(id, place(0, pattern(id.KeyLen(), 1))); err != nil {
					t.Fatal(err)
				}
				nonce := place(1, pattern(id.NonceLen(), 2))
				plaintext, ad := place(2, pattern(n, 3)), place(3, pattern(n, 4))
				sealed := k.Seal(place(4, make([]byte, n+TagLen))[:0], nonce, plaintext, ad)
				if !bytes.Equal(sealed, want.Seal(nil, nonce, plaintext, ad)) {
					t.Fatalf("%d octets: Seal differs", n)
				}
				clear(plaintext)
				if _, err := k.Open(plaintext[:0], nonce, sealed, ad); err != nil || !bytes.Equal(plaintext, pattern(n, 3)) {
					t.Fatalf("%d octets: Open differs: %v", n, err)
				}
			}
		})
	}
}
