package keydir

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func mode(t *testing.T, path string) fs.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

func commit(t *testing.T, d *Dir, files ...File) {
	t.Helper()
	for _, f := range files {
		d.Put(f)
	}
	if _, err := d.Commit(); err != nil {
		t.Fatal(err)
	}
}

func TestCommit(t *testing.T) {
	dir := t.TempDir()
	d := New(dir)
	if err := d.Writable(); err != nil {
		t.Fatal(err)
	}
	d.Put(File{Name: "ntpkey_RSAhost_a.1", Link: "ntpkey_host_a", Content: []byte("one"), Secret: true})
	d.Put(File{Name: "ntpkey_RSA-MD5cert_a.1", Link: "ntpkey_cert_a", Content: []byte("cert")})
	if list, _ := os.ReadDir(dir); len(list) != 0 {
		t.Fatalf("written before Commit: %v", list)
	}
	written, err := d.Commit()
	if err != nil || len(written) != 2 {
		t.Fatal(written, err)
	}
	commit(t, d, File{Name: "ntpkey_RSAhost_a.2", Link: "ntpkey_host_a", Content: []byte("two"), Secret: true})
	if target := d.Target("ntpkey_host_a"); target != "ntpkey_RSAhost_a.2" {
		t.Errorf("link to %q", target)
	}
	if data, err := d.Read("ntpkey_host_a"); string(data) != "two" || err != nil {
		t.Errorf("%q, %v", data, err)
	}
	if m := mode(t, filepath.Join(dir, "ntpkey_host_a")); m != 0o600 {
		t.Errorf("private file %v", m)
	}
	if m := mode(t, filepath.Join(dir, "ntpkey_cert_a")); m != 0o644 {
		t.Errorf("certificate %v", m)
	}
	list, _ := os.ReadDir(dir)
	for _, e := range list {
		if strings.HasPrefix(e.Name(), ".") {
			t.Errorf("%s was left over", e.Name())
		}
	}
}

// Who could read the file that is replaced can read the new one; else a
// set-group-ID directory says which group may.
func TestReaders(t *testing.T) {
	group := os.Getegid()
	if os.Geteuid() == 0 {
		group = 12345
	}
	for _, c := range []struct {
		name  string
		setup func(dir string) error
		want  fs.FileMode
		gid   int
	}{
		{"nothing there", func(string) error { return nil }, 0o600, -1},
		{"set-group-ID", func(dir string) error {
			if err := os.Chown(dir, -1, group); err != nil {
				return err
			}
			return os.Chmod(dir, 0o750|fs.ModeSetgid)
		}, 0o640, group},
		{"group-readable before", func(dir string) error {
			old := filepath.Join(dir, "old")
			if err := os.WriteFile(old, nil, 0o640); err != nil {
				return err
			}
			if err := os.Chown(old, -1, group); err != nil {
				return err
			}
			return os.Symlink("old", filepath.Join(dir, "link"))
		}, 0o640, group},
		{"owner's before", func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "link"), nil, 0o600)
		}, 0o600, -1},
		{"everybody's before", func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "link"), nil, 0o644)
		}, 0o640, -1},
		{"link to nothing", func(dir string) error { return os.Symlink("gone", filepath.Join(dir, "link")) }, 0o600, -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			old := syscall.Umask(0o077) // must not matter
			defer syscall.Umask(old)
			dir := t.TempDir()
			if err := c.setup(dir); err != nil {
				t.Fatal(err)
			}
			if c.name == "group-readable before" {
				if err := os.Chmod(filepath.Join(dir, "old"), 0o640); err != nil {
					t.Fatal(err)
				}
			}
			if c.name == "everybody's before" {
				if err := os.Chmod(filepath.Join(dir, "link"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			commit(t, New(dir), File{Name: "new", Link: "link", Content: []byte("x"), Secret: true})
			info, err := os.Stat(filepath.Join(dir, "link"))
			if err != nil {
				t.Fatal(err)
			}
			if info.Mode().Perm() != c.want || c.gid >= 0 && groupOf(info) != c.gid {
				t.Errorf("mode %v, group %d; want %v, %d", info.Mode().Perm(), groupOf(info), c.want, c.gid)
			}
		})
	}
}

func TestRefuses(t *testing.T) {
	dir := t.TempDir()
	if New(filepath.Join(dir, "none")).Writable() == nil {
		t.Error("a directory that is not there is writable")
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, make([]byte, maxFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if New(file).Writable() == nil {
		t.Error("a file is a directory")
	}
	if _, err := ReadFile(file); err == nil {
		t.Error("a file too large was read")
	}
	if _, err := ReadFile(dir); err == nil {
		t.Error("a directory was read")
	}
	if err := os.Mkdir(filepath.Join(dir, "link"), 0o700); err != nil {
		t.Fatal(err)
	}
	d := New(dir)
	d.Put(File{Name: "new", Link: "link", Content: []byte("x")})
	if _, err := d.Commit(); err == nil {
		t.Error("a directory was replaced by a link")
	}
}

func TestReplace(t *testing.T) {
	dir := t.TempDir()
	real, link := filepath.Join(dir, "real"), filepath.Join(dir, "link")
	if err := os.WriteFile(real, []byte("old"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("real", link); err != nil {
		t.Fatal(err)
	}
	if err := Replace(link, []byte("new")); err != nil {
		t.Fatal(err)
	}
	if data, _ := os.ReadFile(real); string(data) != "new" || mode(t, real) != 0o640 {
		t.Errorf("%q, %v", data, mode(t, real))
	}
	if target, _ := os.Readlink(link); target != "real" {
		t.Error("the link is gone")
	}
	if err := Replace(filepath.Join(dir, "fresh"), []byte("x")); err != nil || mode(t, filepath.Join(dir, "fresh")) != 0o600 {
		t.Error("a fresh file", err)
	}
}
