package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"
)

// checkMain runs the check command as the program does.
func checkMain() {
	cmd := &cobra.Command{Use: "ntsbridge", SilenceUsage: true, SilenceErrors: true}
	cmd.AddCommand(newCheckCommand())
	err := cmd.Execute()
	var status interface{ ExitCode() int }
	switch {
	case err == nil:
		os.Exit(0)
	case errors.As(err, &status):
		fmt.Fprintln(os.Stderr, "ntsbridge:", err)
		os.Exit(status.ExitCode())
	}
	fmt.Fprintln(os.Stderr, "ntsbridge:", err)
	os.Exit(2)
}

func TestCheckScripts(t *testing.T) {
	scripts, err := filepath.Glob("testdata/check*.txt")
	if err != nil || len(scripts) == 0 {
		t.Fatal("no scripts")
	}
	testscript.Run(t, testscript.Params{Files: scripts})
}
