//go:build linux

package load

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// treeCPU returns the CPU time of a process and of all that it started, which
// still run: chronyd establishes keys in a helper, a process of its own.
func treeCPU(pid int) (time.Duration, error) {
	total, err := readCPU(pid)
	if err != nil {
		return 0, err
	}
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return 0, fmt.Errorf("CPU time of process %d: %w", pid, err)
	}
	for _, t := range tasks {
		// A task that ended meanwhile has no children.
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", pid, t.Name()))
		for _, word := range strings.Fields(string(text)) {
			child, err := strconv.Atoi(word)
			if err != nil {
				return 0, err
			}
			if c, err := treeCPU(child); err == nil {
				total += c
			}
		}
	}
	return total, nil
}
