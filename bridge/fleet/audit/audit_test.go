package audit

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ntsbridge/bridge/fleet/gate"
	"ntsbridge/bridge/fleet/history"
	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/fleet/plan"
	"ntsbridge/bridge/fleet/stage"
	"ntsbridge/bridge/fleet/steer"
	"ntsbridge/bridge/ntp"
)

const (
	now = 1_800_000_000
	day = 86400
)

const planText = `version: 1
protected: [192.0.2.250]
groups:
  - name: hall
    prefixes: [192.0.2.0/24]
    stages: {symmetric: refuse, none: warn}
`

// site is what a report is made from.
type site struct {
	facts   Facts
	clients []inventory.Client
	entries []history.Entry
}

func newSite(t *testing.T) *site {
	t.Helper()
	p, findings := plan.Parse("plan.yaml", []byte(planText))
	if err := findings.Err(); err != nil {
		t.Fatal(err)
	}
	s := &site{}
	s.facts = Facts{Now: time.Unix(now, 0), Resolver: stage.NewResolver(p, stage.Where{}),
		Watched: []gate.Interval{{Start: now - 200*day, End: now - 100*day}, {Start: now - 90*day, End: now}},
		Status: &steer.Status{Plan: "plan.yaml", Declared: steer.Declared{Time: time.Unix(now-80*day, 0), Who: "uid 0"},
			Places: []steer.PlaceStatus{{Group: "hall", Means: "symmetric", Stage: "refuse", Target: "refuse",
				Since: time.Unix(now-30*day, 0)}}}}
	return s
}

func (s *site) add(address string, kind ntp.Kind, key, last uint32, unanswered uint16) *inventory.Client {
	c := inventory.Client{Prefix: netip.PrefixFrom(netip.MustParseAddr(address), 32), Last: now - last, Hosts: 1, Addresses: 1}
	c.Means = []inventory.Means{{Kind: kind, Key: key, First: now - 180*day, Last: now - last, Answered: 10, Unanswered: unanswered,
		Proved: true, Program: inventory.Chrony}}
	s.clients = append(s.clients, c)
	return &s.clients[len(s.clients)-1]
}

// report writes the history to a file as the daemon does, reads it back and
// makes the report.
func (s *site) report(t *testing.T) *Report {
	t.Helper()
	f, _, err := history.Open(filepath.Join(t.TempDir(), "history"), s.facts.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for i := range s.entries {
		if err := f.Append(&s.entries[i]); err != nil {
			t.Fatal(err)
		}
	}
	b := New(&s.facts)
	for i := range s.clients {
		b.Add(&s.clients[i])
	}
	end, err := f.Read(func(e *history.Entry) error { b.Entry(e); return nil })
	return b.Report(end, err)
}

func (r *Report) find(t *testing.T, group, means string) *Means {
	t.Helper()
	for _, m := range r.Means {
		if m.Group == group && m.Means == means {
			return m
		}
	}
	t.Fatalf("no %s, %s in %+v", group, means, r.Means)
	return nil
}

func TestWhoHasLeft(t *testing.T) {
	for _, x := range []struct {
		name string
		make func(s *site)
		left bool
		says string
	}{
		{"all", func(s *site) { s.add("192.0.2.1", ntp.KindSymmetric, 5, 60*day, 0) }, true, "nothing since, watched without a gap"},
		{"a week ago", func(s *site) { s.add("192.0.2.1", ntp.KindSymmetric, 5, 7*day, 0) }, true, "nothing since"},
		{"less", func(s *site) { s.add("192.0.2.1", ntp.KindSymmetric, 5, 7*day-1, 0) }, false, "1 clients used it in the last 7 days"},
		{"refused, and asks still", func(s *site) { s.add("192.0.2.1", ntp.KindSymmetric, 5, 60, 900) }, false,
			"ask still, and are not answered"},
		{"before the gap", func(s *site) { s.add("192.0.2.1", ntp.KindSymmetric, 5, 95*day, 0) }, false, "watched only since"},
		{"not watching", func(s *site) {
			s.add("192.0.2.1", ntp.KindSymmetric, 5, 60*day, 0)
			s.facts.Watched = nil
		}, false, "not watching"},
		{"forgotten since", func(s *site) {
			s.add("192.0.2.1", ntp.KindSymmetric, 5, 60*day, 0)
			s.facts.Full = inventory.Full{Forgotten: 2, LastForgotten: now - 3*day}
		}, false, "forgot clients"},
		{"forgotten before", func(s *site) {
			s.add("192.0.2.1", ntp.KindSymmetric, 5, 60*day, 0)
			s.facts.Full = inventory.Full{Forgotten: 2, LastForgotten: now - 61*day}
		}, true, "nothing since"},
		{"the protected one goes on", func(s *site) {
			s.add("192.0.2.1", ntp.KindSymmetric, 5, 60*day, 0)
			s.add("192.0.2.250", ntp.KindSymmetric, 5, 10, 0)
		}, true, "from 192.0.2.1"},
		{"nobody ever", func(*site) {}, true, "nobody was ever seen"},
		{"nobody ever, but watched for a day", func(s *site) {
			s.facts.Watched = []gate.Interval{{Start: now - day, End: now}}
		}, false, "less than 7 days"},
		{"nobody ever, not watching", func(s *site) { s.facts.Watched = nil }, false, "not watching"},
		{"another means goes on", func(s *site) {
			s.add("192.0.2.1", ntp.KindSymmetric, 5, 60*day, 0)
			s.add("192.0.2.2", ntp.KindNone, 0, 10, 0)
		}, true, "nothing since"},
		{"another group goes on", func(s *site) {
			s.add("192.0.2.1", ntp.KindSymmetric, 5, 60*day, 0)
			s.add("198.51.100.2", ntp.KindSymmetric, 5, 10, 0)
		}, true, "nothing since"},
	} {
		t.Run(x.name, func(t *testing.T) {
			s := newSite(t)
			x.make(s)
			if m := s.report(t).find(t, "hall", "symmetric"); m.Left != x.left || !strings.Contains(m.Evidence, x.says) {
				t.Errorf("left %v, %q; want %v, %q", m.Left, m.Evidence, x.left, x.says)
			}
		})
	}
}

// TestCounts has clients with several keys, protected ones, and ones of no
// group.
func TestCounts(t *testing.T) {
	s := newSite(t)
	c := s.add("192.0.2.1", ntp.KindSymmetric, 5, 100, 0)
	again := c.Means[0]
	again.Key = 6
	nts := c.Means[0]
	nts.Kind, nts.First, nts.Last = ntp.KindNTS, now-9*day, now-10
	c.Means = append(c.Means, again, nts)
	s.add("192.0.2.2", ntp.KindSymmetric, 5, 200, 12)
	s.add("192.0.2.250", ntp.KindSymmetric, 5, 200, 0)
	s.add("198.51.100.2", ntp.KindAutokey, 0, 300, 0)
	r := s.report(t)
	m := r.find(t, "hall", "symmetric")
	if m.Clients != 2 || m.Using != 2 || m.Refused != 1 || m.Better != 1 || m.Protected != 1 || m.Left {
		t.Errorf("%+v", m)
	}
	if o := r.Means[len(r.Means)-1]; o.Group != "" || o.Means != "autokey" || o.Using != 1 {
		t.Errorf("%+v is last, want the clients of no group", o)
	}
	if len(r.Watched.Gaps) != 1 || r.Watched.Since.Unix() != now-90*day {
		t.Errorf("%+v", r.Watched)
	}
}

// TestSteps follows the history of two steps.
func TestSteps(t *testing.T) {
	s := newSite(t)
	at := func(d int64) time.Time { return time.Unix(now-d*day, 0).UTC() }
	s.entries = []history.Entry{
		{Time: at(60), Who: "uid 0", What: history.Declared},
		{Time: at(50), Who: "uid 1000 (anna)", What: history.Began, Group: "hall", Means: "symmetric", Step: 1, Stage: "canary",
			Why: "first try"},
		{Time: at(49), Who: "ntsbridge", What: history.BackedOut, Group: "hall", Means: "symmetric", Step: 1, Stage: "canary",
			Why: "2 clients | hurt"},
		{Time: at(40), Who: "uid 1000 (anna)", What: history.Forced, Group: "hall", Means: "symmetric", Step: 2, Stage: "refuse"},
		{Time: at(40), Who: "uid 1000 (anna)", What: history.Began, Group: "hall", Means: "symmetric", Step: 2, Stage: "refuse"},
	}
	r := s.report(t)
	steps := r.find(t, "hall", "symmetric").Steps
	if len(steps) != 2 || steps[0].Outcome != history.BackedOut || steps[0].Why != "2 clients | hurt" || !steps[0].Ended.Equal(at(49)) ||
		steps[1].Outcome != "in force" || !steps[1].Forced || steps[1].Who != "uid 1000 (anna)" {
		t.Errorf("%+v", steps)
	}
	if r.History.Lines != 5 || r.History.Hash == "" || r.History.Broken != "" {
		t.Errorf("%+v", r.History)
	}
	var b strings.Builder
	if err := r.WriteMarkdown(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"# Migration to NTS", "Plan plan.yaml", r.History.Hash, `2 clients \| hurt`, "in force, forced", "## hall, symmetric"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, b.String())
		}
	}
}

func TestBrokenHistoryIsSaid(t *testing.T) {
	s := newSite(t)
	b := New(&s.facts)
	var text strings.Builder
	if err := b.Report(history.End{Lines: 3}, history.ErrBroken).WriteMarkdown(&text); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text.String(), "cannot be trusted") {
		t.Error(text.String())
	}
}

// TestFormats reads what is written as other programs do.
func TestFormats(t *testing.T) {
	s := newSite(t)
	s.add("192.0.2.1", ntp.KindSymmetric, 5, 60*day, 0)
	r := s.report(t)
	var b bytes.Buffer
	if err := r.WriteCSV(&b); err != nil {
		t.Fatal(err)
	}
	lines, err := csv.NewReader(&b).ReadAll()
	if err != nil || len(lines) != 1+len(r.Means) || len(lines[0]) != len(Columns) {
		t.Errorf("%v, %q", err, lines)
	}
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var back Report
	if err := json.Unmarshal(text, &back); err != nil || len(back.Means) != len(r.Means) || !back.find(t, "hall", "symmetric").Left {
		t.Errorf("%v, %s", err, text)
	}
}

// TestWithoutPlan reports what is seen before anything is declared.
func TestWithoutPlan(t *testing.T) {
	s := newSite(t)
	s.facts.Status, s.facts.Resolver = nil, nil
	s.add("192.0.2.1", ntp.KindNone, 0, 60, 0)
	r := s.report(t)
	var b strings.Builder
	if err := r.WriteMarkdown(&b); err != nil {
		t.Fatal(err)
	}
	if m := r.find(t, "", "none"); m.Using != 1 || !strings.Contains(b.String(), "No plan was declared") {
		t.Errorf("%+v\n%s", m, b.String())
	}
}
