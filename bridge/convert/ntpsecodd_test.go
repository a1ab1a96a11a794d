package convert

import (
	"strings"
	"testing"
	"testing/fstest"

	"ntsbridge/bridge/convert/report"
)

// TestNTPsecNetworks wants what ntpsec 1.2.3 does with lengths of prefixes, as
// it answered hosts of these addresses: a length that is none, 0 among them,
// leaves the address alone, and a number that is cut short is read as
// getaddrinfo does.
func TestNTPsecNetworks(t *testing.T) {
	for _, c := range []struct{ line, denied, open, question string }{
		{"restrict 10.0.0.200/40 ignore", "10.0.0.200", "", "lost-restriction"},
		{"restrict 10.0.0.200/x ignore", "10.0.0.200", "", "lost-restriction"},
		{"restrict 10.0.0.200/0 ignore", "10.0.0.200", "", "lost-restriction"},
		{"restrict fd00::5/129 ignore", "fd00::5", "", "lost-restriction"},
		{"restrict 0.0.0.0/0 ignore", "0.0.0.0", "", "lost-restriction"},
		{"restrict 10.1/16 ignore", "10.0.0.0/16", "10.1.0.0/16", "lost-restriction"},
		{"restrict 10/8 ignore", "0.0.0.0/8", "10.0.0.0/8", "lost-restriction"},
		{"restrict 10.1.0/24 ignore", "10.1.0.0/24", "", ""},
		{"restrict 10.1.0.0/16 ignore", "10.1.0.0/16", "", ""},
		{"restrict -6 10.0.0.0/8 ignore", "", "10.0.0.0/8", "lost-restriction"},
	} {
		in := Input{Name: "ntp.conf", Data: []byte(c.line + "\n"), Files: fstest.MapFS{}}
		res := Convert(in, Options{Dialect: "ntpsec"})
		asked := len(res.Report.Questions) > 0
		if asked != (c.question != "") || asked && res.Report.Questions[0].Code != c.question {
			t.Errorf("%s: questions %v", c.line, res.Report.Questions)
		}
		res = Convert(in, Options{Dialect: "ntpsec", Decide: running})
		checkResult(t, in, res)
		text := string(res.Output)
		if c.denied != "" && !strings.Contains(text, `prefixes: ["`+c.denied+`"]`) || c.open != "" && strings.Contains(text, `["`+c.open+`"]`) {
			t.Errorf("%s: want %s refused and %s open\n%s", c.line, c.denied, c.open, text)
		}
	}
	intended := func(report.Question) Lost { return LostIntended }
	for line, want := range map[string]string{"restrict 10.1/16 ignore": `["10.1.0.0/16"]`, "restrict 0.0.0.0/0 ignore": `["0.0.0.0/0"]`} {
		res := Convert(Input{Name: "ntp.conf", Data: []byte(line + "\n"), Files: fstest.MapFS{}}, Options{Dialect: "ntpsec", Decide: intended})
		if text := string(res.Output); !strings.Contains(text, want) && !strings.Contains(text, "default:\n    action: deny") {
			t.Errorf("%s, as it was meant: no %s\n%s", line, want, text)
		}
	}
}

// TestNTPsecPool wants a pool with nopeer to have been one: "restrict nopeer
// ignored", says ntpsec 1.2.3, and makes its sources (ntpq -c peers).
func TestNTPsecPool(t *testing.T) {
	const text = "pool a.example.net iburst\nrestrict default kod nomodify nopeer noquery limited\nrestrict 127.0.0.1\n"
	for dialect, dead := range map[string]bool{"ntpsec": false, "ntp": true} {
		res := Convert(Input{Name: "ntp.conf", Data: []byte(text), Files: fstest.MapFS{}}, Options{Dialect: dialect})
		if said := strings.Contains(findings(res), "never had time"); said != dead {
			t.Errorf("%s: %s", dialect, findings(res))
		}
	}
}

// findings are the sentences of a report.
func findings(res *Result) string {
	var said strings.Builder
	for _, f := range res.Report.Findings {
		said.WriteString(f.Text + "; " + f.Do + "\n")
	}
	for _, r := range res.Report.Lines {
		for _, f := range r.Findings {
			said.WriteString(f.Text + "; " + f.Do + "\n")
		}
	}
	return said.String()
}

// TestAdviceTwice wants no advice to write what is written, and no word that a
// finding speaks of to be called lost.
func TestAdviceTwice(t *testing.T) {
	for _, c := range []struct{ dialect, text, never string }{
		{"ntpsec", "broadcast 10.0.0.255\n", "write: broadcast 10.0.0.255"},
		{"ntpsec", "server 10.0.0.3 xleave\n", "write: server 10.0.0.3 xleave"},
		{"ntp", "server a\ntinker step 0 stepout 60\n", "should know the word"},
		{"ntpsec", "server a\ntos maxdisp 3 holdover 5\n", "should know the word"},
		{"ntp", "keys /k\ntrustedkey 1\nserver 10.2.0.1 key 1\nrestrict default ignore\nrestrict 10.2.0.0 mask 255.255.0.0 notrust\n",
			"made ntpd drop"},
	} {
		res := Convert(Input{Name: "ntp.conf", Data: []byte(c.text), Files: fstest.MapFS{}}, Options{Dialect: c.dialect, Decide: running})
		if said := findings(res); strings.Contains(said, c.never) {
			t.Errorf("%q: %s", c.text, said)
		}
	}
}

// TestNTPsecPolls wants the shortest interval of ntpsec 1.2.3, which says of
// minpoll -1 "too small [0-17]".
func TestNTPsecPolls(t *testing.T) {
	for dialect, want := range map[string]string{"ntpsec": "minpoll: 1\n    maxpoll: 2", "ntp": "minpoll: 3\n    maxpoll: 3"} {
		in := Input{Name: "ntp.conf", Data: []byte("server a minpoll 1 maxpoll 2\n"), Files: fstest.MapFS{}}
		res := Convert(in, Options{Dialect: dialect})
		if !strings.Contains(string(res.Output), want) {
			t.Errorf("%s: no %q in\n%s", dialect, want, res.Output)
		}
	}
}

// TestClocksOfOneName wants both of two clocks with one refid, which ntpd takes.
func TestClocksOfOneName(t *testing.T) {
	const text = "server 127.127.22.0\nfudge 127.127.22.0 refid PPS\nserver 127.127.22.1\nfudge 127.127.22.1 refid PPS\n" +
		"server 127.127.28.0\nfudge 127.127.28.0 refid PPS0\nserver a\n"
	res := Convert(Input{Name: "ntp.conf", Data: []byte(text), Files: fstest.MapFS{}}, Options{Dialect: "ntp"})
	if res.Config == nil || len(res.Config.ReferenceClocks) != 3 || !strings.Contains(findings(res), "another clock is called PPS too") {
		t.Errorf("%s\n%s", res.Output, findings(res))
	}
}
