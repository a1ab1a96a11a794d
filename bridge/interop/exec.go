package interop

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// execVariable is how a test binary tells the copy of itself that it starts
// to become a daemon instead of running tests.
const execVariable = "NTSBRIDGE_INTEROP_EXEC"

// execPlan is what a copy of the test binary does before it becomes Argv.
type execPlan struct {
	Root        string   // directory to chroot into; empty is none
	Dir         string   // working directory, after the chroot
	FakeClock   bool     // let calls that set the clock succeed without effect
	SetsClock   bool     // keep the right to set the machine's clock
	User        int      // number of the user and of the group to run as
	Environment []string // more variables
	Argv        []string // program and arguments, the program's path in full
}

// Main runs the tests of a package that uses hosts; TestMain must call it.
func Main(m *testing.M) {
	if plan, ok := os.LookupEnv(execVariable); ok {
		fmt.Fprintln(os.Stderr, "interop:", become(plan))
		os.Exit(127)
	}
	// The tests wait for daemons; they need no processor each. The command
	// line, read by Run, goes before this.
	if err := flag.Set("test.parallel", "8"); err != nil {
		fmt.Fprintln(os.Stderr, "interop:", err)
	}
	os.Exit(m.Run())
}

// become replaces this process; it returns only to say what went wrong.
func become(encoded string) error {
	var plan execPlan
	if err := json.Unmarshal([]byte(encoded), &plan); err != nil {
		return err
	}
	runtime.LockOSThread() // capabilities and seccomp are per thread until execve
	if plan.Root != "" {
		if err := unix.Chroot(plan.Root); err != nil {
			return fmt.Errorf("chroot %s: %w", plan.Root, err)
		}
	}
	if err := unix.Chdir(plan.Dir); err != nil {
		return fmt.Errorf("working directory %s: %w", plan.Dir, err)
	}
	if plan.FakeClock {
		if err := fakeClock(); err != nil {
			return fmt.Errorf("seccomp: %w", err)
		}
	}
	if !plan.SetsClock {
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, unix.CAP_SYS_TIME, 0, 0, 0); err != nil {
			return fmt.Errorf("drop CAP_SYS_TIME: %w", err)
		}
	}
	if plan.User != 0 {
		if err := errors.Join(syscall.Setgroups(nil), syscall.Setgid(plan.User), syscall.Setuid(plan.User)); err != nil {
			return fmt.Errorf("user %d: %w", plan.User, err)
		}
	}
	environment := []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "TZ=UTC", "TERM=vt100", "HOME=" + plan.Dir}
	environment = append(environment, plan.Environment...)
	return fmt.Errorf("%s: %w", plan.Argv[0], syscall.Exec(plan.Argv[0], plan.Argv, environment))
}

// fakeClock makes the system calls that set the clock return success and do
// nothing, for daemons that end themselves when they may not set it.
func fakeClock() error {
	calls := []uint32{
		unix.SYS_ADJTIMEX, unix.SYS_CLOCK_ADJTIME, unix.SYS_SETTIMEOFDAY, unix.SYS_CLOCK_SETTIME,
	}
	// Load the number of the call; on a match jump to the last instruction.
	filter := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}}
	for i, call := range calls {
		filter = append(filter, unix.SockFilter{
			Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: uint8(len(calls) - i), K: call,
		})
	}
	filter = append(filter,
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO}, // error number 0
	)
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	return unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)), 0, 0)
}
