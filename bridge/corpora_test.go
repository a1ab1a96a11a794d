package bridge_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var fuzzTarget = regexp.MustCompile(`(?m)^func (Fuzz[A-Za-z0-9]+)\(f \*testing\.F\)`)

// Every fuzz target begins with inputs in files, so that what an earlier run
// found interesting is tried in each test run.
func TestFuzzTargetsHaveSeeds(t *testing.T) {
	targets := 0
	err := filepath.WalkDir("..", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() && strings.HasPrefix(e.Name(), ".") && e.Name() != ".." {
			return skipHidden(err)
		}
		if e.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range fuzzTarget.FindAllSubmatch(text, -1) {
			targets++
			seeds, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "testdata", "fuzz", string(m[1]), "*"))
			if len(seeds) == 0 {
				t.Errorf("%s: %s has no inputs in testdata/fuzz", path, m[1])
			}
		}
		return nil
	})
	if err != nil || targets < 50 {
		t.Fatalf("%d targets, %v", targets, err)
	}
}

func skipHidden(err error) error {
	if err != nil {
		return err
	}
	return filepath.SkipDir
}
