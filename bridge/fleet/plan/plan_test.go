package plan

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func parse(t *testing.T, text string) *Plan {
	t.Helper()
	p, findings := Parse("fleet.yaml", []byte(text))
	if p == nil {
		t.Fatal(findings.Err())
	}
	return p
}

func TestFullPlan(t *testing.T) {
	text, err := os.ReadFile("testdata/plans/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	p := parse(t, string(text))
	g := p.Group("frankfurt")
	if g.Targets[Symmetric].Stage != Refuse || g.Targets[None].Stage != Warn || !g.Targets[Autokey].Deny {
		t.Errorf("targets %+v", g.Targets)
	}
	if want := time.Date(2027, 1, 31, 23, 0, 0, 0, time.UTC); !g.Targets[None].NotBefore.Equal(want) {
		t.Errorf("not before %v, want %v: midnight in Berlin", g.Targets[None].NotBefore, want)
	}
	if g.Canary.Max != 20 || p.Group("old-key").Canary.Max != 3 || p.Group("old-key").Canary.Share != 0.05 {
		t.Error("a group has what the plan says for all, but for what it says itself")
	}
	if p.Group("old-key").Targets[Symmetric].Stage != Removed {
		t.Error("symkey is symmetric")
	}
	if len(p.Protected) != 3 || p.Protected[1].Why == "" || p.Notify.Webhook == "" {
		t.Errorf("protected %+v, notify %+v", p.Protected, p.Notify)
	}
}

// Each case is a plan's text after a right beginning, and what must be said
// with the line.
func TestFindings(t *testing.T) {
	const head = "groups:\n  - name: a\n    prefixes: [10.0.0.0/8]\n"
	for name, c := range map[string]struct {
		text, want string
		warning    bool
	}{
		"nts":              {head + "    stages: {nts: brown-out}", "fleet.yaml:4: groups[0].stages.nts: NTS is what clients are moved to", false},
		"few polls":        {head + "    stages: {none: refuse}\n    brown_out: {lengths: [5 polls]}", "fleet.yaml:5: groups[0].brown_out.lengths[0]: 5 polls prove nothing", false},
		"minutes":          {head + "    stages: {none: refuse}\n    brown_out: {lengths: [30m]}", "30m0s is 10 polls of a client that asks every 3m0s", true},
		"deny early":       {head + "    stages: {none: {stage: refuse, deny: true}}", "ntpd-rs without NTS stops asking", false},
		"deny":             {head + "    stages: {none: {stage: removed, deny: true}}", "openntpd stays away", true},
		"unknown option":   {head + "    stages: {none: refuse}\n    window: 3", `fleet.yaml:5: groups[0]: "window" is not known here`, false},
		"unknown stage":    {head + "    stages: {none: refused}", `"refused" is none of observe, warn, canary`, false},
		"nobody":           {"groups:\n  - name: a\n    stages: {none: warn}", "says nothing of whom", false},
		"keys, no address": {"groups:\n  - name: a\n    keys: [5]\n    stages: {none: warn}", "names neither prefixes nor labels", false},
		"host bits":        {"groups:\n  - name: a\n    prefixes: [10.0.0.1/8]\n    stages: {none: warn}", "10.0.0.0/8 may be meant", false},
		"two names":        {head + "    stages: {none: warn}\n  - name: a\n    keys: [1]\n    stages: {symmetric: warn}", "line 2 already", false},
		"overlap":          {head + "    stages: {none: warn}\n  - name: b\n    prefixes: [10.0.0.0/8]\n    stages: {none: warn}", "10.0.0.0/8 by none is in the group a (line 2) too", false},
		"no stages":        {head, "stages: is missing", false},
		"no yaml":          {"groups: [", "this is no YAML", false},
		"empty":            {"", "the plan is empty", false},
		"no groups":        {"advance: manual", "needs a list of groups", false},
		"key 0":            {"groups:\n  - name: a\n    keys: [0]\n    stages: {symmetric: warn}", "1 to 4294967295", false},
		"share":            {head + "    stages: {none: refuse}\n    canary: {share: 60%}", "0.01% to 50%", false},
		"canary in time":   {head + "    stages: {none: refuse}\n    canary: {polls: 10m}", "must be in polls", false},
		"too long":         {"windows: {hours: \"09:00-10:00\"}\n" + head + "    stages: {none: refuse}\n    brown_out: {lengths: [2h]}", "does not fit into the windows, which are 1h0m0s long", false},
		"freeze":           {"windows: {freeze: [{from: 2027-01-07, to: 2026-12-01}]}\n" + head + "    stages: {none: warn}", "a later `to`", false},
		"silent polls":     {head + "    stages: {none: refuse}\n    back_out: {silent_polls: 2}", "at least 4", false},
		"twice":            {head + "    name: b\n    stages: {none: warn}", "stands here twice, first in line 2", false},
		"no prefixes":      {"groups:\n  - name: a\n    prefixes: []\n    keys: [5]\n    stages: {symmetric: warn}", "fleet.yaml:3: groups[0].prefixes: is empty", false},
		"no keys":          {head + "    keys:\n    stages: {symmetric: warn}", "fleet.yaml:4: groups[0].keys: is empty", false},
		"no labels":        {"protected: [{labels: [], keys: [5]}]\n" + head + "    stages: {symmetric: warn}", "protected[0].labels: is empty", false},
		"webhook":          {"notify: {webhook: ftp://x}\n" + head + "    stages: {none: warn}", "begins with http", false},
	} {
		t.Run(name, func(t *testing.T) {
			p, findings := Parse("fleet.yaml", []byte(c.text))
			if (p == nil) == c.warning {
				t.Errorf("plan %v", p)
			}
			var all []string
			for _, f := range findings {
				all = append(all, f.String())
			}
			if s := strings.Join(all, "\n"); !strings.Contains(s, c.want) {
				t.Errorf("said %q\nwant %q", s, c.want)
			}
		})
	}
}

func TestWindows(t *testing.T) {
	p := parse(t, `
windows: {days: [mon, tue], hours: "22:00-04:00", timezone: Europe/Berlin, freeze: [{from: 2026-12-14, to: 2026-12-20}]}
groups: [{name: a, keys: [1], stages: {symmetric: warn}}]`)
	w := &p.Windows
	for at, want := range map[string]bool{
		"2026-11-30T21:30:00+01:00": false, // a Monday
		"2026-11-30T22:00:00+01:00": true,
		"2026-12-01T03:59:00+01:00": true,
		"2026-12-01T04:00:00+01:00": false,
		"2026-12-02T01:00:00+01:00": true, // Tuesday's night
		"2026-12-03T01:00:00+01:00": false,
		"2026-12-14T23:00:00+01:00": false, // frozen
		"2026-12-20T23:59:00+01:00": false,
	} {
		when, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		if open, why := w.Open(when); open != want {
			t.Errorf("%s: open %v %s", at, open, why)
		}
	}
	start := time.Date(2026, 11, 30, 21, 0, 0, 0, time.UTC) // 22:00 in Berlin
	if !w.Fits(start, 6*time.Hour) || w.Fits(start, 6*time.Hour+time.Minute) {
		t.Error("six hours fit, and no minute more")
	}
	if next, ok := w.Next(start.Add(-100*time.Hour), 5*time.Hour); !ok || !next.Equal(start) {
		t.Errorf("next %v", next)
	}
	if w.Longest() != 6*time.Hour {
		t.Errorf("longest %v", w.Longest())
	}
}

func TestLengthFor(t *testing.T) {
	var polls []time.Duration
	for range 90 {
		polls = append(polls, 64*time.Second)
	}
	for range 10 {
		polls = append(polls, 1024*time.Second)
	}
	l := Length{Polls: 10}
	if got := l.For(polls, 0); got.Poll != 1024*time.Second || got.Time != 10240*time.Second || got.Share != 1 ||
		got.Watch != 12*1024*time.Second {
		t.Errorf("%+v", got)
	}
	if got := l.For(polls, time.Hour); got.Share != 0.9 || got.Time != time.Hour {
		t.Errorf("an hour is %+v", got)
	}
	if got := (Length{Time: 5 * time.Minute}).For(polls, 0); got.Share != 0 {
		t.Errorf("five minutes prove something about %v", got.Share)
	}
	p := parse(t, "groups: [{name: a, keys: [1], stages: {symmetric: refuse}, brown_out: {lengths: [15m]}}]")
	f := p.Prove("fleet.yaml", func(*Group, Means) ([]time.Duration, int) { return polls, 3 })
	if len(f) != 1 || !strings.Contains(f[0].Text, "about 90% of the clients") {
		// 15 min are 14 polls of 64 s
		t.Errorf("%v", f)
	}
}

func TestDiff(t *testing.T) {
	old := parse(t, "protected: [10.0.0.1]\ngroups: [{name: a, keys: [1], stages: {symmetric: warn}}, {name: b, keys: [2], stages: {symmetric: warn}}]")
	next := parse(t, "groups: [{name: a, keys: [1], stages: {symmetric: refuse}}, {name: c, keys: [2], stages: {symmetric: warn}, gates: {watched: {days: 1}}}]")
	var lines []string
	for _, c := range Diff(old, next) {
		lines = append(lines, c.String())
	}
	want := `- protected: 10.0.0.1/32   (may refuse more)
- b: group: key 2
~ a: stages.symmetric: warn -> refuse   (may refuse more)
+ c: group: key 2
+ c: stages.symmetric: warn   (may refuse more)`
	if got := strings.Join(lines, "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if d := Diff(next, next); len(d) != 0 {
		t.Errorf("a plan differs from itself: %v", d)
	}
}

// FuzzParse: no panic, and a plan that is right has nothing wrong in it and no
// difference to itself.
func FuzzParse(f *testing.F) {
	files, _ := filepath.Glob("testdata/plans/*.yaml")
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Add("groups: [{name: a, keys: [1], stages: {symmetric: warn}}]")
	f.Add("groups: &a [*a]")
	f.Add("windows: {hours: \"22:00-04:00\", freeze: [{from: 2027-01-07, to: 2027-02-01}]}\ngroups: [{name: a, prefixes: 10/8, stages: {none: {stage: removed, deny: yes}}}]")
	f.Fuzz(func(t *testing.T, text string) {
		p, findings := Parse("p", []byte(text))
		if (p == nil) != (findings.Err() != nil) {
			t.Fatalf("plan %v with %v", p, findings)
		}
		if p == nil {
			return
		}
		if d := Diff(p, p); len(d) != 0 {
			t.Fatalf("differs from itself: %v", d)
		}
		at := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
		if open, why := p.Windows.Open(at); open != (why == "") {
			t.Fatalf("open %v, %q", open, why)
		}
		for _, g := range p.Groups {
			for _, l := range g.Lengths() {
				if l.For([]time.Duration{64 * time.Second}, 0).Time <= 0 {
					t.Fatalf("length %v takes no time", l)
				}
			}
		}
	})
}
