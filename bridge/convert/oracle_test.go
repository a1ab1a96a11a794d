package convert

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ntsbridge/bridge/convert/ntpconf"
	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/syntax"
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
func ours(r *syntax.Parsed) oracle {
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
			got, want := ours(ntpconf.Parse(name, data, syntax.NoFiles)), readOracle(string(text))
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

// keptSource is an association as ntpd itself wrote it down.
type keptSource struct {
	word, address string
	options       map[string]string
}

func keptSources(kept []string) (list []keptSource) {
	for _, line := range kept {
		words := strings.Fields(line)
		switch words[0] {
		case "server", "pool", "peer", "broadcast", "manycastclient":
		default:
			continue
		}
		k := keptSource{word: words[0], options: map[string]string{}}
		rest := words[1:]
		if strings.HasPrefix(rest[0], "-4") || strings.HasPrefix(rest[0], "-6") {
			rest = rest[1:]
		}
		k.address = rest[0]
		for i := 1; i < len(rest); i++ {
			k.options[rest[i]] = ""
			switch rest[i] {
			case "key", "minpoll", "maxpoll", "version", "ttl", "mode", "ident":
				k.options[rest[i]] = rest[i+1]
				i++
			}
		}
		list = append(list, k)
	}
	return list
}

func (k keptSource) number(name string, other int) int {
	if n, err := strconv.Atoi(k.options[name]); err == nil {
		return n
	}
	return other
}

// is reports whether an association of the output is what ntpd kept.
func (k keptSource) is(a association) bool {
	_, prefer := k.options["prefer"]
	_, noSelect := k.options["noselect"]
	pps := strings.HasPrefix(k.address, "127.127.22.") // as preferred as what numbers its seconds
	if a.NoSelect != noSelect || a.Prefer != (prefer && !noSelect) && !pps {
		return false
	}
	if strings.HasPrefix(k.address, "127.127.") {
		driver, unit, _ := strings.Cut(k.address[len("127.127."):], ".")
		want := map[string]string{"28": "shm " + unit, "22": "pps /dev/pps" + unit, "20": "shm", "46": "shm"}[driver]
		return want != "" && strings.HasPrefix(a.Mode+" "+a.Server, want)
	}
	maxPoll := k.number("maxpoll", 10)
	if maxPoll == 0 {
		maxPoll = 10
	}
	maxPoll = max(maxPoll, 3)
	minPoll := min(k.number("minpoll", 6), 17, maxPoll)
	mode := map[string]string{"server": "client", "pool": "pool", "peer": "peer"}[k.word]
	auth, key := "none", 0
	if _, ok := k.options["autokey"]; ok {
		auth = "autokey"
	} else if k.number("key", 0) != 0 {
		auth, key = "symmetric", k.number("key", 0)
	}
	if mode == "peer" && auth == "none" {
		mode = "client" // reported as dangerous
	}
	_, iburst := k.options["iburst"]
	return a.Server == k.address && a.Mode == mode && a.Auth == auth && a.Key == key && a.MinPoll == minPoll && a.MaxPoll == maxPoll &&
		a.IBurst == iburst
}

// TestSourcesKept compares the sources that ntpd kept of each file with those
// of the output: each is there with its authentication, intervals and choice,
// or the report says why it is not.
func TestSourcesKept(t *testing.T) {
	answers, err := filepath.Glob("testdata/ntp.conf/oracle/*.txt")
	if err != nil || len(answers) == 0 {
		t.Fatal("no oracle files")
	}
	if dir := os.Getenv(corpusVariable); dir != "" {
		more, _ := filepath.Glob(filepath.Join(dir, "oracle", "*.txt"))
		answers = append(answers, more...)
	}
	kept, same, left := 0, 0, 0
	for _, answer := range answers {
		name := strings.TrimSuffix(filepath.Base(answer), ".txt") + ".conf"
		data, err := os.ReadFile(filepath.Join(filepath.Dir(answer), "..", name))
		if err != nil {
			data, err = os.ReadFile(filepath.Join(filepath.Dir(answer), "../synthetic", name))
		}
		said, err2 := os.ReadFile(answer)
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		res := Convert(Input{Name: name, Data: data}, Options{Dialect: "ntp", PasswordFile: "/pw", Decide: running})
		if res.Output == nil {
			continue
		}
		seen := make(map[string]bool)
		associations := associationsOf(res.Config)
		written := make([]bool, len(associations))
		for _, k := range keptSources(readOracle(string(said)).kept) {
			if strings.HasPrefix(k.address, "127.127.1.") {
				continue
			}
			if kept++; seen[k.address] && slices.Contains(codes(res.Report, report.Folded), "duplicate-source") {
				left++ // ntpd refuses it when it runs
				continue
			}
			seen[k.address] = true
			i := slices.IndexFunc(associations, k.is)
			switch {
			case i >= 0 && (!written[i] || k.word == "pool"):
				written[i] = true
				same++
			case k.word == "broadcast" && strings.Contains(string(res.Output), strconv.Quote(k.address)):
				same++
			case slices.ContainsFunc(res.Report.Sources.LeftOut, func(l report.LeftOut) bool {
				return l.Source == k.address &&
					l.Why != ""
			}):
				left++
			case slices.Contains(codes(res.Report, report.Folded), "unpeered"):
				left++
			default:
				t.Errorf("%s: %s %s %v is neither in the output nor left out", name, k.word, k.address, k.options)
			}
		}
		for i, a := range associations {
			if !written[i] && a.Mode != "shm" {
				t.Errorf("%s: %+v is in the output, and ntpd did not keep it", name, a)
			}
		}
	}
	t.Logf("%d sources that ntpd kept: %d in the output, %d left out and reported", kept, same, left)
}
