package material

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"ntsbridge/bridge/config"
)

// Files, directories and the word system are trusted together, and one may
// stand without a list.
func TestTrustedCertificates(t *testing.T) {
	s := newSite(t)
	s.certificate("a", now.Add(time.Hour), true, "a.example")
	s.certificate("b", now.Add(time.Hour), true, "b.example")
	if err := os.Mkdir(filepath.Join(s.dir, "dir"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(s.dir, "b.crt"), filepath.Join(s.dir, "dir", "b.crt")); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]struct {
		paths []string // below the directory
		count int      // at least so many are trusted; -1: an error
	}{
		"a.crt":           {[]string{"a.crt"}, 1},
		"[a.crt, dir]":    {[]string{"a.crt", "dir"}, 2},
		"[system, a.crt]": {[]string{"system", "a.crt"}, 1},
		"[a.crt, a.key]":  {[]string{"a.crt", "a.key"}, -1},
		"[dir, none]":     {[]string{"dir", "none"}, -1},
	} {
		cfg, err := config.Parse("x.yaml", s.dir, []byte("sources: [{server: x, auth: nts, trusted_certificates: "+text+"}]\n"))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		var paths []string
		for _, p := range want.paths {
			if p != "system" {
				p = filepath.Join(s.dir, p)
			}
			paths = append(paths, p)
		}
		got := cfg.Sources[0].TrustedCertificates
		if !slices.Equal(got, paths) {
			t.Errorf("%s: %q, want %q", text, got, paths)
		}
		settings, err := TrustedBy(got)
		if (err != nil) != (want.count < 0) {
			t.Errorf("%s: %v", text, err)
		}
		if err != nil {
			continue
		}
		//lint:ignore SA1019 the pool was made of files, not by the system's verifier
		if n := len(settings.RootCAs.Subjects()); n < want.count {
			t.Errorf("%s: %d certificates", text, n)
		}
	}
}
