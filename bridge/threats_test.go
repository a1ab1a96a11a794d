package bridge_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	namedTest   = regexp.MustCompile("`(Test\\w+)`(?: \\(([\\w/]+)\\))?")
	namedTarget = regexp.MustCompile("`make ([\\w-]+)`")
	testFunc    = regexp.MustCompile(`(?m)^func (Test\w+)\(`)
)

// Each promise of the threat model names what holds it: a test that is there, in
// the package that is named, or a target of the Makefile.
func TestThreatModelNamesItsTests(t *testing.T) {
	text, err := os.ReadFile("../configs/threats.md")
	if err != nil {
		t.Fatal(err)
	}
	makefile, err := os.ReadFile("../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	tests := testsOf(t)
	_, section, ok := strings.Cut(string(text), "## What is promised\n")
	section, _, _ = strings.Cut(section, "\n## ")
	rows := 0
	for line := range strings.Lines(section) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		if len(cells) != 2 || strings.HasPrefix(line, "|---") || strings.Contains(cells[0], "promise") && rows == 0 {
			continue
		}
		rows++
		named, targets := namedTest.FindAllStringSubmatch(cells[1], -1), namedTarget.FindAllStringSubmatch(cells[1], -1)
		if len(named)+len(targets) == 0 {
			t.Errorf("no test is named: %s", cells[0])
		}
		for _, m := range named {
			switch dirs := tests[m[1]]; {
			case dirs == nil:
				t.Errorf("there is no %s: %s", m[1], cells[0])
			case m[2] != "" && !slices.ContainsFunc(dirs, func(dir string) bool { return dir == m[2] || strings.HasSuffix(dir, "/"+m[2]) }):
				t.Errorf("%s is in %v, not in %s", m[1], dirs, m[2])
			}
		}
		for _, m := range targets {
			if !strings.Contains(string(makefile), "\n"+m[1]+":") {
				t.Errorf("the Makefile has no %s", m[1])
			}
		}
	}
	if !ok || rows < 10 {
		t.Fatalf("%d promises were found", rows)
	}
}

// testsOf returns the directories that have each test.
func testsOf(t *testing.T) map[string][]string {
	t.Helper()
	found := make(map[string][]string)
	err := filepath.WalkDir("..", func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() && path != ".." && strings.HasPrefix(e.Name(), ".") {
			return fs.SkipDir
		}
		if e.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		source, err := os.ReadFile(path)
		for _, m := range testFunc.FindAllStringSubmatch(string(source), -1) {
			dir, _ := filepath.Rel("..", filepath.Dir(path))
			found[m[1]] = append(found[m[1]], dir)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
