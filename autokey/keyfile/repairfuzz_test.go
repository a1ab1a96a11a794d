package keyfile

import (
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// FuzzRepair repairs anything: no panic; what it gives back is read, and needs
// no repair of the same kind again.
func FuzzRepair(f *testing.F) {
	for _, pattern := range []string{"testdata/keys/*/ntpkey_*key_*", "testdata/keys/*/ntpkey_*par_*",
		"testdata/sessions/*/*/ntpkey_*par_*"} {
		files, _ := filepath.Glob(pattern)
		for i, file := range files {
			data, err := os.ReadFile(file)
			if err != nil || testing.Short() && i%8 != 0 {
				continue
			}
			f.Add(data, "serverpw", i%2 == 0)
			f.Add(data, "", i%2 == 1)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, password string, group bool) {
		if len(data) > 1<<14 {
			return
		}
		opt := RepairOptions{Password: password, Group: group, Now: keysMade}
		content, done, err := Repair(rand.Reader, data, opt)
		if err != nil {
			if content != nil {
				t.Fatalf("an error with a file: %v", err)
			}
			return
		}
		if done == "" {
			t.Fatal("repaired without a word")
		}
		if _, err := ReadKey(content, password); err != nil {
			t.Fatalf("what was repaired (%s) is not read: %v", done, err)
		}
		opt.Group = false
		if _, again, err := Repair(rand.Reader, content, opt); !errors.Is(err, ErrNothingToRepair) {
			t.Fatalf("repaired (%s), and again (%q): %v", done, again, err)
		}
	})
}
