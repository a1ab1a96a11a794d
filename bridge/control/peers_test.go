package control

import (
	"os"
	"testing"
)

// requirePeers returns the directory of the real programs. Without it, or
// without root, it skips the test; where nothing may be skipped, it fails.
func requirePeers(t *testing.T) string {
	t.Helper()
	peers := os.Getenv("NTSBRIDGE_PEERS")
	if peers != "" && os.Getuid() == 0 {
		return peers
	}
	const why = "needs root, and NTSBRIDGE_PEERS to be the directory of the installed peers"
	if os.Getenv("NTSBRIDGE_REQUIRE_INTEROP") == "1" {
		t.Fatal(why)
	}
	t.Skip(why)
	return ""
}
