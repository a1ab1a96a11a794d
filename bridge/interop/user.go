package interop

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// userVariable names a user that every ntsbridge of the tests becomes, as a
// configuration would by user. Files of its host are then given to the group
// of nobody, so let it be nobody. In the root of other programs, which has no
// such user, it stays root.
const userVariable = "NTSBRIDGE_INTEROP_USER"

const nogroup = 65534

// Share gives what is in the host's scratch directory, and what Write puts
// there from now on, to the group of nobody, so that a daemon may read it that
// starts as root and becomes another user.
func (h *Host) Share() {
	h.t.Helper()
	h.shared = true
	for dir := h.Dir; strings.HasPrefix(dir, os.TempDir()+"/"); dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err == nil {
			err = os.Chmod(dir, info.Mode().Perm()|0o011)
		}
		if err != nil {
			h.t.Fatal(err)
		}
	}
	err := filepath.WalkDir(h.Dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) || err == nil && d.Type()&(fs.ModeSymlink|fs.ModeSocket) != 0 {
			return nil // a daemon's, that comes and goes
		}
		if err == nil {
			err = h.share(path)
		}
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
}

// share gives a file or directory of root to the group; what a daemon has made is
// its own.
func (h *Host) share(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.Sys().(*syscall.Stat_t).Uid != 0 {
		return nil
	}
	mode := info.Mode().Perm() | 0o040
	if info.IsDir() {
		mode |= 0o010
	}
	return errors.Join(os.Chown(path, -1, nogroup), os.Chmod(path, mode))
}
