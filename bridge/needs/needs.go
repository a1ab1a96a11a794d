// Package needs has what tests need. Of the machine that is root, a real daemon,
// a tool, a device: where one is missing the test is skipped, loudly; where
// nothing may be skipped, with NTSBRIDGE_REQUIRE_INTEROP=1 as in CI, it fails.
package needs

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

const (
	required = "NTSBRIDGE_REQUIRE_INTEROP"
	peers    = "NTSBRIDGE_PEERS"
)

// Missing ends a test for want of something, which the text names.
func Missing(t testing.TB, format string, args ...any) {
	t.Helper()
	why := fmt.Sprintf(format, args...)
	if os.Getenv(required) == "1" {
		t.Fatalf("%s=1, but %s", required, why)
	}
	// Past the test framework, which shows a skip only under -v.
	fmt.Fprintf(os.Stderr, "\n*** %s NOT RUN: %s\n*** (%s=1 makes this a failure)\n\n", t.Name(), why, required)
	t.Skip(why)
}

// Root ends a test that needs root for something.
func Root(t testing.TB, what string) {
	t.Helper()
	if os.Geteuid() != 0 {
		Missing(t, "it needs root, to %s", what)
	}
}

// Peer returns the root of a real daemon, of the folder of that name that
// bridge/interop/peers.sh makes below NTSBRIDGE_PEERS, or below .peers at the top
// of the repository.
func Peer(t testing.TB, folder string) string {
	t.Helper()
	dir := os.Getenv(peers)
	if dir == "" {
		dir = filepath.Join(repository(), ".peers")
	}
	root, err := filepath.Abs(filepath.Join(dir, folder))
	if err == nil {
		_, err = os.Stat(filepath.Join(root, ".complete"))
	}
	if err != nil {
		Missing(t, "%v: run bridge/interop/peers.sh as root (make peers)", err)
	}
	return root
}

// started is where go test runs the tests of a package: in its directory.
var started, _ = os.Getwd()

// repository returns the directory of go.mod: started, or one above it.
func repository() string {
	for dir := started; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
	}
	return started
}
