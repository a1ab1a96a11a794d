package source

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"syscall"

	"ntsbridge/bridge/statedir"
)

// fileStore is a Store in files of a directory, one for each name, that only
// their owner may read.
type fileStore struct{ dir string }

// NewFileStore uses a directory, which it makes if it is missing.
func NewFileStore(dir string) (*fileStore, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	return &fileStore{dir}, nil
}

// path returns the file of a name, which may come from a configuration.
func (s *fileStore) path(name string) string {
	return filepath.Join(s.dir, url.PathEscape(name)+".nts")
}

// Load implements Store: the file is gone when it returns. A file that others
// may read or that is not ours is removed, too, and is an error: its cookies
// are no secret any more.
func (s *fileStore) Load(name string) ([]byte, error) {
	path := s.path(name)
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var data []byte
	if err == nil {
		defer f.Close()
		data, err = readSecret(f)
	}
	if removed := s.remove(path); removed != nil {
		// It would be loaded again by the next run.
		return nil, errors.Join(err, removed)
	}
	return data, err
}

// readSecret reads a file that must be its owner's secret.
func readSecret(f *os.File) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	owner, _ := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s: not a regular file", f.Name())
	case info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("%s: mode %v lets others read keys; it must be 0600", f.Name(), info.Mode().Perm())
	case owner == nil || !ours(owner.Uid, filepath.Dir(f.Name())):
		return nil, fmt.Errorf("%s: it belongs to another user", f.Name())
	}
	return io.ReadAll(io.LimitReader(f, maxSaved+1))
}

// ours tells whether a file is this user's or, at a start as root, that of the user
// whom the directory belongs to, which the daemon was before.
func ours(owner uint32, dir string) bool {
	if int(owner) == os.Geteuid() {
		return true
	}
	info, err := os.Stat(dir)
	if err != nil || os.Geteuid() != 0 {
		return false
	}
	of, _ := info.Sys().(*syscall.Stat_t)
	return of != nil && of.Uid == owner
}

func (s *fileStore) remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	dir, err := os.Open(s.dir)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// Save implements Store.
func (s *fileStore) Save(name string, state []byte) error {
	if len(state) == 0 {
		return s.remove(s.path(name))
	}
	return statedir.Write(s.path(name), state, statedir.Secret)
}
