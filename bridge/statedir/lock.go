package statedir

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Lock is held on directories for the life of a daemon. Nobody else can have
// one of them meanwhile, whatever files in them are deleted.
type Lock struct{ dirs []*os.File }

// LockDirs takes directories that are there for this process alone. The same
// one may be named twice. A file system without locks is let pass.
func LockDirs(paths ...string) (*Lock, error) {
	l := new(Lock)
	for _, path := range paths {
		if err := l.add(path); err != nil {
			l.Close()
			return nil, err
		}
	}
	return l, nil
}

func (l *Lock) add(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("directory %s: %w", path, err)
	}
	for _, other := range l.dirs {
		if same(d, other) {
			return d.Close()
		}
	}
	l.dirs = append(l.dirs, d)
	if err := unix.Flock(int(d.Fd()), unix.LOCK_EX|unix.LOCK_NB); errors.Is(err, unix.EWOULDBLOCK) {
		return fmt.Errorf("directory %s: another ntsbridge uses it; stop it, or give this one its own --run-dir and --state-dir", path)
	}
	return nil
}

func same(a, b *os.File) bool {
	x, err := a.Stat()
	if err != nil {
		return false
	}
	y, err := b.Stat()
	return err == nil && os.SameFile(x, y)
}

// Close gives the directories back. A nil lock has none.
func (l *Lock) Close() error {
	if l == nil {
		return nil
	}
	var errs []error
	for _, d := range l.dirs {
		errs = append(errs, d.Close())
	}
	l.dirs = nil
	return errors.Join(errs...)
}
