package main

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ntsbridge/bridge/needs"
)

// Who may not open low ports is told which ones are taken, and why: a container
// whose root has no capability for it, and another user.
func TestHighPortsSayWhy(t *testing.T) {
	needs.Root(t, "give up a capability")
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		as   []string
		want string
	}{
		"container": {[]string{"--bounding-set=-net_bind_service", "--inh-caps=-net_bind_service"}, "CAP_NET_BIND_SERVICE"},
		"user":      {[]string{"--reuid=65534", "--regid=65534", "--clear-groups"}, "user"},
	} {
		t.Run(name, func(t *testing.T) {
			dir, err := os.MkdirTemp("", "highports")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.RemoveAll(dir) })
			program := filepath.Join(dir, "ntsbridge")
			if err := os.WriteFile(program, self, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(dir, 0o777); err != nil {
				t.Fatal(err)
			}
			args := append(append([]string{"--net", "setpriv"}, c.as...), program, "serve", "--no-clock",
				"--state-dir", filepath.Join(dir, "state"), "--run-dir", filepath.Join(dir, "run"))
			cmd := exec.Command("unshare", args...)
			cmd.Dir, cmd.Env = dir, []string{"PATH=/usr/bin:/bin:/usr/sbin:/sbin"}
			log, err := cmd.StderrPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
			for lines := bufio.NewScanner(log); lines.Scan(); {
				if line := lines.Text(); strings.Contains(line, "the ports are not those") {
					if !strings.Contains(line, "ntp=11123") || !strings.Contains(line, "nts_ke=14460") || !strings.Contains(line, c.want) {
						t.Error(line)
					}
					return
				}
			}
			t.Error("nothing is said of ports")
		})
	}
}
