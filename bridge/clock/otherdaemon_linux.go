package clock

import (
	"os"
)

// OtherDaemon returns an OtherDaemonError if another program owns the system
// clock: a daemon known to steer it that may, or one that is not seen from
// here but has the kernel's loop running.
func OtherDaemon() error {
	k, err := ReadKernel()
	if err != nil {
		return err
	}
	link := func(name string) string {
		to, err := os.Readlink("/proc/" + name)
		if err != nil {
			return ""
		}
		return to
	}
	return judgeDaemons(os.DirFS("/proc"), link, os.Getpid(), k)
}
