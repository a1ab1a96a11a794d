//go:build !amd64 || purego

package aead

import "testing"

// bothPaths runs a test with crypto/aes, the only way here.
func bothPaths(t *testing.T, test func(t *testing.T)) { t.Run("generic", test) }
