package convert

import (
	"strings"
	"testing"
	"testing/fstest"

	"ntsbridge/bridge/convert/ntpconf"
	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/spell"
)

// TestLostWords has the lines of which ntpd loses a part: those of which it
// loses security are asked about, the others are only told.
func TestLostWords(t *testing.T) {
	for _, c := range []struct {
		conf, code string
		fixed      string // what LostIntended makes of it; empty: cannot be told
	}{
		{"server h kye 5", "lost-authentication", "server h key 5"},
		{"server h Key 5", "lost-authentication", "server h key 5"},
		{"server h iburst ibrust key 5", "lost-authentication", "server h iburst iburst key 5"},
		{"server h Autokey", "lost-authentication", "server h autokey"},
		{"server h nts", "lost-authentication", ""},
		{"peer h KEY 7", "lost-authentication", "peer h key 7"},
		{"server h key", "", ""},         // the source is lost as a whole
		{"server h iburst fast", "", ""}, // nothing of security
		{"restrict default nomodify notrap no-query nopeer", "lost-restriction", "restrict default nomodify notrap noquery nopeer"},
		{"restrict default Ignore", "lost-restriction", "restrict default ignore"},
		{"Restrict default ignore", "lost-restriction", "restrict default ignore"},
		{"restrict default mask 0.0.0.0 ignore", "lost-restriction", "restrict -4 default ignore"},
		{"restrict 192.0.2.0 mask 24 ignore", "lost-restriction", "restrict 192.0.2.0 mask 255.255.255.0 ignore"},
		{"restrict 192.0.2.0/24 ignore", "lost-restriction", "restrict 192.0.2.0 mask 255.255.255.0 ignore"},
		{"restrict 192.0.2.0/24 notrust", "lost-restriction", "restrict 192.0.2.0 mask 255.255.255.0 notrust"},
		{"restrict guest.example.org ignore", "restricted-name", ""},
		{"restrict default nomodify ippeerlimit 3", "", ""},
		{"restrict default ignore\nrestrict 192.0.2.0 mask 24 nomodify", "", ""}, // the loss is stricter
		{"restrict default ignore\nrestrict 192.0.2.0/24 noquery", "", ""},
		{"restrict default noquery", "", ""},
		{"interface eth0", "lost-interface-rule", ""},
		{"interface Ignore all", "lost-interface-rule", "interface ignore all"},
	} {
		t.Run(c.conf, func(t *testing.T) {
			in := Input{Name: "ntp.conf", Data: []byte(c.conf + "\n"), Files: fstest.MapFS{}}
			opt := Options{Dialect: "ntp"}
			res := Convert(in, opt)
			var codes []string
			for _, q := range res.Report.Questions {
				codes = append(codes, q.Code)
				if q.Intended != (c.fixed != "") {
					t.Errorf("intended %v: %+v", q.Intended, q)
				}
				if c.fixed != "" && !strings.Contains(q.Do, c.fixed) {
					t.Errorf("remedy %q lacks %q", q.Do, c.fixed)
				}
			}
			if strings.Join(codes, " ") != c.code {
				t.Fatalf("questions %q, want %q", codes, c.code)
			}
			if (res.Output == nil) != (c.code != "") {
				t.Fatalf("written: %v", res.Output != nil)
			}
			if c.code == "" {
				return
			}
			opt.Decide = running
			res = Convert(in, opt)
			if res.Output == nil || res.Report.Outcome() != report.Lossy ||
				!strings.Contains(text(t, res.Report), "as the operator decided") {
				t.Errorf("running: outcome %s", res.Report.Outcome())
			}
			opt.Decide = func(report.Question) Lost { return LostIntended }
			if res = Convert(in, opt); (res.Output != nil) != (c.fixed != "") {
				t.Errorf("intended: outcome %s: %+v", res.Report.Outcome(), res.Report.Questions)
			}
		})
	}
}

// TestIntendedIsStricter checks what is written when lines are read as meant.
func TestIntendedIsStricter(t *testing.T) {
	in := Input{Name: "ntp.conf", Data: []byte("restrict default Ignore\nrestrict 10.0.0.0/8 noquery nomodify\n"), Files: fstest.MapFS{}}
	res := Convert(in, Options{Dialect: "ntp", Decide: func(report.Question) Lost { return LostIntended }})
	if !strings.Contains(string(res.Output), "default:\n    action: deny") {
		t.Errorf("the default is not deny:\n%s", res.Output)
	}
	if did := res.Report.Lines[0].Did; !strings.Contains(did, "restrict default ignore") {
		t.Errorf("the report says %q", did)
	}
}

func TestMeant(t *testing.T) {
	options := ntpconf.FieldsOf(ntpconf.OptionWords["restrict"])
	for word, want := range map[string]string{
		"no-query": "noquery", "NOQUERY": "noquery", "nomidify": "nomodify", "kob": "kod", "ignor": "ignore", "notrap": "notrap",
		"banana": "", "x": "", "192.0.2.1": "", "255.255.255.0": "",
	} {
		if got := spell.Meant(word, options); got != want {
			t.Errorf("meant(%q) = %q, want %q", word, got, want)
		}
	}
}
