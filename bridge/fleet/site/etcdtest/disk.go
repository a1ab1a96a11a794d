package etcdtest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"ntsbridge/bridge/needs"

	"golang.org/x/sys/unix"
)

// diskSize is that of a Disk, octets: etcd reserves 64 MB for each log.
const diskSize = 320 << 20

// Disk is a file system of a test's own that can be made to hang, as a disk does
// whose controller has gone.
type Disk struct {
	Dir    string
	t      testing.TB
	frozen bool
}

// NewDisk makes one, on a file in memory. It needs root and loop devices; without
// them the test is skipped, or fails where nothing may be.
func NewDisk(t testing.TB) *Disk {
	t.Helper()
	home, err := os.MkdirTemp("/dev/shm", "disk")
	if err != nil {
		home = t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(home) })
	d := &Disk{Dir: filepath.Join(home, "mounted"), t: t}
	image := filepath.Join(home, "image")
	err = errors.Join(os.Mkdir(d.Dir, 0o700), os.WriteFile(image, nil, 0o600), os.Truncate(image, diskSize))
	if err == nil {
		err = tool("mkfs.ext4", "-q", "-O", "^has_journal", image)
	}
	if err == nil {
		err = tool("mount", "-o", "loop", image, d.Dir)
	}
	if err != nil {
		needs.Missing(t, "no disk of its own: %v", err)
	}
	t.Cleanup(func() {
		d.Hang(false)
		if err := tool("umount", d.Dir); err != nil {
			t.Error(err)
		}
	})
	return d
}

func tool(name string, args ...string) error {
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, out)
	}
	return nil
}

// Requests of ioctl, of linux/fs.h: FIFREEZE and FITHAW.
const (
	freeze = 0xc0045877
	thaw   = 0xc0045878
)

// Hang lets every write hang until it is mended.
func (d *Disk) Hang(hang bool) {
	if hang == d.frozen {
		return
	}
	f, err := os.Open(d.Dir)
	if err != nil {
		d.t.Error(err)
		return
	}
	defer f.Close()
	request := uint(thaw)
	if hang {
		request = freeze
	}
	if err := unix.IoctlSetInt(int(f.Fd()), request, 0); err != nil {
		d.t.Errorf("the disk: %v", err)
		return
	}
	d.frozen = hang
}

// Slow lets each write wait for up to so long, as on a disk that has other work or
// is about to die; end mends it.
func (d *Disk) Slow(wait time.Duration) (end func()) {
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			d.Hang(true)
			select {
			case <-time.After(wait):
				d.Hang(false)
			case <-stop:
				d.Hang(false)
				return
			}
			time.Sleep(wait / 20) // some writes get through
		}
	}()
	return sync.OnceFunc(func() { close(stop); <-done })
}
