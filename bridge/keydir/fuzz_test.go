package keydir

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzCommit writes files of any name: all or an error that names one, nothing
// outside the directory, and what was written is read back.
func FuzzCommit(f *testing.F) {
	for _, name := range []string{"ntpkey_RSAhost_a.1", "../b", "/etc/b", "a/b", "", ".", "..",
		"a\x00b", "ntpkey_host_ä@group", strings.Repeat("x", 300)} {
		f.Add(name, "ntpkey_host_a", []byte("one"), true)
		f.Add("ntpkey_cert_a.1", name, []byte{}, false)
	}
	f.Fuzz(func(t *testing.T, name, link string, content []byte, secret bool) {
		top := t.TempDir()
		dir := filepath.Join(top, "keys")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		d := New(dir)
		d.Put(File{Name: name, Link: link, Content: content, Secret: secret})
		written, err := d.Commit()
		if entries, _ := os.ReadDir(top); len(entries) != 1 {
			t.Fatalf("written outside: %v", entries)
		}
		if err != nil {
			return
		}
		if len(written) != 1 || link == name && link != "" {
			t.Fatalf("%d written, %q linked to %q", len(written), link, name)
		}
		if got, err := d.Read(name); len(content) <= maxFile && (err != nil || !bytes.Equal(got, content)) {
			t.Fatalf("%q: %q, %v", name, got, err)
		}
		if link != "" && d.Target(link) != name {
			t.Fatalf("%q leads to %q", link, d.Target(link))
		}
		if secret {
			info, err := os.Lstat(filepath.Join(dir, name))
			if err != nil || info.Mode().Perm()&0o007 != 0 || info.Mode()&fs.ModeType != 0 {
				t.Fatalf("%v, %v", info, err)
			}
		}
	})
}
