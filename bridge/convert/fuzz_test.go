package convert

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"ntsbridge/bridge/convert/ntpconf"
	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/syntax"
)

func seedCorpus(f *testing.F) {
	files, _ := filepath.Glob("testdata/ntp.conf/5*.conf")
	more, _ := filepath.Glob("testdata/*/0[0-3]*.conf")
	for i, name := range append(files, more...) {
		if testing.Short() && i%8 != 0 {
			continue
		}
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(site))
	f.Add([]byte("includefile self\nsimulate { server = a {\n"))
}

// FuzzParse reads anything as ntpd and as ntpsec would: no panic, and all that
// is kept stands on a line that is there.
func FuzzParse(f *testing.F) {
	seedCorpus(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		read := func(string) ([]byte, error) { return data[:min(len(data), 200)], nil }
		for _, p := range []*syntax.Parsed{ntpconf.Parse("x", data, read), ntpconf.ParseNTPsec("x", data, read, anyFiles)} {
			for _, s := range p.Statements {
				if s.File >= len(p.Files) || s.Line < 1 || s.Line > len(p.Files[s.File].Lines) {
					t.Fatalf("%s at %d:%d", s.Word, s.File, s.Line)
				}
			}
		}
	})
}

// anyFiles makes directories of names that end with d.
func anyFiles(name, _ string) (string, []string) {
	if strings.HasSuffix(name, "d") {
		return name, []string{name + "/a.conf", name + "/b.conf"}
	}
	return name, nil
}

// FuzzConvert converts anything: each line is in the report once, what is
// written is accepted, and no address gets more than the report says.
func FuzzConvert(f *testing.F) {
	seedCorpus(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<14 {
			return
		}
		files := fstest.MapFS{"etc/ntp.keys": {Data: data}, "x": {Data: data[:min(len(data), 100)]}}
		// One way of converting for each input, chosen by it: all would be slow.
		var sum int
		for _, c := range data {
			sum += int(c)
		}
		opt := Options{Dialect: []string{"auto", "ntp", "ntp", "ntpsec", "chrony"}[sum%5], PasswordFile: "/p"}
		opt.Decide = []func(report.Question) Lost{nil, running, func(report.Question) Lost { return LostIntended }}[sum/5%3]
		in := Input{Name: "fuzz.conf", Data: data, Files: files}
		if sum/15%4 == 0 {
			opt.Client = &ClientOptions{Format: ClientFormats[sum/60%4], Gateways: []string{"gw"}}
			Convert(in, opt)
			return
		}
		checkResult(t, in, Convert(in, opt))
	})
}

// FuzzClient writes the clients' files for anything: all lines are of the
// program's own words, and none has what the input smuggled into it.
func FuzzClient(f *testing.F) {
	seedCorpus(f)
	f.Add([]byte("server a key 5 iburst\nserver \"b c\" minpoll 99\nkeys /etc/k\nlogfile \"/x\\ny z\"\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<13 {
			return
		}
		files := fstest.MapFS{"etc/ntp.keys": {Data: data}}
		for i, format := range ClientFormats {
			opt := Options{Dialect: []string{"auto", "ntp", "ntpsec", "chrony"}[(len(data)+i)%4], PasswordFile: "/p",
				Client: &ClientOptions{Format: format, Gateways: []string{"gw.example.net"}, Mixed: len(data)%2 == 0}}
			out := Convert(Input{Name: "fuzz.conf", Data: data, Files: files}, opt).Output
			if out != nil && !strings.Contains(string(out), "gw.example.net") {
				t.Fatalf("%s: no gateway in %q", format, out)
			}
			for line := range strings.Lines(string(out)) {
				if line = strings.TrimRight(line, "\n"); strings.ContainsFunc(line, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
					t.Fatalf("%s: %q", format, line)
				}
			}
		}
	})
}

// FuzzChrony reads anything as chronyd would.
func FuzzChrony(f *testing.F) {
	files, _ := filepath.Glob("testdata/chrony.conf/*.conf")
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(chronyDocumented))
	for _, m := range chronyMappings {
		f.Add([]byte(m.conf))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<13 {
			return
		}
		in := Input{Name: "fuzz.conf", Data: data, Files: fstest.MapFS{"etc/chrony.keys": {Data: data},
			"i": {Data: data[:min(len(data), 100)]}}}
		checkResult(t, in, Convert(in, Options{Dialect: "chrony"}))
	})
}

// hostileInputs are made to cost much.
func hostileInputs() map[string][]byte {
	many := func(line string, n int) []byte { return []byte(strings.Repeat(line, n)) }
	restricts := new(strings.Builder)
	for i := range 20000 {
		restricts.WriteString("restrict 10." + string(rune('0'+i%10)) + "." + itoa(i/250%250) + "." + itoa(i%250) +
			" mask 255.255.255.255 notrust\n")
	}
	return map[string][]byte{
		"includes itself":  many("includefile /self\n", 2000),
		"lines":            many("server a\n", 60000),
		"too many lines":   many("\n", 1<<17),
		"one line":         many("a ", 1<<20),
		"a long word":      many("a", 1<<20),
		"restrictions":     []byte(restricts.String()),
		"masks with holes": many("restrict 10.0.0.0 mask 255.0.85.85 ignore\n", 5000),
		"options":          append([]byte("server a "), many("iburst ", 100000)...),
		"syntax errors":    many("server a kye 5\n", 30000),
	}
}

func itoa(n int) string {
	if n < 10 {
		return string(rune('0' + n))
	}
	return itoa(n/10) + string(rune('0'+n%10))
}

// TestDeterministic converts the same twice.
func TestDeterministic(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds: it runs without -short, in make unit")
	}
	for _, name := range corpusFiles(t) {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var outputs []string
		for range 3 {
			res := Convert(Input{Name: name, Data: data}, Options{PasswordFile: "/p", Decide: running})
			outputs = append(outputs, string(res.Output)+text(t, res.Report))
		}
		if len(slices.Compact(outputs)) != 1 {
			t.Errorf("%s: different results", name)
		}
	}
}

// BenchmarkConvert converts the real files of testdata in turn.
func BenchmarkConvert(b *testing.B) {
	var files []Input
	for _, name := range corpusFiles(b) {
		data, err := os.ReadFile(name)
		if err != nil {
			b.Fatal(err)
		}
		files = append(files, Input{Name: name, Data: data})
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		Convert(files[i%len(files)], Options{PasswordFile: "/p"})
	}
}
