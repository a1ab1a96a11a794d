package interop

import (
	"errors"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// serves tells whether a command line is that of ntsbridge's daemon.
func serves(p Program, args []string) bool {
	return filepath.Base(p.Path) == "ntsbridge" && len(args) > 0 && args[0] == "serve"
}

// reloads tries a reload of a daemon that is confined, as the last thing that a
// test does with it: what a start could still read is not out of reach now.
func (d *Daemon) reloads() {
	d.Host.t.Helper()
	if d.Alive() != nil || d.Host.t.Failed() || !strings.Contains(d.Log(), " confined: ") {
		return
	}
	done := func() int { return strings.Count(d.Log(), "]  ntsbridge: reloaded") }
	before := done()
	if d.Signal(syscall.SIGHUP) != nil {
		return
	}
	err := waitFor(30*time.Second, func() error {
		switch {
		case done() > before:
			return nil
		case d.Alive() != nil:
			return permanent{errors.New("it ended")}
		case strings.Contains(d.Tail(20), "reload refused"):
			return permanent{errors.New("it is refused")}
		}
		return errors.New("nothing is said of it")
	})
	if err != nil {
		d.Host.t.Errorf("reload of %s on host %s: %v\n%s", d.name, d.Host.Name, err, d.Tail(20))
	}
}

// checkConfined fails the test of a daemon that was not confined, or to which
// the confinement refused what it wanted.
func (d *Daemon) checkConfined() {
	d.Host.t.Helper()
	log := d.Log()
	if restricted() && strings.Contains(log, " confined: ") && !strings.Contains(log, "landlock=true seccomp=true") {
		d.Host.t.Errorf("%s on host %s ran without its sandbox", d.name, d.Host.Name)
	}
	for line := range strings.Lines(log) {
		if strings.Contains(line, "operation not permitted") || strings.Contains(line, "permission denied") {
			d.Host.t.Errorf("%s on host %s is refused something: %s", d.name, d.Host.Name, strings.TrimSpace(line))
		}
	}
}

// restricted tells whether the kernel can restrict files.
func restricted() bool {
	version, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	return errno == 0 && version > 0
}
