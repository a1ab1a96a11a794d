package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"ntsbridge/bridge/needs"
)

// TestAnybodyMayRead lets a user without any permission ask a daemon of the
// same host: what everybody may know is told, nothing about clients, and
// nothing is done.
func TestAnybodyMayRead(t *testing.T) {
	needs.Root(t, "be somebody else")
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "readers")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	program, runDir := filepath.Join(dir, "ntsbridge"), filepath.Join(dir, "run")
	if err := os.WriteFile(program, self, 0o755); err != nil {
		t.Fatal(err)
	}
	configuration := filepath.Join(dir, "n.yaml")
	free, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := free.LocalAddr().String()
	free.Close()
	text := "server:\n  listen: [\"" + at + "\"]\nclock:\n  mode: local\nnts:\n  enabled: false\nuser: root\n"
	if err := os.WriteFile(configuration, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	daemon := exec.Command(program, "serve", "-c", configuration, "--state-dir", filepath.Join(dir, "state"), "--run-dir", runDir)
	daemon.Stderr = log
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = daemon.Process.Signal(syscall.SIGTERM); _ = daemon.Wait() }()

	ask := func(args ...string) (string, int) {
		cmd := exec.Command(program, append(args, "--run-dir", runDir)...)
		cmd.Dir, cmd.Env = "/", []string{"PATH=/usr/bin:/bin"}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		out, err := cmd.CombinedOutput()
		if _, ok := err.(*exec.ExitError); err != nil && !ok {
			t.Fatal(err)
		}
		return string(out), cmd.ProcessState.ExitCode()
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		out, status := ask("status")
		if status == 0 {
			break
		}
		if time.Now().After(end) {
			text, _ := os.ReadFile(log.Name())
			t.Fatalf("status: %d %s\n%s", status, out, text)
		}
	}
	for _, c := range []struct {
		args, want string
		status     int
	}{
		{"tracking", "Leap status", 0},
		{"sources", "no sources are configured", 0},
		{"sources --json", "[]", 0},
		{"serverstats", "NTP packets received", 0},
		{"clients", "owner and the group", 1},
		{"clients --json", `"error":"`, 1},
		{"reload", "owner and the group", 1},
		{"summary", "owner and the group", 1},
		{"makestep", "owner and the group", 1},
		{"nonsense", "unknown", 2},
	} {
		if out, status := ask(strings.Fields(c.args)...); status != c.status || !strings.Contains(out, c.want) {
			t.Errorf("%s: status %d, %s; want %d and %q", c.args, status, out, c.status, c.want)
		}
	}
}
