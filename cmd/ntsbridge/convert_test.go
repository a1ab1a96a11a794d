package main

import (
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestConvertScripts(t *testing.T) {
	scripts, err := filepath.Glob("testdata/convert*.txt")
	if err != nil || len(scripts) == 0 {
		t.Fatal("no scripts")
	}
	testscript.Run(t, testscript.Params{Files: scripts})
}
