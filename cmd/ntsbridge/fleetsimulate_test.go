package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestFleetSimulate simulates a plan over a capture, over the inventory of a running
// daemon and over its store.
func TestFleetSimulate(t *testing.T) {
	capture := captureFrom(t, "192.0.2.7")
	const fileHeader = 24
	capture = append(capture, captureFrom(t, "192.0.2.250")[fileHeader:]...)
	testscript.Run(t, testscript.Params{Files: []string{"testdata/simulate.txt"},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"waitfor": waitFor},
		Setup: func(e *testscript.Env) error {
			return os.WriteFile(filepath.Join(e.WorkDir, "clients.pcap"), capture, 0o644)
		}})
}
