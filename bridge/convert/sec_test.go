package convert

import (
	"os"
	"strings"
	"testing"

	"ntsbridge/bridge/convert/report"
)

// TestNTPsecWords are lines with words that ntpd has and ntpsec 1.2.3 does not,
// as it says itself (testdata/oracle/ntpsec.txt): what is lost with them is
// asked about where it was security.
func TestNTPsecWords(t *testing.T) {
	said, err := os.ReadFile("testdata/oracle/ntpsec.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(said)) {
		conf, verdict, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " => ")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		res := Convert(Input{Name: "x.conf", Data: []byte(conf + "\ndriftfile /d\n"), Files: mappingFiles},
			Options{Dialect: "ntpsec", Decide: running, PasswordFile: "/pw"})
		lost := false
		for _, f := range recordAt(res.Report, 1).Findings {
			lost = lost || f.Class == report.Error && strings.Contains(f.Text, "ignores")
		}
		if lost != (verdict == "error") {
			t.Errorf("%s: ntpsec says %s, and we %v", conf, verdict, recordAt(res.Report, 1).Findings)
		}
	}
	for conf, code := range map[string]string{
		"server a autokey":                             "lost-authentication",
		"server a xleave key 5":                        "lost-authentication",
		"restrict default noepeer ignore":              "lost-restriction",
		"restrict 10.0.0.0/8 ippeerlimit 3 notrust":    "lost-restriction",
		"restrict default serverresponse fuzz noserve": "lost-restriction",
	} {
		res := Convert(Input{Name: "x.conf", Data: []byte(conf + "\nserver b\n"), Files: mappingFiles}, Options{Dialect: "ntpsec"})
		if got := questionCodes(res.Report); len(got) != 1 || got[0] != code {
			t.Errorf("%s: questions %v, want %s", conf, got, code)
		}
	}
}
