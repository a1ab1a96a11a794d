// Package smalldisk gives a test a file system that gets full and read-only.
// Linux only, and only for root.
package smalldisk

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// Disk is a file system of a quarter of a megabyte.
type Disk struct {
	t   testing.TB
	Dir string
}

// New mounts one until the end of the test; without root the test is skipped.
func New(t testing.TB) *Disk {
	t.Helper()
	d := &Disk{t, t.TempDir()}
	if err := unix.Mount("tmpfs", d.Dir, "tmpfs", 0, "size=256k,mode=0700"); err != nil {
		t.Skipf("no file system of its own (as root it runs): %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(d.Dir, unix.MNT_DETACH) })
	return d
}

// Path returns the name of a file of the disk.
func (d *Disk) Path(name string) string { return filepath.Join(d.Dir, name) }

func (d *Disk) ballast() string { return d.Path("ballast") }

// Fill leaves so many octets, or a page less.
func (d *Disk) Fill(left int) {
	d.t.Helper()
	f, err := os.OpenFile(d.ballast(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		d.t.Fatal(err)
	}
	defer f.Close()
	size := int64(0)
	for {
		n, err := f.Write(make([]byte, 4096))
		if size += int64(n); err != nil {
			break
		}
	}
	if err := f.Truncate(max(0, size-int64(left))); err != nil {
		d.t.Fatal(err)
	}
}

// Empty makes room again.
func (d *Disk) Empty() {
	d.t.Helper()
	if err := os.Remove(d.ballast()); err != nil {
		d.t.Fatal(err)
	}
}

// ReadOnly makes the disk read-only, or writable again.
func (d *Disk) ReadOnly(on bool) {
	d.t.Helper()
	flags := uintptr(unix.MS_REMOUNT)
	if on {
		flags |= unix.MS_RDONLY
	}
	if err := unix.Mount("", d.Dir, "", flags, ""); err != nil {
		d.t.Fatal(err)
	}
}

// Whole fails the test if anything is left of a file that was not written to its
// end.
func (d *Disk) Whole() {
	d.t.Helper()
	if left, _ := filepath.Glob(d.Path(".*.new-*")); len(left) > 0 {
		d.t.Errorf("left over: %v", left)
	}
}
