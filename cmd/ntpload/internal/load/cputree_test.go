//go:build linux

package load

import (
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// What a server's helper uses counts as the server's.
func TestTreeCPU(t *testing.T) {
	cmd := exec.Command("sh", "-c", "(while :; do :; done) & wait")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
	}()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		all, err := treeCPU(cmd.Process.Pid)
		alone, err2 := readCPU(cmd.Process.Pid)
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		if all > alone+50*time.Millisecond {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%v with the helper, %v without", all, alone)
		}
	}
}
