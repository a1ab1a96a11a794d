package convert

import (
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/ntp"
)

// intended answers every question with what was meant.
func intended(report.Question) Lost { return LostIntended }

// fieldFiles are the host's of the inputs of the field.
var fieldFiles = fstest.MapFS{"etc/ntp.keys": {Data: []byte("5 AES128CMAC 0123456789abcdef0123456789abcdef\n")}}

// field converts an input of the field.
func field(t *testing.T, name string, opt Options) *Result {
	t.Helper()
	data, err := os.ReadFile("testdata/field/" + name)
	if err != nil {
		t.Fatal(err)
	}
	in := Input{Name: name, Data: data, Files: fieldFiles}
	res := Convert(in, opt)
	checkResult(t, in, res)
	return res
}

// questionCodes are the codes of the open questions.
func questionCodes(r *report.Report) (list []string) {
	for _, q := range r.Questions {
		list = append(list, q.Code)
	}
	return list
}

// TestDuplicates compares the associations of two lines for one address with
// those that ntpd made of them, for all kinds, authentications and orders.
func TestDuplicates(t *testing.T) {
	text, err := os.ReadFile("testdata/oracle/duplicates.txt")
	if err != nil {
		t.Fatal(err)
	}
	keyOf := map[string]string{"plain": "0", "autokey": "0", "key": "5"}
	option := map[string]string{"plain": "", "key": " key 5", "autokey": " autokey"}
	for line := range strings.Lines(string(text)) {
		parts := strings.Split(strings.TrimSpace(line), "|")
		if strings.HasPrefix(line, "#") || len(parts) != 3 {
			continue
		}
		first, second := strings.Fields(parts[0]), strings.Fields(parts[1])
		made := 0
		for word := range strings.FieldsSeq(parts[2]) {
			made += int(word[0] - '0')
		}
		conf := ntpBase + "keys /etc/ntp.keys\ntrustedkey 5\ncrypto\n"
		for _, l := range [][]string{first, second} {
			conf += l[0] + " 10.9.0.5" + option[l[1]] + "\n"
		}
		name := strings.Join(first, " ") + ", " + strings.Join(second, " ")
		in := Input{Name: "ntp.conf", Data: []byte(conf), Files: fieldFiles}
		res := Convert(in, Options{Dialect: "ntp", Decide: running, PasswordFile: "/pw"})
		refused := slices.ContainsFunc(res.Report.Lines[len(res.Report.Lines)-1].Findings, func(f report.Finding) bool {
			return f.Code == "duplicate-source" && strings.Contains(f.Text, "refuses")
		})
		if refused != (made == 1) {
			t.Errorf("%s: said to be refused: %v; ntpd made %s", name, refused, parts[2])
		}
		if made == 1 && !strings.HasSuffix(strings.TrimSpace(parts[2]), ":"+keyOf[first[1]]) {
			t.Errorf("%s: the oracle %s is not the first line", name, parts[2])
		}
		asked := Convert(in, Options{Dialect: "ntp", PasswordFile: "/pw"})
		lost := made == 1 && first[1] == "plain" && second[1] != "plain"
		if got := slices.Contains(questionCodes(asked.Report), "lost-authentication"); got != lost {
			t.Errorf("%s: a question: %v", name, got)
		}
	}
}

// TestFieldSources are what becomes of the sources of inputs of the field.
func TestFieldSources(t *testing.T) {
	none, keyed := "none", "symmetric"
	for _, c := range []struct {
		file string
		opt  Options
		want []string // SERVER AUTHENTICATION of each source that is written
		code string   // of a finding, or with ? of a question
	}{
		{"peerkey.conf", Options{}, []string{"10.9.0.5 " + keyed}, "duplicate-source"},
		{"dupkey.conf", Options{}, nil, "?lost-authentication"},
		{"dupkey.conf", Options{Decide: intended}, []string{"10.9.0.5 " + keyed}, "decided"},
		{"dupkey.conf", Options{Decide: running}, []string{"10.9.0.5 " + none}, "running-meaning"},
		{"authenticate-yes.conf", Options{}, nil, "?lost-authentication"},
		{"authenticate-yes.conf", Options{Decide: running}, []string{"198.51.100.1 " + none}, "running-meaning"},
		{"src_ignore.conf", Options{}, nil, "dead-source"},
		{"src_noserve.conf", Options{}, nil, "dead-source"},
		{"srcnotrust.conf", Options{}, nil, "dead-source"},
		{"srcclient.conf", Options{}, []string{"10.9.0.2 " + none}, ""},
		{"poolnopeer.conf", Options{}, []string{"srv.example.net " + none}, "dead-source"},
		{"selfsrc.conf", Options{}, []string{"10.9.0.2 " + none}, "dead-source"},
	} {
		t.Run(c.file, func(t *testing.T) {
			res := field(t, c.file, c.opt)
			if code, ok := strings.CutPrefix(c.code, "?"); ok {
				if !slices.Contains(questionCodes(res.Report), code) || res.Output != nil {
					t.Errorf("questions: %v", res.Report.Questions)
				}
				return
			}
			var got []string
			for _, a := range associationsOf(res.Config) {
				got = append(got, a.Server+" "+a.Auth)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("sources: %v, want %v", got, c.want)
			}
			if c.code != "" && !slices.Contains(codes(res.Report, report.Folded), c.code) {
				t.Errorf("no finding %s: %v", c.code, codes(res.Report, report.Folded))
			}
		})
	}
}

// TestSourcesAreServed keeps what ntpd gave its sources, by restrict source.
func TestSourcesAreServed(t *testing.T) {
	res := field(t, "srcclient.conf", Options{})
	if got := servedTo(t, res, "10.9.0.2"); !strings.HasPrefix(got, "time") {
		t.Errorf("the source has %s", got)
	}
	if got := servedTo(t, res, "10.9.0.3"); !strings.HasPrefix(got, "no time") {
		t.Errorf("another host has %s", got)
	}
	named := Convert(Input{Name: "ntp.conf", Data: []byte("restrict default ignore\nrestrict source nomodify\nserver a.example.org\n")},
		Options{Dialect: "ntp"})
	if a := named.Report.Access; len(a.Names) != 1 || strings.Contains(text(t, named.Report), "for every address (") {
		t.Errorf("%+v", a)
	}
}

// TestInterfaceFields are the inputs of the field with rules about interfaces.
func TestInterfaceFields(t *testing.T) {
	for file, want := range map[string][]string{
		"iface-listen-one.conf": {"192.0.2.1:123", "127.0.0.1:123", "[::1]:123"},
		"ifw.conf":              {"10.9.0.1:123", "127.0.0.1:123", "[::1]:123"},
	} {
		var got []string
		for _, l := range field(t, file, Options{}).Config.Server.Listen {
			got = append(got, l.String())
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", file, got, want)
		}
	}
}

// TestStartOfDaemon counts the options of the command line as lines.
func TestStartOfDaemon(t *testing.T) {
	for options, want := range map[string]string{
		"-I eth0": "eth0:123", "-I 192.0.2.7": "192.0.2.7:123", "-4": "0.0.0.0:123", "-6 -g": "[::]:123", "-4 -I eth0": "eth0/ipv4:123",
	} {
		res := Convert(Input{Name: "ntp.conf", Data: []byte(ntpBase + "server a\n"),
			Files: fstest.MapFS{"etc/default/ntp": {Data: []byte("NTPD_OPTS='" + options + "'\n")}}}, Options{Dialect: "ntp"})
		if res.Config == nil || !slices.ContainsFunc(res.Config.Server.Listen, func(l config.Listen) bool { return l.String() == want }) {
			t.Errorf("%s: %v\n%s", options, res.Report.Questions, res.Output)
			continue
		}
		if strings.Contains(options, "-4") != (res.Config.Sources[0].Family == config.FamilyIPv4) {
			t.Errorf("%s: the source has family %s", options, res.Config.Sources[0].Family)
		}
	}
}

// TestSmear asks whether ntpd really smeared.
func TestSmear(t *testing.T) {
	in := Input{Name: "ntp.conf", Data: []byte(ntpBase + follow1 + "leapsmearinterval 86400\n"), Files: mappingFiles}
	if res := Convert(in, Options{Dialect: "ntp"}); !slices.Contains(questionCodes(res.Report), "leap-smear") || res.Output != nil {
		t.Error("no question")
	}
	if res := Convert(in, Options{Dialect: "ntp", Decide: running}); res.Config.Clock.Leap.Smear != 0 {
		t.Error("what did not run is switched on")
	}
	res := Convert(in, Options{Dialect: "ntp", Decide: intended})
	if l := res.Config.Clock.Leap; l.Smear.Hours() != 24 || l.Shape != config.ShapeCosine || l.Placement != config.PlacementBefore {
		t.Errorf("%+v", l)
	}
}

// TestRateLimitKod keeps the limit of chronyd 4.6's syntax.
func TestRateLimitKod(t *testing.T) {
	res := field(t, "chrony-ratelimit-kod.conf", Options{})
	if r := res.Config.RateLimit; len(r.Limits) != 1 || !r.Limits[0].Kiss || r.Limits[0].Interval.Seconds() != 4 ||
		res.Config.Access.Rules[0].Rate != r.Limits[0].Name {
		t.Errorf("%s", res.Output)
	}
	off := Convert(Input{Name: "chrony.conf", Data: []byte("allow\nratelimit interval 2 kod 0\n")}, Options{Dialect: "chrony"})
	if r := off.Config.RateLimit; len(r.Limits) != 1 || r.Limits[0].Kiss {
		t.Errorf("%s", off.Output)
	}
}

// TestPlainSourceUnderNotrust: what ntpd gave to a source is no reason to
// take time from it.
func TestPlainSourceUnderNotrust(t *testing.T) {
	conf := "restrict default notrust noquery\nkeys /etc/ntp.keys\ntrustedkey 5\nserver 10.9.0.2\nserver 10.9.0.3 key 5\n"
	res := Convert(Input{Name: "ntp.conf", Data: []byte(conf), Files: fieldFiles}, Options{Dialect: "ntp"})
	if s := res.Config.Sources; len(s) != 1 || s[0].Auth != ntp.KindSymmetric {
		t.Errorf("%s", res.Output)
	}
}
