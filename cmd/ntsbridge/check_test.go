package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"ntsbridge":  func() { os.Exit(dispatch(os.Args)) },
		"ntp-keygen": func() { os.Exit(dispatch(os.Args)) },
	})
}

func TestCheckScripts(t *testing.T) {
	scripts, err := filepath.Glob("testdata/check*.txt")
	if err != nil || len(scripts) == 0 {
		t.Fatal("no scripts")
	}
	testscript.Run(t, testscript.Params{Files: scripts})
}
