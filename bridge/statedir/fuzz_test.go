package statedir

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzStore opens a directory whose marker and file say anything: a file that is
// there is loaded as it is, one that the marker has and is gone is never made
// anew, and what a start had is in the marker of the next one.
func FuzzStore(f *testing.F) {
	for _, marker := range []string{"", "# comment\n", "SEED\n", "/other\nSEED\n\n", "\x00\xff", strings.Repeat("/a\n", 100)} {
		f.Add(marker, []byte("content\n"), true)
		f.Add(marker, []byte{}, false)
	}
	f.Fuzz(func(t *testing.T, marker string, content []byte, there bool) {
		dir := t.TempDir()
		path, made := filepath.Join(dir, "seed"), 0
		marker = strings.ReplaceAll(marker, "SEED", path)
		if err := os.WriteFile(filepath.Join(dir, markerName), []byte(marker), 0o600); err != nil {
			t.Fatal(err)
		}
		if there {
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		s, err := Open(dir, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, isNew, err := s.Load(counted(path, &made))
		var lost *LostError
		switch {
		case errors.As(err, &lost):
			if there || !strings.Contains(marker, path) {
				t.Fatalf("lost: %v", err)
			}
			return
		case err != nil:
			t.Fatal(err)
		case there && (isNew || !bytes.Equal(got, content)):
			t.Fatalf("loaded %q", got)
		case !there && !isNew:
			t.Fatalf("%q from nowhere", got)
		}
		commit(t, s)
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if _, _, err := open(t, dir, nil).Load(counted(path, &made)); !errors.As(err, &lost) {
			t.Fatalf("made anew: %v", err)
		}
	})
}
