//go:build !purego

package aead

import "testing"

// bothPaths runs a test with the assembly, if this processor has what it
// takes, and with crypto/aes.
func bothPaths(t *testing.T, test func(t *testing.T)) {
	if assembly {
		t.Run("assembly", test)
		assembly = false
		defer func() { assembly = true }()
	}
	t.Run("generic", test)
}
