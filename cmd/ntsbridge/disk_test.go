package main

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"ntsbridge/bridge/needs"

	"golang.org/x/sys/unix"
)

// smallDisk is a file system of a few megabytes, on the state directory of a
// victim, in a mount namespace of its own.
type smallDisk struct {
	*victim
	holder *exec.Cmd
}

const holdDisk = `mount --make-rprivate / && mount -t tmpfs -o size=8m,mode=0700 tmpfs "$0" && echo ready && exec cat`

// hold makes a mount namespace with what a script mounts in it, until the test
// ends.
func hold(t *testing.T, script string, args ...string) (holder *exec.Cmd, wrap []string) {
	t.Helper()
	holder = exec.Command("sh", append([]string{"-c", script}, args...)...)
	holder.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS}
	in, err := holder.StdinPipe() // it ends with us
	if err != nil {
		t.Fatal(err)
	}
	out, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		needs.Missing(t, "no mount namespace: %v", err)
	}
	t.Cleanup(func() { in.Close(); _ = holder.Wait() })
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ready\n" {
		needs.Missing(t, "nothing can be mounted: %q, %v", line, err)
	}
	return holder, []string{"nsenter", "--target", fmt.Sprint(holder.Process.Pid), "--mount"}
}

func newSmallDisk(t *testing.T) *smallDisk {
	needs.Root(t, "make a file system")
	d := &smallDisk{victim: newVictim(t, linked(t, t.TempDir()), 1)}
	if err := os.Mkdir(d.state(), 0o700); err != nil {
		t.Fatal(err)
	}
	d.holder, d.wrap = hold(t, holdDisk, d.state())
	return d
}

// path is where the test sees a file of the state directory.
func (d *smallDisk) path(name string) string {
	return filepath.Join(fmt.Sprintf("/proc/%d/root", d.holder.Process.Pid), d.state(), name)
}

// fill leaves no room.
func (d *smallDisk) fill() {
	d.t.Helper()
	f, err := os.OpenFile(d.path("ballast"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return // not even for a name
	}
	defer f.Close()
	for size := 1 << 20; size > 0; size /= 2 {
		for {
			if _, err := f.Write(make([]byte, size)); err != nil {
				break
			}
		}
	}
}

func (d *smallDisk) empty() {
	d.t.Helper()
	if err := os.Remove(d.path("ballast")); err != nil {
		d.t.Fatal(err)
	}
}

func (d *smallDisk) remount(how string) {
	d.t.Helper()
	cmd := exec.Command(d.wrap[0], append(d.wrap[1:], "mount", "-o", "remount,"+how, d.state())...)
	if out, err := cmd.CombinedOutput(); err != nil {
		d.t.Fatalf("remount: %v: %s", err, out)
	}
}

// fails runs a command that must fail, and say what to do.
func (d *smallDisk) fails(remedy string, args ...string) {
	d.t.Helper()
	out, err := d.command(args...).CombinedOutput()
	if err == nil || !strings.Contains(string(out), remedy) {
		d.t.Errorf("%v: %v, %q, want %q", args, err, out, remedy)
	}
}

func (d *smallDisk) logs(text string) {
	d.t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if strings.Contains(d.log(), text) {
			return
		}
	}
	d.t.Fatalf("%q is not logged:\n%s", text, d.log())
}

func (d *smallDisk) hangup(want string) {
	d.t.Helper()
	before := strings.Count(d.log(), want)
	if err := d.daemon.Process.Signal(syscall.SIGHUP); err != nil {
		d.t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); strings.Count(d.log(), want) == before; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			d.t.Fatalf("after SIGHUP %q is not logged:\n%s", want, d.log())
		}
	}
}

func (d *smallDisk) read(name string) []byte {
	d.t.Helper()
	text, err := os.ReadFile(d.path(name))
	if err != nil {
		d.t.Fatal(err)
	}
	return text
}

// On a disk that is full or read-only each writer says so and what to do, what
// was there stays as it was, and the daemon serves on, over reloads and restarts.
func TestDiskFullAndReadOnly(t *testing.T) {
	needs.Slow(t)
	d := newSmallDisk(t)
	const room, readOnly = "make room", "read-only"
	d.fill()
	d.fails(room, "serve") // a first start has to write
	d.empty()
	d.start()
	d.serves("a first start")
	keys := d.read("ntp.keys")
	if err := os.Remove(d.path("ntp.keys")); err != nil {
		t.Fatal(err)
	}
	d.fill()
	d.hangup("reload refused")
	d.logs(room)
	d.serves("a reload on a full disk")
	d.fails(room, "secret", "rotate")
	d.empty()
	d.hangup("reloaded") // from memory
	if !bytes.Equal(keys, d.read("ntp.keys")) {
		t.Error("ntp.keys is another one")
	}
	d.kill()
	former := []byte(hex.EncodeToString(bytes.Repeat([]byte{5}, 32)) + "\n") // which a start moves on
	if err := os.WriteFile(d.path("cookies.secret"), former, 0o600); err != nil {
		t.Fatal(err)
	}
	d.fill()
	d.start()
	d.serves("a start on a full disk")
	d.logs("is not moved on")
	if !bytes.Equal(former, d.read("cookies.secret")) {
		t.Error("the cookie secret was changed on a full disk")
	}
	d.kill()
	d.remount("ro")
	d.start()
	d.serves("a start on a read-only disk")
	d.logs(readOnly)
	d.logs("is not moved on")
	d.hangup("reloaded")
	d.serves("a reload on a read-only disk")
	d.fails(readOnly, "secret", "rotate")
	d.kill()
	d.remount("rw")
	d.empty()
	d.start()
	d.serves("a start on a good disk")
	d.logs("serving")
	if left, _ := filepath.Glob(d.path(".*.new-*")); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
	if !bytes.Equal(keys, d.read("ntp.keys")) {
		t.Error("ntp.keys is another one")
	}
	d.kill()
}
