//go:build linux

package load

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// processClock is the clock of a whole process by the scheduler's account
// (CPUCLOCK_SCHED of the kernel's posix-timers; clock_getcpuclockid(3)).
const processClock = 2

// maxPID is the largest process identifier of Linux (PID_MAX_LIMIT); larger
// ones do not fit into the number of a clock.
const maxPID = 1 << 22

// ReadCPU returns the CPU time of a process, or a thread of the kernel.
func ReadCPU(pid int) (time.Duration, error) { return readCPU(pid) }

// readCPU returns the CPU time of a process so far, all its threads and those
// that ended, in nanoseconds. The schedstat files of proc(5) would lag by up
// to a tick while a thread runs, and utime and stime of stat count ticks.
// Process 0 has used none.
func readCPU(pid int) (time.Duration, error) {
	if pid == 0 {
		return 0, nil
	}
	if pid < 0 || pid > maxPID {
		return 0, fmt.Errorf("CPU time of process %d: there is no such process", pid)
	}
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|processClock), &t); err != nil {
		return 0, fmt.Errorf("CPU time of process %d: %w", pid, err)
	}
	return time.Duration(t.Nano()), nil
}
