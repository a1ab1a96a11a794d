package statedir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"ntsbridge/bridge/needs"
)

func open(t *testing.T, dir string, previous *Store) *Store {
	t.Helper()
	s, err := Open(dir, previous)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// counted is a file of value whose contents tell which making it was.
func counted(path string, n *int) File {
	return File{Path: path, What: "seed", Mode: Secret, Loss: "clients are lost",
		Make: func() ([]byte, error) { *n++; return []byte{'0' + byte(*n), '\n'}, nil }}
}

func load(t *testing.T, s *Store, f File) (string, bool) {
	t.Helper()
	content, made, err := s.Load(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(content), made
}

func commit(t *testing.T, s *Store) {
	t.Helper()
	if err := s.Commit(); err != nil {
		t.Fatal(err)
	}
}

func TestFirstStart(t *testing.T) {
	dir, n := t.TempDir(), 0
	f := counted(filepath.Join(dir, "seed"), &n)
	// A check makes the file in memory only.
	if got, made := load(t, open(t, dir, nil), f); got != "1\n" || !made {
		t.Errorf("%q, made %v", got, made)
	}
	if list, _ := os.ReadDir(dir); len(list) != 0 {
		t.Fatalf("written without Commit: %v", list)
	}
	s := open(t, dir, nil)
	load(t, s, f)
	commit(t, s)
	for _, path := range []string{f.Path, s.Marker()} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != Secret {
			t.Errorf("%s: %v, %v", path, info, err)
		}
	}
	if got, made := load(t, open(t, dir, nil), f); got != "2\n" || made {
		t.Errorf("after a restart %q, made %v", got, made)
	}
}

// What an earlier start had is never made anew in silence; what is new is.
func TestLost(t *testing.T) {
	dir, n := t.TempDir(), 0
	seed, other := counted(filepath.Join(dir, "seed"), &n), counted(filepath.Join(dir, "other"), &n)
	running := open(t, dir, nil)
	load(t, running, seed)
	commit(t, running)
	if err := os.Remove(seed.Path); err != nil {
		t.Fatal(err)
	}
	var lost *LostError
	if _, _, err := open(t, dir, nil).Load(seed); !errors.As(err, &lost) {
		t.Fatalf("a restart: %v", err)
	}
	for _, part := range []string{seed.Path, "restore it", running.Marker(), "clients are lost"} {
		if !strings.Contains(lost.Error(), part) {
			t.Errorf("%q is not in %q", part, lost)
		}
	}
	// A reload has it in memory.
	reload := open(t, dir, running)
	if got, made := load(t, reload, seed); got != "1\n" || made || len(reload.Notices()) != 1 {
		t.Errorf("%q, made %v, %q", got, made, reload.Notices())
	}
	if got, made := load(t, reload, other); got != "2\n" || !made {
		t.Errorf("a file that is new: %q, made %v", got, made)
	}
	commit(t, reload)
	if got, _ := load(t, open(t, dir, nil), seed); got != "1\n" {
		t.Errorf("written back as %q", got)
	}
	// The remedy works.
	if err := os.Remove(seed.Path); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(running.Marker())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(running.Marker(), []byte(strings.ReplaceAll(string(text), seed.Path+"\n", "")), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, made := load(t, open(t, dir, nil), seed); got != "3\n" || !made {
		t.Errorf("after the line was deleted: %q, made %v", got, made)
	}
}

// What a writer that was killed left is removed at the next start; files of
// others are not.
func TestTemporaryFilesAreRemoved(t *testing.T) {
	dir, elsewhere, n := t.TempDir(), t.TempDir(), 0
	left := []string{filepath.Join(dir, ".nts.key.new-123"), filepath.Join(elsewhere, ".seed.new-9")}
	kept := []string{filepath.Join(dir, ".hidden"), filepath.Join(dir, "a.new-1"), filepath.Join(dir, ".x.new-y"),
		filepath.Join(elsewhere, ".theirs.new-9")}
	for _, path := range append(left, kept...) {
		if err := os.WriteFile(path, []byte("secret"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, dir, nil)
	load(t, s, counted(filepath.Join(elsewhere, "seed"), &n))
	commit(t, s)
	for _, path := range left {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is still there", path)
		}
	}
	for _, path := range kept {
		if _, err := os.Stat(path); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestWrite(t *testing.T) {
	old := syscall.Umask(0o077) // must not matter
	defer syscall.Umask(old)
	path := filepath.Join(t.TempDir(), "f")
	for _, content := range []string{"one", "two"} {
		if err := Write(path, []byte(content), Public); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if got, _ := os.ReadFile(path); err != nil || string(got) != content || info.Mode().Perm() != Public {
			t.Errorf("%q %v %v", got, info, err)
		}
	}
	if err := Write(filepath.Join(path, "x"), nil, Public); err == nil {
		t.Error("written below a file")
	}
	if list, _ := os.ReadDir(filepath.Dir(path)); len(list) != 1 {
		t.Errorf("left over: %v", list)
	}
}

func TestReadSecret(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadSecret(path); string(got) != "x" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadSecret(path); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Error(err)
	}
}

func TestCheckDir(t *testing.T) {
	top := t.TempDir()
	dir := func(name string, mode fs.FileMode, uid int) string {
		path := filepath.Join(top, name)
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if uid != 0 {
			needs.Root(t, "make files another's")
			if err := os.Chown(path, uid, -1); err != nil {
				t.Fatal(err)
			}
		}
		return path
	}
	file := filepath.Join(top, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, path, want string }{
		{"good", dir("good", 0o755, 0), ""},
		{"to be made", filepath.Join(top, "a", "b"), ""},
		{"a file", file, "not a directory"},
		{"below a file", filepath.Join(file, "x"), "not a directory"},
		{"for everybody", dir("open", 0o777, 0), "chmod go-w"},
		{"sticky", dir("sticky", 0o777|fs.ModeSticky, 0), "chmod go-w"},
		{"for a group", dir("group", 0o770, 0), "chmod go-w"},
		{"somebody else's", dir("theirs", 0o755, 12345), "belongs to user 12345"},
	} {
		err := CheckDir(c.path)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	if err := MakeDir(filepath.Join(top, "a", "b"), 0o700); err != nil {
		t.Error(err)
	}
}
