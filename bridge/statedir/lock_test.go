package statedir

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Deleting everything in a directory does not give it to a second daemon.
func TestLockDirs(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	l, err := LockDirs(dir, dir, other)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "control.sock"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "control.sock")); err != nil {
		t.Fatal(err)
	}
	for _, paths := range [][]string{{dir}, {t.TempDir(), other}} {
		if _, err := LockDirs(paths...); err == nil || !strings.Contains(err.Error(), "another ntsbridge") {
			t.Errorf("%v a second time: %v", paths, err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := LockDirs(other, dir)
	if err != nil {
		t.Fatalf("after the first one ended: %v", err)
	}
	again.Close()
	if _, err := LockDirs(filepath.Join(dir, "none")); err == nil {
		t.Error("a directory that is not there")
	}
}
