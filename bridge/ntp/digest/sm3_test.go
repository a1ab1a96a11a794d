package digest

import (
	"encoding/hex"
	"strings"
	"testing"
)

// TestSM3Vectors has GB/T 32905-2016, appendix A, and writes in pieces.
func TestSM3Vectors(t *testing.T) {
	for msg, want := range map[string]string{
		"abc":                      "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0",
		strings.Repeat("abcd", 16): "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732",
	} {
		for step := 1; step <= len(msg); step++ {
			d := newSM3()
			for rest := msg; rest != ""; {
				n := min(step, len(rest))
				d.Write([]byte(rest[:n]))
				rest = rest[n:]
			}
			if got := hex.EncodeToString(d.Sum(nil)); got != want {
				t.Errorf("SM3(%q) in steps of %d: %s, want %s", msg, step, got, want)
			}
		}
	}
}
