package simulate

import (
	"bytes"
	"encoding/json"
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"

	"ntsbridge/bridge/access"
	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/fleet/label"
	"ntsbridge/bridge/fleet/plan"
	"ntsbridge/bridge/fleet/stage"
	"ntsbridge/bridge/ntp"
)

const (
	now = 1_800_000_000
	day = 86400
	us  = 0x0a000001
)

// means is one that was answered, first and last so many seconds ago.
func means(kind ntp.Kind, key, first, last uint32) inventory.Means {
	return inventory.Means{Kind: kind, Key: key, Proved: kind != ntp.KindNone, Answered: 100, Interval: 64 * time.Second,
		Program: inventory.Chrony, First: now - first, Last: now - last, Served: now - last, Version: 4, Port: 123}
}

func client(last byte, list ...inventory.Means) *inventory.Client {
	c := &inventory.Client{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, last}), 32), Hosts: 1, Addresses: 1,
		First: now - 90*day, Means: list}
	for i := range list {
		c.Last = max(c.Last, list[i].Last)
		if list[i].Kind == ntp.KindNTS {
			c.KE = inventory.KeyExchange{Handshakes: 1, Last: list[i].First, Result: inventory.HandshakeAgreed}
		}
	}
	return c
}

const planText = `version: 1
protected: [192.0.2.250]
canary: {share: 20%, max: 5, polls: 10}
groups:
  - name: site
    prefixes: [192.0.2.0/24]
    stages: {symmetric: refuse, autokey: removed, none: canary}
`

func readPlan(t *testing.T) *plan.Plan {
	t.Helper()
	p, findings := plan.Parse("plan.yaml", []byte(planText))
	if err := findings.Err(); err != nil {
		t.Fatal(err)
	}
	return p
}

func each(list ...*inventory.Client) Each {
	return func(see func(*inventory.Client)) error {
		for _, c := range list {
			see(c)
		}
		return nil
	}
}

func TestOutcomes(t *testing.T) {
	sym, nts, none, autokey := ntp.KindSymmetric, ntp.KindNTS, ntp.KindNone, ntp.KindAutokey
	ntpd := func(c *inventory.Client, refid uint32) *inventory.Client {
		c.Means[0].Program = inventory.Ntpd
		c.Upstream = inventory.Upstream{Told: true, Stratum: 3, RefID: refid, Reference: c.Means[0].Last - 100}
		return c
	}
	hosts := func(c *inventory.Client) *inventory.Client { c.Hosts = 3; return c }
	byNtpdRs := func(c *inventory.Client) *inventory.Client { c.Means[1].Program = inventory.NtpdRs; return c }
	refused := means(sym, 5, 90*day, 10)
	refused.Answered = 0
	for _, x := range []struct {
		name    string
		client  *inventory.Client
		outcome Outcome
		by      string
		loses   string
	}{
		{"key alone", client(1, means(sym, 5, 90*day, 10)), Silent, "", "key 5"},
		{"key and NTS", client(1, means(sym, 5, 90*day, 10), means(nts, 15, 8*day, 5)), Continues, "nts", "key 5"},
		{"NTS given up", client(1, means(sym, 5, 90*day, 10), means(nts, 15, 30*day, 2*day)), Silent, "", "key 5"},
		{"key given up for NTS", client(1, means(sym, 5, 90*day, 6*day), means(nts, 15, 6*day-100, 5)), Continues, "nts", "key 5"},
		{"key given up long ago", client(1, means(sym, 5, 90*day, 9*day), means(nts, 15, 9*day, 5)), Unchanged, "", ""},
		{"key and none beside it", client(1, means(sym, 5, 90*day, 10), means(none, 0, 90*day, 5)), Silent, "", "key 5"},
		{"none since the key ended", client(1, means(sym, 5, 90*day, 3*day), means(none, 0, 2*day, 5)), Continues, "none", "key 5"},
		{"ntpd that follows another", ntpd(client(1, means(sym, 5, 90*day, 10)), 7), Elsewhere, "", "key 5"},
		{"ntpd that follows us", ntpd(client(1, means(sym, 5, 90*day, 10)), us), Silent, "", "key 5"},
		{"Autokey", client(1, means(autokey, 0, 90*day, 10)), Silent, "", "autokey"},
		{"NAT", hosts(client(1, means(sym, 5, 90*day, 10), means(nts, 15, 8*day, 5))), CannotTell, "nts", "key 5"},
		{"NTS by another program at the same time", byNtpdRs(client(1, means(sym, 5, 90*day, 10), means(nts, 15, 8*day, 5))), CannotTell,
			"nts", "key 5"},
		{"NTS by another program since", byNtpdRs(client(1, means(sym, 5, 90*day, 6*day), means(nts, 15, 6*day-100, 5))), Continues, "nts", "key 5"},
		{"protected", client(250, means(sym, 5, 90*day, 10)), Unchanged, "", ""},
		{"of another site", &inventory.Client{Prefix: netip.MustParsePrefix("198.51.100.1/32"), Last: now - 5, Hosts: 1,
			Means: []inventory.Means{means(sym, 5, 90*day, 5)}}, Unchanged, "", ""},
		{"hashed", &inventory.Client{Hashed: true, Last: now - 5, Means: []inventory.Means{means(sym, 5, 90*day, 5)}}, CannotTell, "", ""},
		{"refused anyway", client(1, refused), Refused, "", ""},
		{"gone", client(1, means(sym, 5, 90*day, 31*day)), Away, "", ""},
		{"switched off", client(1, means(sym, 5, 90*day, 3*day)), Away, "", "key 5"},
		{"NTS", client(1, means(nts, 15, 90*day, 10)), Unchanged, "", ""},
	} {
		t.Run(x.name, func(t *testing.T) {
			s, err := New(Policy{Plan: readPlan(t), Stage: Targets, Key: []byte("k"),
				Gateway: Gateway{Ours: func(id uint32) bool { return id == us }}}, each(), now, now-60*day)
			if err != nil {
				t.Fatal(err)
			}
			r := s.Row(x.client)
			var loses []string
			for _, l := range r.Loses {
				loses = append(loses, l.Means)
			}
			if r.Outcome != x.outcome || r.By != x.by || strings.Join(loses, ",") != x.loses {
				t.Errorf("%s by %q, loses %v; want %s by %q, %q: %s", r.Outcome, r.By, loses, x.outcome, x.by, x.loses, r.Why)
			}
			if r.Outcome != Unchanged && r.Why == "" {
				t.Error("no evidence")
			}
		})
	}
}

// What the gateway has against a client counts too: a capture of the old server
// shows keys that the new one has not.
func TestGatewayRefuses(t *testing.T) {
	rules := everybody()
	rules[0].Keys = []access.KeyRange{{Low: 1, High: 9}}
	table, err := access.NewTable(rules)
	if err != nil {
		t.Fatal(err)
	}
	p := Policy{Plan: readPlan(t), Stage: plan.Observe, Gateway: Gateway{Access: table, HasKey: func(id uint32) bool { return id != 6 },
		No: map[ntp.Kind]bool{ntp.KindAutokey: true}}}
	s, err := New(p, each(), now, 0)
	if err != nil {
		t.Fatal(err)
	}
	for reason, c := range map[string]*inventory.Client{
		"":            client(1, means(ntp.KindSymmetric, 5, day, 1)),
		"unknown-key": client(1, means(ntp.KindSymmetric, 6, day, 1)),
		"key-address": client(1, means(ntp.KindSymmetric, 10, day, 1)),
		"not-enabled": client(1, means(ntp.KindAutokey, 0, day, 1)),
	} {
		r := s.Row(c)
		got := ""
		if len(r.Loses) > 0 {
			got = r.Loses[0].Reason
		}
		if got != reason {
			t.Errorf("%q, want %q: %+v", got, reason, r)
		}
	}
}

func TestReport(t *testing.T) {
	p := Policy{Plan: readPlan(t), Stage: Targets, Key: []byte("k"),
		Where: stage.Where{Labels: label.NewSet([]label.Label{{Prefix: netip.MustParsePrefix("192.0.2.0/25"), Site: "fra"}})}}
	var list []*inventory.Client
	for n := byte(1); n <= 20; n++ {
		list = append(list, client(n, means(ntp.KindSymmetric, 5, 90*day, 10)), client(100+n, means(ntp.KindNone, 0, 90*day, 10)),
			client(200+n, means(ntp.KindNTS, 15, 90*day, 10)))
	}
	s, err := New(p, each(list...), now, now-60*day)
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.Run(each(list...), LoadOptions{Cost: 0.001}, 0)
	if err != nil {
		t.Fatal(err)
	}
	lost := r.Total[Silent]
	if r.Clients != 60 || lost < 21 || lost > 25 || r.Total[Unchanged] != 60-lost || len(r.Rows) != lost {
		t.Errorf("%+v: a canary of at most 5 of 20 and all 20 with a key", r.Total)
	}
	if r.Now.Clients != 20 || r.Then.Clients != 20+lost || math.Abs(r.Then.Step-float64(lost)/3600) > 1e-9 {
		t.Errorf("%+v, %+v", r.Now, r.Then)
	}
	var text, csv bytes.Buffer
	if err := r.WriteText(&text, 5); err != nil || !strings.Contains(text.String(), "site refuse") ||
		!strings.Contains(text.String(), "more)") {
		t.Errorf("%v\n%s", err, text.String())
	}
	few, err := s.Run(each(list...), LoadOptions{Cost: 0.001}, 5)
	if err != nil || len(few.Rows) != 5 {
		t.Errorf("%v, %d rows", err, len(few.Rows))
	}
	var short bytes.Buffer
	if err := few.WriteText(&short, 5); err != nil || short.String() != text.String() {
		t.Errorf("%v: with few rows kept\n%swant\n%s", err, short.String(), text.String())
	}
	if err := r.WriteCSV(&csv); err != nil || strings.Count(csv.String(), "\n") != lost+1 {
		t.Errorf("%v\n%s", err, csv.String())
	}
	if _, err := json.Marshal(r); err != nil {
		t.Error(err)
	}
	if _, err := New(Policy{Plan: readPlan(t), Groups: []string{"nobody"}}, each(), now, 0); err == nil {
		t.Error("a group that the plan has not")
	}
}

// The survey computed 10,000 clients of each program and an outage of 600 s.
func TestLoadAgainstTheSurvey(t *testing.T) {
	for _, x := range []struct {
		program       string
		poll          int
		outage, after float64
	}{
		{inventory.Chrony, 16, 625, 625}, {inventory.Ntpsec, 16, 625, 2.4}, {inventory.NtpdRs, 16, 10000, 10000},
		{inventory.Chrony, 64, 156, 156}, {inventory.Ntpsec, 64, 156, 2.4}, {inventory.NtpdRs, 64, 10000, 10000},
		{inventory.Chrony, 128, 0, 0}, {inventory.Ntpsec, 128, 0, 0}, {inventory.NtpdRs, 128, 0, 0},
	} {
		l := newLoads(LoadOptions{})
		for range 10_000 {
			l.add(x.program, time.Duration(x.poll)*time.Second, false)
		}
		got := l.finish()
		if math.Abs(got.Outage-x.outage) > 1 || math.Abs(got.After-x.after) > 1 {
			t.Errorf("%s at %d s: %.1f in the outage, %.1f after it, want %v, %v", x.program, x.poll, got.Outage, got.After, x.outage, x.after)
		}
	}
}
