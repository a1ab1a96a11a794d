package convert

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"ntsbridge/bridge/convert/report"
)

// extremes are pairs of values that differ, and that no range of an option
// has room for, or that lie below all of them.
var extremes = [][2]string{{"999999998", "999999999"}, {"2000000.25", "2000001.25"}, {"-999999998", "-999999999"},
	{"0.00000001", "0.00000002"}}

// sameToTheDaemon are lines whose values are the same to the daemon that reads
// them: it has bounds of its own, or reads no further than to the point.
var sameToTheDaemon = []string{"chrony: dscp 0.0", "chrony: makestep 1 0.0", "ntp: tinker step 0.2 panic -", "chrony: minsources 0.0",
	"ntpsec: refclock shm unit 0 maxpoll -", "ntpsec: refclock shm unit 0 minpoll "}

// TestExtremes gives every word that has a number two extreme ones: where the
// same is written for both, the line is not called kept, or what is said of it
// says which value counts.
func TestExtremes(t *testing.T) {
	found := make(map[string][]string)
	for i, f := range forms() {
		if testing.Short() && i%8 != 0 {
			continue
		}
		for _, format := range append([]string{""}, ClientFormats...) {
			f.cases(func(word, line, _ string) {
				at := strings.LastIndexByte(line, ' ')
				if _, err := strconv.ParseFloat(line[at+1:], 64); err != nil || f.value == "glued" {
					return
				}
				for _, pair := range extremes {
					if problem := f.clamped(format, word, line[:at+1], pair); problem != "" {
						key := fmt.Sprintf("%s: %s%s: %s", f.dialect, line[:at+1], pair[0], problem)
						found[key] = append(found[key], "["+format+"]")
					}
				}
			})
		}
	}
	for key := range found {
		if slices.ContainsFunc(sameToTheDaemon, func(s string) bool { return strings.HasPrefix(key, s) }) {
			continue
		}
		t.Errorf("%s %v", key, found[key])
	}
}

// clamped says what is wrong with two lines that end differently and become the
// same.
func (f form) clamped(format, word, head string, pair [2]string) string {
	opt := Options{Dialect: f.dialect, Decide: running, PasswordFile: "/pw"}
	if format != "" {
		opt.Client = &ClientOptions{Format: format, Gateways: []string{"gw1", "gw2"}}
	}
	var texts [2]string
	var r *report.Record
	for i, value := range pair {
		in := Input{Name: "x.conf", Files: mappingFiles, Data: []byte(f.before + head + value + "\n")}
		res := Convert(in, opt)
		texts[i] = withoutComments(string(res.Output))
		r = recordAt(res.Report, strings.Count(f.before, "\n")+1)
	}
	if texts[0] != texts[1] || r.Class != report.Kept {
		return ""
	}
	return fmt.Sprintf("kept, and nothing comes of its value (%s)", fateOf(r, word))
}
