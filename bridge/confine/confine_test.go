package confine

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ntsbridge/bridge/needs"

	"golang.org/x/sys/unix"

	"ntsbridge/bridge/config"
)

// childDir tells this program that it is the child that is confined.
const childDir = "NTSBRIDGE_CONFINE_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		child(dir)
		return
	}
	os.Exit(m.Run())
}

// child confines itself and prints what it then can do, one word a line.
func child(dir string) {
	say := func(what string, err error) {
		verdict := "no"
		if err == nil {
			verdict = "yes"
		}
		os.Stdout.WriteString(what + "=" + verdict + "\n")
	}
	p := Plan{User: "root", Sandbox: SandboxEnforce, Read: append(slices.Clone(systemFiles), filepath.Join(dir, "named")),
		Write: []string{filepath.Join(dir, "state")}}
	r, err := Enter(p)
	say("enter", err)
	for _, note := range r.Notes {
		os.Stdout.WriteString("note " + note + "\n")
	}
	if r.Landlock {
		os.Stdout.WriteString("landlock\n")
	}
	read := func(name string) error { _, err := os.ReadFile(filepath.Join(dir, name)); return err }
	say("named", read("named/key"))
	say("other", read("other/key"))
	say("state", os.WriteFile(filepath.Join(dir, "state/new"), nil, 0o600))
	say("rename", os.Rename(filepath.Join(dir, "state/new"), filepath.Join(dir, "state/newer")))
	say("write-named", os.WriteFile(filepath.Join(dir, "named/new"), nil, 0o600))
	say("hosts", func() error { _, err := os.ReadFile("/etc/hosts"); return err }())
	say("exec", exec.Command("/bin/true").Run())
	say("socket", func() error {
		c, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err == nil {
			err = c.Close()
		}
		return err
	}())
	say("low-port", func() error {
		c, err := net.ListenPacket("udp", "127.0.0.9:919")
		if err == nil {
			err = c.Close()
		}
		return err
	}())
	say("chroot", unix.Chroot("/"))
	say("clock", func() error {
		tx := unix.Timex{Modes: unix.ADJ_STATUS | unix.ADJ_FREQUENCY} // refused before it is looked at
		_, err := unix.Adjtimex(&tx)
		return err
	}())
	say("ptrace", func() error {
		_, _, errno := unix.Syscall(unix.SYS_PTRACE, unix.PTRACE_TRACEME, 0, 0)
		if errno != 0 {
			return errno
		}
		return nil
	}())
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		if key, value, _ := strings.Cut(line, ":"); slices.Contains([]string{"CapEff", "CapBnd", "NoNewPrivs", "Seccomp"}, key) {
			os.Stdout.WriteString(key + "=" + strings.TrimSpace(value) + "\n")
		}
	}
	// Every thread, not only this one.
	tasks, _ := filepath.Glob("/proc/self/task/*/status")
	for _, task := range tasks {
		text, err := os.ReadFile(task)
		if err == nil && !strings.Contains(string(text), "NoNewPrivs:\t1") {
			os.Stdout.WriteString("thread without\n")
		}
	}
}

func TestEnter(t *testing.T) {
	needs.Root(t, "give up what root has")
	dir := t.TempDir()
	for _, name := range []string{"named", "other", "state"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"named/key", "other/key"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	got := string(out)
	want := []string{"enter=yes", "named=yes", "state=yes", "rename=yes", "hosts=yes", "socket=yes", "low-port=yes",
		"exec=no", "chroot=no", "clock=no", "ptrace=no", "NoNewPrivs=1", "Seccomp=2",
		"CapEff=0000000000000404", "CapBnd=0000000000000404"} // DAC_READ_SEARCH, NET_BIND_SERVICE
	if strings.Contains(got, "landlock\n") {
		want = append(want, "other=no", "write-named=no")
	}
	for _, w := range want {
		if !strings.Contains(got, w+"\n") {
			t.Errorf("%s is missing", w)
		}
	}
	if strings.Contains(got, "thread without") {
		t.Error("a thread is not confined")
	}
	if t.Failed() {
		t.Log(got)
	}
}

// What the configuration names is in the plan, by the directory that a
// replaced file is in too.
func TestPlan(t *testing.T) {
	dir := t.TempDir()
	real := filepath.Join(dir, "store")
	if err := os.Mkdir(real, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(real, "ntp.keys"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(real, "ntp.keys"), filepath.Join(dir, "ntp.keys")); err != nil {
		t.Fatal(err)
	}
	cfg := config.Default()
	cfg.StateDir = "/var/lib/x"
	cfg.Keys.Files = []config.KeyFile{{Path: filepath.Join(dir, "ntp.keys")}}
	cfg.NTS.Certificates = []config.Certificate{{Cert: "/srv/a/cert.pem", Key: "/srv/b/key.pem"}}
	cfg.Clock.DriftFile = "/srv/drift/file"
	p := NewPlan(cfg, "/srv/conf/ntsbridge.yaml", false)
	for _, want := range []string{dir, real, "/srv/a", "/srv/b", "/srv/conf", "/etc"} {
		if !slices.Contains(p.Read, want) {
			t.Errorf("%s cannot be read", want)
		}
	}
	for _, want := range []string{"/var/lib/x", "/srv/drift"} {
		if !slices.Contains(p.Write, want) {
			t.Errorf("%s cannot be written", want)
		}
	}
}
