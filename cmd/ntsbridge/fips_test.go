package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// In FIPS 140-only mode nothing panics, what is not allowed is said, and the
// rest is served.
func TestFIPSScript(t *testing.T) {
	testscript.Run(t, testscript.Params{Files: []string{"testdata/fips.txt"},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"waitfor": waitFor}})
}
