package convert

import (
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/convert/draft"
	"ntsbridge/bridge/convert/job"
	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/spell"
	"ntsbridge/bridge/convert/syntax"
)

// corpusFiles returns the names of configurations below testdata and, if
// there is one, in the corpus.
func corpusFiles(t testing.TB) (files []string) {
	t.Helper()
	dirs := []string{"testdata/ntp.conf", "testdata/chrony.conf"}
	if dir := os.Getenv(corpusVariable); dir != "" {
		dirs = append(dirs, dir, filepath.Join(filepath.Dir(dir), "chrony.conf"), filepath.Join(dir, "hostile"),
			filepath.Join(dir, "templates"))
	}
	for _, dir := range dirs {
		found, _ := filepath.Glob(filepath.Join(dir, "*.conf"))
		files = append(files, found...)
	}
	return files
}

// readInput reads a configuration of testdata.
func readInput(t testing.TB, name string) Input {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return Input{Name: name, Data: data}
}

// checkResult holds for every conversion: each line is in the report once, and
// what is written is accepted.
func checkResult(t testing.TB, in Input, res *Result) {
	t.Helper()
	seen := make(map[string]int)
	lines := syntax.SplitLines(in.Data)
	for _, r := range res.Report.Lines {
		if r.File == in.Name {
			seen[r.File]++
			if r.Line != seen[r.File] {
				t.Fatalf("%s: line %d comes as number %d", in.Name, r.Line, seen[r.File])
			}
		}
		if r.Class == report.Comment && res.Report.Dialect != "" && res.Report.Dialect != "chrony" && r.File == in.Name &&
			!spell.IsComment(lines[r.Line-1]) {
			t.Errorf("%s:%d: not accounted for: %s", r.File, r.Line, r.Text)
		}
	}
	if want := len(syntax.SplitLines(in.Data)); seen[in.Name] != want && syntax.CheckLength(in.Data) == nil {
		t.Fatalf("%s: %d lines in the report, %d in the file", in.Name, seen[in.Name], want)
	}
	everyWord(t, res)
	if res.Output == nil {
		return
	}
	c, err := config.Parse("out.yaml", "/", res.Output)
	if err != nil {
		t.Errorf("%s: not accepted: %v\n%s", in.Name, err, res.Output)
		return
	}
	if at := draft.Difference(res.Config, c); at != "" {
		t.Errorf("%s: %s differs\n%s", in.Name, at, res.Output)
	}
}

// everyWord wants a fate of each word of what was read.
func everyWord(t testing.TB, res *Result) {
	t.Helper()
	for _, r := range res.Report.Lines {
		for _, f := range r.Findings {
			if f.Code == "word-lost" && f.Do == job.NoMapping {
				t.Errorf("%s:%d: %s: %s", r.File, r.Line, r.Text, f.Text)
			}
		}
	}
}

func TestCorpusConverts(t *testing.T) {
	outcomes := make(map[report.Outcome]int)
	for i, name := range corpusFiles(t) {
		if testing.Short() && i%8 != 0 {
			continue
		}
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, decide := range []func(report.Question) Lost{nil, func(report.Question) Lost { return LostRunning },
			func(report.Question) Lost { return LostIntended }} {
			in := Input{Name: name, Data: data, Files: fstest.MapFS{}}
			res := Convert(in, Options{PasswordFile: "/pw", Decide: decide})
			checkResult(t, in, res)
			for i, format := range ClientFormats {
				if decide != nil || testing.Short() && i > 0 {
					continue
				}
				everyWord(t, Convert(in, Options{Client: &ClientOptions{Format: format, Gateways: []string{"gw"}}}))
			}
			if decide == nil {
				outcomes[res.Report.Outcome()]++
				if res.Report.Outcome() == report.Blocked || res.Report.Outcome() == report.Rejected {
					t.Log(name, res.Report.Outcome(), res.Report.Findings[:min(1, len(res.Report.Findings))], res.Report.Questions)
				}
				if a := res.Report.Access; a != nil && !a.Equal {
					t.Log(name, a.Differences[0])
				}
			}
		}
	}
	t.Log(outcomes)
}
