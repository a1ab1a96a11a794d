package interop

import (
	"context"
	_ "embed"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// systemdRoot is a small system with dpkg and systemd.
const systemdRoot = "bookworm-systemd"

// bootTime is for a system that boots, tries everything and goes down.
const bootTime = 3 * time.Minute

//go:embed testdata/systemd.sh
var systemdScript string

// newSystem copies the small system, with a package of ntsbridge as /n.deb.
func newSystem(t *testing.T) (root string) {
	t.Helper()
	program, err := build()
	if err != nil {
		t.Fatal(err)
	}
	peers := RequirePeers(t)
	root = filepath.Join(t.TempDir(), "root")
	for _, args := range [][]string{
		{"cp", "-a", peers.root(systemdRoot), root},
		{"sh", filepath.Join(repository(), "configs", "packaging", "deb.sh"), program, "1.2", filepath.Join(root, "n.deb")},
	} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v: %s", args, err, out)
		}
	}
	return root
}

// The package is installed by dpkg, in a small Debian, and what it installs
// serves there, as the user that it makes.
func TestDebianInstalled(t *testing.T) {
	t.Parallel()
	root := newSystem(t)
	const script = `set -e
mount --make-rprivate /
mount -t proc proc "$0/proc"
mount -t tmpfs tmpfs "$0/dev"
mknod -m 666 "$0/dev/null" c 1 3
mknod -m 444 "$0/dev/urandom" c 1 9
ip link set lo up
chroot "$0" dpkg -i /n.deb
chroot "$0" sh -c 'sed -i s/observe/local/ /etc/ntsbridge/ntsbridge.yaml
ntsbridge check
ntsbridge serve >/log 2>&1 &
for i in 0 1 2 3 4 5 6 7 8 9; do
	ntsbridge query --samples 1 127.0.0.1 && break
	sleep 0.5
done
stat -c "user %U" /proc/$!
kill $!; wait $! || cat /log
dpkg -P ntsbridge
ls /var/lib/ntsbridge'`
	cmd := exec.Command("setpriv", "--bounding-set=-sys_time", "--inh-caps=-sys_time", "unshare", "--mount", "--net", "--pid", "--fork",
		"--kill-child", "sh", "-c", script, root)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, want := range []string{"127.0.0.1", "user ntsbridge", "cookies.secret", "stays"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if _, err := os.Stat(filepath.Join(root, "usr/sbin/ntsbridge")); err == nil {
		t.Error("the program is still there after a purge")
	}
}

// A real systemd, as process 1 of a container of its own, starts, reloads,
// watches and stops the units of the package: testdata/systemd.sh says what is
// tried. The container may not set the clock.
func TestLongSystemd(t *testing.T) {
	requireLong(t)
	if _, err := exec.LookPath("systemd-nspawn"); err != nil {
		missing(t, "no systemd-nspawn on this machine (package systemd-container)")
	}
	root := newSystem(t)
	const unit = `[Unit]
After=basic.target dbus.service
[Service]
Type=oneshot
ExecStart=/bin/sh /try.sh
ExecStopPost=/bin/systemctl poweroff --no-block
StandardOutput=file:/tried
StandardError=file:/tried
`
	wants := filepath.Join(root, "etc/systemd/system/multi-user.target.wants")
	if err := os.MkdirAll(wants, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"try.sh": systemdScript, "etc/systemd/system/try.service": unit} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../try.service", filepath.Join(wants, "try.service")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), bootTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, "systemd-nspawn", "-D", root, "--private-network", "--register=no", "--keep-unit",
		"--console=pipe", "-b",
		// To look at the clock; without the capability nobody can set it.
		"--system-call-filter=adjtimex clock_adjtime landlock_create_ruleset landlock_add_rule landlock_restrict_self")
	said, _ := cmd.CombinedOutput() // it fails for what it cannot clean up
	tried, err := os.ReadFile(filepath.Join(root, "tried"))
	if err != nil {
		t.Fatalf("it does not boot: %v\n%s", err, said)
	}
	done := map[string]bool{}
	for line := range strings.Lines(string(tried)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "ok: "); ok {
			done[name] = true
		}
	}
	for _, m := range regexp.MustCompile(`(?m)^\s*(?:is|isnt) '([^']*)'`).FindAllStringSubmatch(systemdScript, -1) {
		if !done[m[1]] {
			t.Errorf("not so: %s", m[1])
		}
	}
	if t.Failed() || testing.Verbose() {
		t.Logf("%s", tried)
	}
}
