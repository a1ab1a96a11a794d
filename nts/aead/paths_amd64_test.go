//go:build !purego

package aead

import "testing"

// generic runs f with crypto/aes.
func generic(f func()) {
	defer func(was bool) { assembly = was }(assembly)
	assembly = false
	f()
}

// bothPaths runs a test with the assembly, if this processor has what it
// takes, and with crypto/aes.
func bothPaths(t *testing.T, test func(t *testing.T)) {
	if assembly {
		t.Run("assembly", test)
	}
	generic(func() { t.Run("generic", test) })
}

// TestNoAllocations covers what a server does with the keys of one packet.
func TestNoAllocations(t *testing.T) {
	if !assembly {
		t.Log("this processor has no AES-NI; crypto/aes allocates")
		return
	}
	for _, id := range allIDs {
		for _, n := range []int{0, 8, 16, 104, 1000} {
			key, nonce, ad := pattern(id.KeyLen(), 1), pattern(id.NonceLen(), 2), pattern(188, 3)
			plaintext, dst := pattern(n, 4), make([]byte, 0, n+TagLen)
			var k Key
			allocs := testing.AllocsPerRun(100, func() {
				_ = k.Init(id, key)
				sealed := k.Seal(dst, nonce, plaintext, ad)
				_ = k.Init(id, key)
				if _, err := k.Open(sealed[:0], nonce, sealed, ad); err != nil {
					t.Fatal(err)
				}
			})
			if allocs != 0 {
				t.Errorf("%v with %d octets: %v allocations", id, n, allocs)
			}
		}
	}
}
