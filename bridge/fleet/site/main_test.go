package site

import (
	"flag"
	"os"
	"testing"
)

// TestMain lets all tests run at once: they wait for leases, and need no CPU.
func TestMain(m *testing.M) {
	flag.Parse()
	_ = flag.Set("test.parallel", "8")
	os.Exit(m.Run())
}
