package clock

import (
	"bytes"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
)

// OtherDaemonError says who else steers the system clock.
type OtherDaemonError struct {
	Name string // of the process; "" where only the kernel's status tells
	PID  int
}

// Error implements error.
func (e *OtherDaemonError) Error() string {
	if e.Name == "" {
		return "the kernel's loop steers the system clock for a program that is not seen from here (a container?): " +
			"stop that program, or set clock.mode: observe to serve the clock that it steers; " +
			"if it is stopped already, `adjtimex --status 64` as root outside of the container clears what it left behind"
	}
	return fmt.Sprintf("%s (process %d) steers the system clock: stop and disable it (systemctl disable --now, "+
		"or kill %d), or set clock.mode: observe to serve the clock that it steers", e.Name, e.PID, e.PID)
}

// daemons are the programs that steer system clocks, by the names that the
// kernel has of them (at most 15 octets), with what their arguments say about
// it; nil: they always do.
var daemons = map[string]func(arguments []string) bool{
	"chronyd":         func(a []string) bool { return !slices.ContainsFunc(a, oneOf("xQpvh")) },
	"ntpd":            func(a []string) bool { return !slices.ContainsFunc(a, printsOnly) }, // ntpd's, ntpsec's, OpenNTPD's, busybox's
	"ntpd-rs":         nil,
	"ntp-daemon":      nil, // ntpd-rs's
	"systemd-timesyn": nil,
	"phc2sys":         steersRealtime,
	"ptp4l":           func(a []string) bool { return slices.ContainsFunc(a, option('S')) },
	// software timestamps: no clock but the system's
}

// option matches an argument that has a single-letter option, alone or among a
// few others.
func option(letter byte) func(string) bool {
	return func(a string) bool {
		letters, isOption := strings.CutPrefix(a, "-")
		plain := strings.Trim(letters, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") == ""
		return isOption && plain && len(letters) < 5 && strings.IndexByte(letters, letter) >= 0
	}
}

// oneOf matches an argument that has one of some single-letter options.
func oneOf(letters string) func(string) bool {
	return func(a string) bool {
		return slices.ContainsFunc([]byte(letters), func(letter byte) bool { return option(letter)(a) })
	}
}

// printsOnly matches the long options with which ntpd prints something and
// ends.
func printsOnly(a string) bool {
	name, _, _ := strings.Cut(a, "=")
	return slices.Contains([]string{"--saveconfigquit", "--version", "--help", "--more-help"}, name)
}

// steersRealtime tells whether phc2sys steers the system clock: it does unless
// -c names another one, or -a leaves -r out.
func steersRealtime(arguments []string) bool {
	automatic, realtime := false, false
	for i, a := range arguments {
		switch {
		case strings.HasPrefix(a, "-c"):
			name := strings.TrimPrefix(a, "-c")
			if name == "" && i+1 < len(arguments) {
				name = arguments[i+1]
			}
			return name == "CLOCK_REALTIME"
		case strings.HasPrefix(a, "-a"):
			automatic, realtime = true, realtime || strings.Contains(a, "r")
		case strings.HasPrefix(a, "-r"):
			realtime = true
		}
	}
	return !automatic || realtime
}

// capSysTime is the bit of CAP_SYS_TIME, capabilities(7).
const capSysTime = 1 << 25

// readlink reads a symbolic link; "" if it may not.
type readlink func(name string) string

// findDaemon looks for a process that owns the system clock in a /proc.
func findDaemon(proc fs.FS, link readlink, self int) *OtherDaemonError {
	entries, err := fs.ReadDir(proc, ".")
	if err != nil {
		return nil
	}
	ours := link("self/ns/user")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == self {
			continue
		}
		name, may := processMay(proc, e.Name())
		if !may {
			continue
		}
		steers, known := daemons[name]
		if !known || steers != nil && !steers(arguments(proc, e.Name())) {
			continue
		}
		// Capabilities count in the process's own user namespace.
		if theirs := link(e.Name() + "/ns/user"); theirs != "" && ours != "" && theirs != ours {
			continue
		}
		return &OtherDaemonError{Name: name, PID: pid}
	}
	return nil
}

// processMay returns a process's name and whether it may set the clock.
func processMay(proc fs.FS, pid string) (name string, may bool) {
	status, err := fs.ReadFile(proc, pid+"/status")
	if err != nil {
		return "", false // gone
	}
	zombie := false
	for line := range strings.Lines(string(status)) {
		key, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch key {
		case "Name":
			name = value
		case "State":
			zombie = strings.HasPrefix(value, "Z") || strings.HasPrefix(value, "X")
		case "CapEff":
			mask, err := strconv.ParseUint(value, 16, 64)
			may = err == nil && mask&capSysTime != 0
		}
	}
	return name, may && !zombie
}

func arguments(proc fs.FS, pid string) (list []string) {
	line, err := fs.ReadFile(proc, pid+"/cmdline")
	if err != nil {
		return nil
	}
	for i, a := range bytes.Split(bytes.TrimRight(line, "\x00"), []byte{0}) {
		if i > 0 {
			list = append(list, string(a))
		}
	}
	return list
}

// initialNamespace is the inode number of the first process namespace, which
// sees all processes of a machine (PROC_PID_INIT_INO).
const initialNamespace = "pid:[4026531836]"

// judgeDaemons combines what is seen of processes with the kernel's status. A
// loop that runs while all processes are seen, and none owns it, is a leftover
// of a daemon that was stopped; inside a container its owner may be outside.
func judgeDaemons(proc fs.FS, link readlink, self int, k Kernel) error {
	if found := findDaemon(proc, link, self); found != nil {
		return found
	}
	if k.Loop && k.Synchronised && link("self/ns/pid") != initialNamespace {
		return &OtherDaemonError{}
	}
	return nil
}
