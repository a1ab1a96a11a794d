package statedir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Modes of files: of those that only their owner may read, and of those that
// everybody may.
const (
	Secret fs.FileMode = 0o600
	Public fs.FileMode = 0o644
)

// temporaryMark is what the names of temporary files have between the name of
// the file and a number.
const temporaryMark = ".new-"

// Write makes or replaces the file at path, so that it appears whole or not at
// all, also after a power cut: temporary file, fsync, rename, fsync of the
// directory. The mode is exact, whatever the umask.
func Write(path string, content []byte, mode fs.FileMode) (err error) {
	dir := filepath.Dir(path)
	tmp, err := os.CreateTemp(dir, "."+filepath.Base(path)+temporaryMark+"*")
	if err != nil {
		return writeError(path, err)
	}
	defer func() {
		if err != nil {
			_ = tmp.Close()
			_ = os.Remove(tmp.Name())
			err = writeError(path, err)
		}
	}()
	if err = tmp.Chmod(mode); err != nil {
		return err
	}
	if err = keepOwner(tmp, path); err != nil {
		return err
	}
	if _, err = tmp.Write(content); err != nil {
		return err
	}
	if err = tmp.Sync(); err != nil {
		return err
	}
	if err = tmp.Close(); err != nil {
		return err
	}
	if err = os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

// writeError says what to do about a file that could not be written; what was
// there before is there still.
func writeError(path string, err error) error {
	if remedy := Remedy(err); remedy != "" {
		return fmt.Errorf("write %s: %w; %s", path, err, remedy)
	}
	return fmt.Errorf("write %s: %w", path, err)
}

// Remedy says what to do about an error of writing, empty for one that speaks
// for itself.
func Remedy(err error) string {
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return "make room on the file system (df -h, df -i)"
	case errors.Is(err, syscall.EDQUOT):
		return "the user's quota is used up: raise it, or make room"
	case errors.Is(err, syscall.EROFS):
		return "the file system is read-only: mount it read-write (mount -o remount,rw), or choose another directory"
	case errors.Is(err, fs.ErrPermission):
		return "let the daemon's user write to the directory (chown), or choose another one"
	case errors.Is(err, fs.ErrNotExist):
		return "make the directory"
	}
	return ""
}

// keepOwner gives a file that root writes to whom the file before it belongs
// to, or the directory: the daemon has given up root and has to read it.
func keepOwner(f *os.File, path string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(path)
	if err != nil {
		if info, err = os.Stat(filepath.Dir(path)); err != nil {
			return err
		}
	}
	if s, ok := info.Sys().(*syscall.Stat_t); ok && s.Uid != 0 {
		return f.Chown(int(s.Uid), int(s.Gid))
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
