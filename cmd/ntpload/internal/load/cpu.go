//go:build linux

package load

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// readCPU returns the CPU time of all threads of a process so far, by the
// scheduler's clock (proc(5), /proc/PID/task/TID/schedstat): nanoseconds,
// where utime and stime of stat have ticks. Threads that ended are not
// counted. Process 0 has used none.
func readCPU(pid int) (time.Duration, error) {
	if pid == 0 {
		return 0, nil
	}
	dir := fmt.Sprintf("/proc/%d/task", pid)
	tasks, err := os.ReadDir(dir)
	if err != nil {
		return 0, fmt.Errorf("CPU time of process %d: %w", pid, err)
	}
	var total time.Duration
	for _, task := range tasks {
		text, err := os.ReadFile(filepath.Join(dir, task.Name(), "schedstat"))
		if err != nil {
			continue // the thread ended between the two calls
		}
		onCPU, _, _ := bytes.Cut(text, []byte(" "))
		ns, err := strconv.ParseInt(string(onCPU), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("CPU time of process %d: schedstat of thread %s: %w", pid, task.Name(), err)
		}
		total += time.Duration(ns)
	}
	return total, nil
}
