package clock

import (
	"errors"
	"strings"
	"testing"
	"testing/fstest"
)

// process adds a process to a /proc.
func process(proc fstest.MapFS, pid, name, caps, arguments string) {
	proc[pid+"/status"] = &fstest.MapFile{Data: []byte("Name:\t" + name + "\nState:\tS " +
		"(sleeping)\nPid:\t" + pid + "\nCapEff:\t" + caps + "\n")}
	proc[pid+"/cmdline"] = &fstest.MapFile{Data: []byte(strings.ReplaceAll(arguments, " ", "\x00") + "\x00")}
}

const (
	allCaps = "000001ffffffffff"
	sysTime = "0000000002000400" // and CAP_NET_BIND_SERVICE, as chronyd has
	noCaps  = "0000000000000400"
)

func TestOtherDaemon(t *testing.T) {
	for _, c := range []struct {
		name, comm, caps, arguments string
		owns                        bool
	}{
		{"chronyd", "chronyd", sysTime, "/usr/sbin/chronyd -F 1", true},
		{"chronyd that only measures", "chronyd", allCaps, "/usr/sbin/chronyd -x -F 1", false},
		{"chronyd with a file of that letter", "chronyd", sysTime, "/usr/sbin/chronyd -f/etc/x.conf", true},
		{"chronyd without the privilege", "chronyd", noCaps, "/usr/sbin/chronyd", false},
		{"chronyd that prints its configuration", "chronyd", allCaps, "/usr/sbin/chronyd -p -f x.conf", false},
		{"chronyd that measures once", "chronyd", allCaps, "/usr/sbin/chronyd -Q -t 5", false},
		{"chronyd that sets once", "chronyd", allCaps, "/usr/sbin/chronyd -q", true},
		{"ntpd that prints what it read", "ntpd", allCaps, "/usr/sbin/ntpd -n -c x.conf --saveconfigquit out", false},
		{"ntpd that tells its version", "ntpd", allCaps, "/usr/sbin/ntpd --version", false},
		{"ntpd", "ntpd", sysTime, "/usr/sbin/ntpd -p /run/ntpd.pid", true},
		{"ntpd-rs", "ntp-daemon", sysTime, "/usr/bin/ntp-daemon", true},
		{"systemd-timesyncd", "systemd-timesyn", sysTime, "/lib/systemd/systemd-timesyncd", true},
		{"phc2sys", "phc2sys", allCaps, "phc2sys -s eth0 -w", true},
		{"phc2sys to another clock", "phc2sys", allCaps, "phc2sys -s CLOCK_REALTIME -c eth0 -O 0", false},
		{"phc2sys automatic", "phc2sys", allCaps, "phc2sys -a", false},
		{"phc2sys automatic with the system clock", "phc2sys", allCaps, "phc2sys -a -r", true},
		{"ptp4l", "ptp4l", allCaps, "ptp4l -i eth0", false},
		{"ptp4l with software timestamps", "ptp4l", allCaps, "ptp4l -S -i eth0", true},
		{"another program", "sshd", allCaps, "sshd -D", false},
		{"ourselves", "self", allCaps, "ntsbridge serve", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			proc := fstest.MapFS{"uptime": {}, "7/status": {Data: []byte("gone")}}
			process(proc, "1", "systemd", allCaps, "/sbin/init")
			process(proc, "812", c.comm, c.caps, c.arguments)
			err := judgeDaemons(proc, func(name string) string {
				if name == "self/ns/pid" {
					return initialNamespace
				}
				return ""
			}, 99, Kernel{Loop: true, Synchronised: true})
			var found *OtherDaemonError
			if owns := errors.As(err, &found); owns != c.owns {
				t.Fatalf("%v", err)
			}
			if c.owns && (found.PID != 812 || !strings.Contains(err.Error(), c.comm) ||
				!strings.Contains(err.Error(), "clock.mode: observe")) {
				t.Errorf("%v", err)
			}
		})
	}
}

// A process of another user namespace has no power over the clock, whatever
// capabilities it has there.
func TestOtherDaemonInANamespace(t *testing.T) {
	proc := fstest.MapFS{}
	process(proc, "812", "chronyd", allCaps, "chronyd")
	link := func(name string) string {
		return map[string]string{"self/ns/user": "user:[1]", "812/ns/user": "user:[2]", "self/ns/pid": initialNamespace}[name]
	}
	if err := judgeDaemons(proc, link, 99, Kernel{}); err != nil {
		t.Error(err)
	}
}

// The kernel's loop without an owner is a leftover, unless the owner may be
// out of sight.
func TestLoopWithoutADaemon(t *testing.T) {
	for namespace, want := range map[string]bool{initialNamespace: false, "pid:[4026532001]": true} {
		err := judgeDaemons(fstest.MapFS{}, func(string) string { return namespace }, 99, Kernel{Loop: true, Synchronised: true})
		if (err != nil) != want {
			t.Errorf("%s: %v", namespace, err)
		}
		if err := judgeDaemons(fstest.MapFS{}, func(string) string { return namespace }, 99, Kernel{Loop: true}); err != nil {
			t.Errorf("unsynchronised: %v", err)
		}
	}
}
