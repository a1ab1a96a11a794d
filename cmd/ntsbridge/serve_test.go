package main

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestServeScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Files: []string{"testdata/serve.txt", "testdata/serve_ident.txt", "testdata/commands.txt", "testdata/keys.txt"},
		Cmds:  map[string]func(*testscript.TestScript, bool, []string){"waitfor": waitFor},
	})
}

// waitFor waits until a file is there.
func waitFor(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: waitfor FILE")
	}
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(ts.MkAbs(args[0])); err == nil {
			return
		}
	}
	ts.Fatalf("%s did not appear", args[0])
}

// TestHangup sends SIGHUP to a running server: a good configuration is taken,
// a bad one refused as a whole, and it serves on.
func TestHangup(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "ntsbridge") // by this name the test binary is the program
	test, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(test, program); err != nil {
		t.Fatal(err)
	}
	const good = "server: {listen: [\"127.0.0.1:40125\"], workers: 1}\nclock: {mode: local}\nnts: {enabled: false}\n"
	file := filepath.Join(dir, "site.yaml")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(good)
	cmd := exec.Command(program, "serve", "-c", file, "--state-dir", dir, "--run-dir", dir)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	watchdog := time.AfterFunc(30*time.Second, func() { cmd.Process.Kill() })
	defer watchdog.Stop()
	log := bufio.NewScanner(stderr)
	expect := func(text string) {
		t.Helper()
		for log.Scan() {
			if strings.Contains(log.Text(), text) {
				return
			}
		}
		t.Fatalf("%q was not logged", text)
	}
	hangup := func() {
		t.Helper()
		if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	expect("serving")
	hangup()
	expect("reloaded")
	write("server: {listne: []}\n")
	hangup()
	expect("reload refused, everything goes on as before")
	write(good)
	hangup()
	expect("reloaded")
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	expect("stopping")
	if err := cmd.Wait(); err != nil {
		t.Errorf("stopped with %v", err)
	}
}

// A SIGHUP that comes while the configuration is read, long before anything is
// served, is a reload like any other.
func TestHangupDuringStart(t *testing.T) {
	dir := t.TempDir()
	program, err := filepath.Abs(filepath.Join(dir, "ntsbridge"))
	if err != nil {
		t.Fatal(err)
	}
	test, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	fifo, file := filepath.Join(dir, "site.yaml"), filepath.Join(dir, "next.yaml")
	const text = "server: {listen: [\"127.0.0.1:40126\"], workers: 1}\nclock: {mode: local}\nnts: {enabled: false}\n"
	if err := errors.Join(os.Symlink(test, program), syscall.Mkfifo(fifo, 0o644), os.WriteFile(file, []byte(text), 0o644)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "serve", "-c", fifo, "--state-dir", dir, "--run-dir", dir)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	watchdog := time.AfterFunc(30*time.Second, func() { cmd.Process.Kill() })
	defer watchdog.Stop()
	w, err := os.OpenFile(fifo, os.O_WRONLY, 0) // returns when it is read
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(cmd.Process.Signal(syscall.SIGHUP), os.Rename(file, fifo)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.WriteString(text); err != nil {
		t.Fatal(err)
	}
	w.Close()
	var served bool
	for log := bufio.NewScanner(stderr); log.Scan(); {
		served = served || strings.Contains(log.Text(), "serving")
		if strings.Contains(log.Text(), "reloaded") {
			if !served {
				t.Error("reloaded before it served")
			}
			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err != nil || !served {
		t.Errorf("served %v, ended with %v", served, err)
	}
}
