package convert

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"ntsbridge/bridge/convert/report"
)

// convertedChrony converts a chrony.conf, with what the daemon does where it lost a
// word, and returns the result and all that the report says.
func convertedChrony(t *testing.T, text string, decide func(report.Question) Lost) (*Result, string) {
	t.Helper()
	in := Input{Name: "chrony.conf", Data: []byte(text), Files: fstest.MapFS{}}
	res := Convert(in, Options{Dialect: "chrony", Decide: decide})
	checkResult(t, in, res)
	var said strings.Builder
	for _, f := range res.Report.Findings {
		said.WriteString(f.Text + "\n")
	}
	for _, r := range res.Report.Lines {
		for _, f := range r.Findings {
			said.WriteString(f.Text + "\n")
		}
	}
	return res, said.String()
}

// TestChronyStarts wants the verdict of chronyd 4.6.1 on values that are odd:
// whether it starts with them (chronyd -d -x), which is what an error says.
func TestChronyStarts(t *testing.T) {
	const refused = `allow 192.0.2.0/33
allow 192.0.2.0/-1
allow 192.0.2.0/
allow 10.
allow 10.1.2.3.4/8
allow 1.2.3.4.5
allow 300.1.1.1
allow 256
allow 1.2.3/33
allow /8
allow a/8
allow fd00::/129
allow fe80::1%eth0
cmdallow 192.0.2.0/33
cmddeny 10.1.2.3/8x
bindaddress foo
bindaddress 10.0.0.1/24
bindaddress fe80::1%eth0
bindacqaddress foo
bindcmdaddress foo
broadcast 60 foo
smoothtime 400 0.01 foo
hwtimestamp eth0 foo
hwtimestamp eth0 rxfilter foo
hwtimestamp eth0 minpoll
tempcomp /t 30
tempcomp /t 30 1 2 3
server a extfield ffff
local stratum 16
`
	const accepted = `makestep nan 3
makestep inf 3
maxslewrate nan
maxslewrate inf
maxdistance inf
combinelimit nan
smoothtime 400 nan leaponly
local distance nan
server a offset nan
server a maxdelayratio inf
refclock SHM 0 offset nan
refclock SHM 0 width nan
refclock SHM 0 filter 0
refclock SHM 0 maxlockage 0
tempcomp /t 30 /p
tempcomp /t 30 1 2 3 4
allow 10.1/+8
allow 10.1.2.3/08
hwtimestamp eth0 minpoll 1 rxfilter NTP nocrossts txcomp 1e-7
server a extfield f323
server a port 99999
server a minpoll -8
refclock SHM 0 refid PPS\nrefclock SHM 1 refid PPS
`
	for line := range strings.Lines(refused) {
		_, said := convertedChrony(t, line, running)
		if !strings.Contains(said, "chronyd does not start") {
			t.Errorf("%s chronyd does not start with it; the report says\n%s", line, said)
		}
	}
	for line := range strings.Lines(accepted) {
		res, said := convertedChrony(t, strings.ReplaceAll(line, `\n`, "\n"), running)
		if strings.Contains(said, "chronyd does not start") || res.Output == nil {
			t.Errorf("%s chronyd starts with it; the report says\n%s", line, said)
		}
	}
	_, said := convertedChrony(t, "allow\nratelimit\nnoclientlog\n", running)
	if !strings.Contains(said, "chronyd does not start") {
		t.Errorf("a limit without a list of clients: %s", said)
	}
}

// TestChronyLeftOut wants a question where a line takes something away, and
// chronyd does not start with it.
func TestChronyLeftOut(t *testing.T) {
	for line, code := range map[string]string{"deny 10.0.0.0/33": "lost-restriction", "bindaddress foo": "lost-interface-rule"} {
		res, _ := convertedChrony(t, "allow\n"+line+"\n", nil)
		if res.Output != nil || len(res.Report.Questions) != 1 || res.Report.Questions[0].Code != code {
			t.Errorf("%s: questions %v", line, res.Report.Questions)
		}
		if res, _ := convertedChrony(t, "allow\n"+line+"\n", running); res.Output == nil {
			t.Errorf("%s: answered, and not converted", line)
		}
	}
}

// TestChronyDuplicates wants of two lines for one address what chronyd 4.6.1
// does (chronyc sources, authdata): it takes the first, and a key or NTS of the
// second is lost.
func TestChronyDuplicates(t *testing.T) {
	intended := func(report.Question) Lost { return LostIntended }
	for _, c := range []struct {
		text     string
		decide   func(report.Question) Lost
		question bool
		auth     string
	}{
		{"server 192.0.2.1\nserver 192.0.2.1 nts\n", nil, true, ""},
		{"server 192.0.2.1\nserver 192.0.2.1 nts\n", running, false, "none"},
		{"server 192.0.2.1\nserver 192.0.2.1 nts\n", intended, false, "nts"},
		{"server 192.0.2.1 port 1123\nserver 192.0.2.1 nts ntsport 4461\n", nil, true, ""},
		{"pool 192.0.2.1\nserver 192.0.2.1 nts\n", nil, true, ""},
		{"server 192.0.2.1 nts\nserver 192.0.2.1\npeer 192.0.2.1\n", nil, false, "nts"},
		{"server 192.0.2.1\nserver 192.0.2.1 iburst\n", nil, false, "none"},
		{"server a.example.net\nserver a.example.net nts\n", nil, false, "nts"},
	} {
		res, said := convertedChrony(t, c.text, c.decide)
		if c.question {
			if len(res.Report.Questions) != 1 || res.Report.Questions[0].Code != "lost-authentication" {
				t.Errorf("%q: questions %v", c.text, res.Report.Questions)
			}
			continue
		}
		list := associationsOf(res.Config)
		if len(list) != 1 || list[0].Auth != c.auth {
			t.Errorf("%q: %+v, want one with %s", c.text, list, c.auth)
		}
		if !strings.Contains(said, "same address") && !strings.Contains(said, "asked both") {
			t.Errorf("%q: %s", c.text, said)
		}
	}
	// Its key is not there, and its place is taken all the same.
	if res, _ := convertedChrony(t, "server 192.0.2.1 key 3\nserver 192.0.2.1\n", nil); len(associationsOf(res.Config)) != 0 {
		t.Errorf("a source that chronyd refused: %+v", associationsOf(res.Config))
	}
}

// TestChronyValues wants what chronyd 4.6.1 makes of values beyond its bounds, and
// of a setting in several lines.
func TestChronyValues(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"server a minpoll -8\n", "minpoll: 6"},
		{"server a minpoll 2 maxpoll -8\n", "maxpoll: 10"},
		{"server a port 65660\n", "port: 124"},
		{"allow\nratelimit interval 5 burst 4 kod 1\nratelimit\n", "interval: 32s"},
		{"allow\nratelimit interval 5 burst 4 kod 1\nratelimit\n", "kiss: true"},
		{"allow\nratelimit interval 5 burst 4 kod 1\nratelimit burst 6\n", "burst: 6"},
		{"allow\nratelimit kod 1\nratelimit kod 0\n", "kiss: false"},
		{"server a\nport -1\nallow\n", ":65535"},
	} {
		res, said := convertedChrony(t, c.text, running)
		if !strings.Contains(string(res.Output), c.want) {
			t.Errorf("%q: no %s in\n%s\n%s", c.text, c.want, res.Output, said)
		}
	}
	for _, text := range []string{"server a port 0\n", "server a ntsport 65536 nts\n", "server fe80::1%eth0\n"} {
		res, said := convertedChrony(t, text, running)
		if len(associationsOf(res.Config)) != 0 || !strings.Contains(said, "never had time") {
			t.Errorf("%q: %+v %s", text, associationsOf(res.Config), said)
		}
	}
	res, _ := convertedChrony(t, "allow 10.1\nallow all\n", nil)
	replaced := func(f report.Finding) bool { return strings.Contains(f.Text, "replaces it") }
	if !slices.ContainsFunc(res.Report.Lines[0].Findings, replaced) {
		t.Errorf("a line that allow all replaces: %v", res.Report.Lines[0].Findings)
	}
}

// TestChronyToChrony wants a file for chronyd that one starts with, and that
// keeps what a chronyd has.
func TestChronyToChrony(t *testing.T) {
	const base = "server a\nallow 10.0.0.0/8\n"
	for _, c := range []struct{ text, want, never string }{
		{"manual\n", "\nmanual\n", ""},
		{"opencommands sources\n", "\nopencommands sources\n", ""},
		{"ptpport 319\n", "\nptpport 319\n", ""},
		{"ratelimit interval 3\nnoclientlog\n", "\nratelimit interval 3\n", "\nnoclientlog"},
		{"noclientlog\n", "\nnoclientlog\n", ""},
		{"leapsecmode foo\n", "", "\nleapsecmode"},
		{"local stratum 16\n", "", "\nlocal"},
		{"local stratum 9 orphan\n", "\nlocal stratum 9 orphan\n", ""},
		{"makestep nan 3\n", "", "\nmakestep"},
		{"hwtimestamp eth0 foo\n", "", "\nhwtimestamp"},
	} {
		in := Input{Name: "chrony.conf", Data: []byte(base + c.text), Files: fstest.MapFS{}}
		res := Convert(in, Options{Dialect: "chrony", Decide: running, Client: &ClientOptions{Format: "chrony", Gateways: []string{"gw"}}})
		if text := string(res.Output); !strings.Contains(text, c.want) || c.never != "" && strings.Contains(text, c.never) {
			t.Errorf("%q: want %q, not %q\n%s", c.text, c.want, c.never, text)
		}
	}
	in := Input{Name: "chrony.conf", Data: []byte(base + "ratelimit interval 3\nratelimit burst 5\n"), Files: fstest.MapFS{}}
	res := Convert(in, Options{Dialect: "chrony", Client: &ClientOptions{Format: "ntpsec", Gateways: []string{"gw"}}})
	if !strings.Contains(string(res.Output), "limit average 0.125 burst 5") {
		t.Errorf("the rate is lost for ntpsec:\n%s", res.Output)
	}
}

// TestClientPolls wants no interval in a client's file that its daemon does not
// take: of minpoll -4, ntpsec 1.2.3 reads -4 as a family, and the rest of the
// line, with its nts, is lost.
func TestClientPolls(t *testing.T) {
	for _, poll := range []string{"minpoll -4 maxpoll -2", "minpoll -6", "minpoll -1 maxpoll 17"} {
		in := Input{Name: "chrony.conf", Data: []byte("server a " + poll + "\n"), Files: fstest.MapFS{}}
		res := Convert(in, Options{Dialect: "chrony", Client: &ClientOptions{Format: "ntpsec", Gateways: []string{"gw"}}})
		text := string(res.Output)
		if !strings.Contains(text, "server gw iburst minpoll 0 ") || !strings.Contains(text, " nts") {
			t.Errorf("%s became\n%s", poll, text)
		}
		if !strings.Contains(findings(res), "no shorter interval") {
			t.Errorf("%s: it is not said: %s", poll, findings(res))
		}
	}
}
