package statedir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// CheckDir looks whether the directory at path can hold what the daemon
// writes: it is one that this user can write to, or that can be made, and
// nobody else but root owns it or can change what is in it. It makes nothing.
func CheckDir(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return checkParent(path)
	case err != nil:
		return fmt.Errorf("directory %s: %w", path, err)
	case !info.IsDir():
		return fmt.Errorf("%s is not a directory", path)
	}
	if err := owned(path, info); err != nil {
		return err
	}
	switch err := unix.Access(path, unix.W_OK|unix.X_OK); {
	case errors.Is(err, unix.EROFS):
		return fmt.Errorf("directory %s: %w", path, ErrReadOnly)
	case err != nil:
		return fmt.Errorf("directory %s cannot be written by this user (%d): chown it, or choose another by --state-dir or --run-dir",
			path, os.Geteuid())
	}
	return nil
}

// ErrReadOnly is of a directory that is there and cannot be written. A start
// that has nothing to write there needs no more.
var ErrReadOnly = errors.New("its file system is read-only; mount it read-write (mount -o remount,rw), or choose another directory")

// Started reports whether an earlier start left its marker in a directory.
func Started(path string) bool {
	_, err := os.Stat(filepath.Join(path, markerName))
	return err == nil
}

// checkParent looks whether a directory can be made.
func checkParent(path string) error {
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if errors.Is(err, fs.ErrNotExist) && dir != filepath.Dir(dir) {
			continue
		}
		if err != nil {
			return fmt.Errorf("directory %s: %w", path, err)
		}
		if !info.IsDir() || unix.Access(dir, unix.W_OK|unix.X_OK) != nil {
			return fmt.Errorf("directory %s is not there and this user (%d) cannot make it: make it, or choose another by --state-dir or --run-dir",
				path, os.Geteuid())
		}
		return nil
	}
}

// user is whom the daemon becomes once it has started as root, 0 for nobody.
var user atomic.Int64

// BelongsTo says that directories may also belong to the user with this number,
// whom the daemon becomes.
func BelongsTo(uid int) { user.Store(int64(uid)) }

// owned refuses a directory that somebody else could plant files in.
func owned(path string, info fs.FileInfo) error {
	mode := info.Mode()
	if mode.Perm()&0o022 != 0 {
		return fmt.Errorf("directory %s can be written by others (mode %04o): they could plant secrets there; chmod go-w it, or choose another",
			path, mode.Perm())
	}
	if s, ok := info.Sys().(*syscall.Stat_t); ok && s.Uid != 0 && int(s.Uid) != os.Geteuid() && int64(s.Uid) != user.Load() {
		return fmt.Errorf("directory %s belongs to user %d, not to this one (%d) or root: it could plant secrets there; chown it, or choose another",
			path, s.Uid, os.Geteuid())
	}
	return nil
}

// MakeDir makes a directory where it is not there.
func MakeDir(path string, mode fs.FileMode) error {
	if err := CheckDir(path); err != nil {
		if errors.Is(err, ErrReadOnly) && Started(path) {
			return nil
		}
		return err
	}
	if err := os.MkdirAll(path, mode); err != nil {
		return fmt.Errorf("directory %s: %w: make it, or choose another by --state-dir or --run-dir", path, err)
	}
	return nil
}
