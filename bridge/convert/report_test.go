package convert

import (
	"bytes"
	"encoding/json"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"ntsbridge/bridge/convert/report"
)

func jsonText(t *testing.T, v any) string {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestReportForPrograms keeps the report's form: programs read it.
func TestReportForPrograms(t *testing.T) {
	in := Input{Name: "site.conf", Data: []byte(site), Files: siteFiles}
	summary := report.NewSummary()
	for _, decide := range []func(report.Question) Lost{nil, running} {
		res := Convert(in, Options{PasswordFile: "/p", Decide: decide})
		if decide == nil {
			golden(t, "site.blocked.report.json", jsonText(t, res.Report))
		} else {
			golden(t, "site.report.json", jsonText(t, res.Report))
		}
		summary.Add(res.Report, "out.yaml")
	}
	summary.Add(Convert(Input{Name: "junk", Data: []byte("[Time]\nNTP=a\n")}, Options{}).Report, "")
	summary.Finish()
	golden(t, "summary.json", jsonText(t, summary))
	var b strings.Builder
	if err := summary.WriteText(&b, false); err != nil {
		t.Fatal(err)
	}
	golden(t, "summary.txt", b.String())
}

// TestColour wants the same text with and without colours, and no escape
// sequence of a hostile file in either.
func TestColour(t *testing.T) {
	in := Input{Name: "x\x1b[2J\nclock: {mode: local}.conf",
		Data: []byte("server a\x1b[31mb.example.org\n# \x1b]0;title\x07\nrestrict default ignore\nbogus\x9b31m\n")}
	res := Convert(in, Options{Dialect: "ntp"})
	var plain, coloured strings.Builder
	if res.Report.WriteText(&plain, false) != nil || res.Report.WriteText(&coloured, true) != nil {
		t.Fatal("not written")
	}
	if strings.Contains(plain.String(), "\x1b") || strings.Contains(string(res.Output), "\x1b") ||
		strings.Contains(plain.String(), "\u009b") {
		t.Errorf("%q", plain.String())
	}
	stripped := coloured.String()
	for _, style := range []string{report.StyleRed, report.StyleYellow, report.StyleGreen, report.StyleDim, report.StyleBold,
		report.StyleEnd} {
		stripped = strings.ReplaceAll(stripped, style, "")
	}
	if stripped != plain.String() || stripped == coloured.String() {
		t.Errorf("colours change the text:\n%q", coloured.String())
	}
}

// TestSummaryFirst wants a report that begins with its verdict and goes on
// with the gravest.
func TestSummaryFirst(t *testing.T) {
	in := Input{Name: "site.conf", Data: []byte(site), Files: siteFiles}
	got := text(t, Convert(in, Options{PasswordFile: "/p", Decide: running}).Report)
	at := -1
	for _, part := range []string{"site.conf\n  lossy:", "\nError\n", "\nDangerous\n", "\nApproximated\n", "\nChanged\n", "\nObsolete\n",
		"\nFolded\n", "\nEvery line\n"} {
		i := strings.Index(got, part)
		if i <= at {
			t.Errorf("%q is at %d, want after %d", part, i, at)
		}
		at = i
	}
}

// TestLossyIsNoSuccess wants the word for every class that is a loss.
func TestLossyIsNoSuccess(t *testing.T) {
	base := "restrict default noquery\n" + follow1
	for conf, want := range map[string]report.Outcome{
		base:                                report.Clean,
		base + "statistics loopstats\n":     report.Noted,
		base + "tinker freq 3\n":            report.Noted,
		base + "manycastserver 224.0.1.1\n": report.Lossy,
		base + "tinker panic 0\n":           report.Lossy,
		base + "bogus\n":                    report.Lossy,
		base + "server a kye 5\n":           report.Blocked,
		"{{ template }}\n":                  report.Rejected,
	} {
		res := Convert(Input{Name: "x", Data: []byte(conf)}, Options{DaemonOptions: "-g"})
		if got := res.Report.Outcome(); got != want || (got == report.Blocked || got == report.Rejected) != (res.Output == nil) {
			t.Errorf("%q: %s with %d octets, want %s", conf, got, len(res.Output), want)
		}
	}
}

// parseINI reads the form of systemd's configurations (systemd.syntax(7)):
// sections, assignments, and comments on lines of their own.
func parseINI(t *testing.T, data string) map[string]string {
	t.Helper()
	found := make(map[string]string)
	section := ""
	for i, line := range strings.Split(data, "\n") {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#' || line[0] == ';':
		case strings.HasSuffix(line, "\\"):
			t.Errorf("line %d goes on: %q", i+1, line)
		case line[0] == '[' && strings.HasSuffix(line, "]"):
			section = line[1 : len(line)-1]
		default:
			key, value, ok := strings.Cut(line, "=")
			if _, twice := found[section+"."+key]; !ok || section == "" || twice {
				t.Errorf("line %d: %q", i+1, line)
			}
			found[section+"."+key] = value
		}
	}
	return found
}

// TestTimesyncd reads what is written for systemd-timesyncd by the rules of
// timesyncd.conf(5).
func TestTimesyncd(t *testing.T) {
	for _, name := range corpusFiles(t) {
		in := readInput(t, name)
		res := Convert(in, Options{Decide: running, Client: &ClientOptions{Format: "timesyncd",
			Gateways: []string{"gw1.example.org", "gw2.example.org"}}})
		if res.Output == nil {
			continue
		}
		if !res.Report.Has(report.Dangerous) {
			t.Errorf("%s: nothing is said of the missing authentication", name)
		}
		ini := parseINI(t, string(res.Output))
		low, high := ini["Time.PollIntervalMinSec"], ini["Time.PollIntervalMaxSec"]
		if ini["Time.NTP"] != "gw1.example.org gw2.example.org" || ini["Time.FallbackNTP"] != "" || len(ini) != 4 ||
			atoi(low) < 16 || atoi(high) < 32 || atoi(low) > atoi(high) {
			t.Errorf("%s: %v", name, ini)
		}
	}
	authenticated := Input{Name: "x", Data: []byte(ntpKeysUse + "server a key 5\n"), Files: mappingFiles}
	client := &ClientOptions{Format: "timesyncd", Gateways: []string{"gw"}}
	if res := Convert(authenticated, Options{Dialect: "ntp", Client: client}); res.Output != nil || len(res.Report.Questions) != 1 {
		t.Error("authentication is dropped without a question")
	}
}

// TestMemory converts what is made to cost much, which ends, and bounds what it
// makes the process hold: what a result has, once the collector ran, and what the
// heap ever had. The latter never shrinks, so it has what other tests had before,
// and on a busy machine what the collector had not come to: the proof of 20000
// rules, for which the server's reader reads them all again, takes up to 600 MiB
// for a result of 40.
func TestMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds: it runs without -short, in make unit")
	}
	for name, data := range hostileInputs() {
		files := fstest.MapFS{"self": {Data: data}}
		res := Convert(Input{Name: "x", Data: data, Files: files}, Options{Dialect: "ntp"})
		var held runtime.MemStats
		runtime.GC()
		if runtime.ReadMemStats(&held); held.HeapAlloc > 96<<20 {
			t.Errorf("%s: the result holds %d MiB for %d octets", name, held.HeapAlloc>>20, len(data))
		}
		if held.HeapSys > 768<<20 { // with the proof, for which the server's reader reads it all again
			t.Errorf("%s: the heap grew to %d MiB for %d octets", name, held.HeapSys>>20, len(data))
		}
		t.Logf("%-18s %8d octets: heap of %d MiB, %d in use", name, len(data), held.HeapSys>>20, held.HeapInuse>>20)
		runtime.KeepAlive(res)
	}
}

func atoi(s string) (n int) {
	for _, c := range s {
		if c < '0' || c > '9' {
			return -1
		}
		n = 10*n + int(c-'0')
	}
	return n
}

// TestNamedTraps wants a test for each trap that the converter promises to
// find, by its code.
func TestNamedTraps(t *testing.T) {
	var tested []string
	for _, m := range slices.Concat(ntpMappings, chronyMappings, ntpsecMappings) {
		tested = append(tested, m.code)
	}
	for _, c := range trapCases {
		tested = append(tested, c.want)
	}
	for trap, code := range map[string]string{
		"Autokey without ident": "autokey-no-ident", "group that cannot verify": "autokey-group",
		"group is missing": "autokey-group-missing", "MD5 keys": "weak-key",
		"trusted but absent": "trusted-absent", "notrust": "notrust", "mode 6 open": "queries-open", "IPv6 open": "ipv6-open",
		"LOCAL prefer": "local-prefer", "LOCAL stratum": "local-stratum", "LOCAL alone": "local-only", "unknown refclock": "dead-source",
		"driver not offered": "refclock", "line lost": "line-lost", "words lost": "words-lost", "trusted but unused": "trusted-unused",
	} {
		if !slices.Contains(tested, code) {
			t.Errorf("no test of the trap %s (%s)", trap, code)
		}
	}
}
