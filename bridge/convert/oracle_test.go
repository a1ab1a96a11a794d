package convert

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// corpusVariable names a directory with ntp.conf files and, in its
// subdirectory oracle, what ntpd 4.2.8p15 said about each and kept of it.
const corpusVariable = "NTSBRIDGE_CONVERT_CORPUS"

var syntaxLine = regexp.MustCompile(`^line (\d+) column (\d+) syntax error, unexpected (\S+)`)

// oracle is the content of a file of the subdirectory oracle.
type oracle struct {
	first  []string // "line:column unexpected"
	errors int      // lines with an error
	exit   string
	kept   []string
}

func readOracle(text string) oracle {
	var o oracle
	basedate := regexp.MustCompile(`basedate "[^"]*"`)
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		message, isMessage := strings.CutPrefix(line, "# ")
		switch {
		case !isMessage:
			if line != "" {
				if strings.HasPrefix(line, "tos ") {
					line = basedate.ReplaceAllString(line, "basedate *")
				}
				o.kept = append(o.kept, line)
			}
		case syntaxLine.MatchString(message):
			m := syntaxLine.FindStringSubmatch(message)
			o.first = append(o.first, m[1]+":"+m[2]+" "+strings.TrimSuffix(m[3], ","))
		case strings.HasPrefix(message, "syntax error in "):
			o.errors++
		case strings.HasPrefix(message, "exit "):
			o.exit = message
		}
	}
	return o
}

// ours returns the same of our parser.
func ours(r *Parsed) oracle {
	o := oracle{kept: saveConfig(r), exit: "exit 0"}
	for _, d := range r.Diagnostics {
		if !d.Syntax {
			continue
		}
		if !d.Repeat {
			o.first = append(o.first, formatPlace(d)+" "+strings.TrimPrefix(d.Text, "syntax error, unexpected "))
		}
		if !strings.HasSuffix(d.Text, "$end") {
			o.errors++
		}
	}
	if r.Fatal != "" {
		o.exit, o.kept = "exit 1", nil
	}
	return o
}

func TestOracle(t *testing.T) {
	dirs := []string{"testdata/ntp.conf"}
	if dir := os.Getenv(corpusVariable); dir != "" {
		dirs = append(dirs, dir)
	}
	files, agree := 0, 0
	for _, dir := range dirs {
		answers, err := filepath.Glob(filepath.Join(dir, "oracle", "*.txt"))
		if err != nil || len(answers) == 0 {
			t.Fatalf("%s: no oracle files", dir)
		}
		for _, answer := range answers {
			name := strings.TrimSuffix(filepath.Base(answer), ".txt") + ".conf"
			data, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				data, err = os.ReadFile(filepath.Join(dir, "synthetic", name))
			}
			text, err2 := os.ReadFile(answer)
			if err != nil || err2 != nil {
				t.Fatal(err, err2)
			}
			files++
			got, want := ours(ParseNTP(name, data, NoFiles)), readOracle(string(text))
			if want.errors == 0 {
				got.errors = 0 // only ntpd's first kind of message was kept
			}
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(oracle{})); diff != "" {
				t.Errorf("%s: -ntpd +ours\n%s", name, diff)
				continue
			}
			agree++
		}
	}
	t.Logf("%d of %d files agree", agree, files)
}
