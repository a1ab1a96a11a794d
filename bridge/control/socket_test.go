package control

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// The socket is never wider open than it is to be, whatever the umask: not even
// for the moment between its making and a change of its mode.
func TestSocketMode(t *testing.T) {
	for _, mask := range []int{0, 0o077} {
		path := filepath.Join(t.TempDir(), "s")
		old := unix.Umask(mask)
		l, err := listenUnix(path, socketMode)
		unix.Umask(old)
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Lstat(path)
		if err != nil || info.Mode().Perm() != socketMode {
			t.Errorf("umask %03o: mode %v, %v", mask, info.Mode(), err)
		}
		l.Close()
	}
}
