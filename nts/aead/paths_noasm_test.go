//go:build !amd64 || purego

package aead

import "testing"

// generic runs f with crypto/aes, the only way here.
func generic(f func()) { f() }

// bothPaths runs a test the only way there is.
func bothPaths(t *testing.T, test func(t *testing.T)) { t.Run("generic", test) }
