package main

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestServiceManager is a service manager: it is told when the daemon serves,
// reloads, lives and stops, and a refused reload is a failure.
func TestServiceManager(t *testing.T) {
	dir := t.TempDir()
	program, file := filepath.Join(dir, "ntsbridge"), filepath.Join(dir, "site.yaml")
	test, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	const text = "server: {listen: [\"127.0.0.1:40127\"], workers: 2}\nclock: {mode: local}\nnts: {enabled: false}\n"
	if err := errors.Join(os.Symlink(test, program), os.WriteFile(file, []byte(text), 0o644)); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "notify")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	cmd := exec.Command(program, "serve", "-c", file, "--state-dir", dir, "--run-dir", dir)
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+socket, "WATCHDOG_USEC=900000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	expect := func(want string) string {
		t.Helper()
		manager.SetReadDeadline(time.Now().Add(30 * time.Second))
		for buf := make([]byte, 4096); ; {
			n, err := manager.Read(buf)
			if err != nil {
				t.Fatalf("not told %s: %v", want, err)
			}
			if said := string(buf[:n]); strings.HasPrefix(said, want) {
				return said
			}
		}
	}
	told := expect("READY=1")
	if !strings.Contains(told, "STATUS=serving 1 addresses, stratum ") {
		t.Errorf("told %q", told)
	}
	asked(t, "127.0.0.1:40127")
	expect("WATCHDOG=1")
	if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if told := expect("RELOADING=1"); !strings.Contains(told, "\nMONOTONIC_USEC=") {
		t.Errorf("told %q", told)
	}
	expect("READY=1")
	reload := func() (string, error) {
		out, err := exec.Command(program, "reload", "--run-dir", dir).CombinedOutput()
		return string(out), err
	}
	if out, err := reload(); err != nil || out != "reloaded\n" {
		t.Errorf("reload: %q, %v", out, err)
	}
	expect("RELOADING=1")
	expect("READY=1")
	if err := os.WriteFile(file, []byte("server: {listne: []}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := reload(); err == nil || !strings.Contains(out, "listne") {
		t.Errorf("a reload that is refused: %q, %v", out, err)
	}
	expect("READY=1")
	asked(t, "127.0.0.1:40127")
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	expect("STOPPING=1")
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// asked fails if a server does not answer the first request.
func asked(t *testing.T, server string) {
	t.Helper()
	c, err := net.Dial("udp", server)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	request := make([]byte, 48)
	request[0] = 0x23
	if _, err := c.Write(request); err != nil {
		t.Fatal(err)
	}
	c.SetReadDeadline(time.Now().Add(20 * time.Second))
	if _, err := c.Read(request); err != nil {
		t.Errorf("%s does not answer: %v", server, err)
	}
}
