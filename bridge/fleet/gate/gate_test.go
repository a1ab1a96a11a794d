package gate

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/fleet/plan"
	"ntsbridge/bridge/fleet/silence"
	"ntsbridge/bridge/ntp"
)

const (
	now = 1_800_000_000
	day = 86400
)

// site is a group of clients with keys and the facts around it.
type site struct {
	step    Step
	facts   Facts
	clients []inventory.Client
}

func newSite(gates plan.Gates) *site {
	s := &site{step: Step{Group: &plan.Group{Name: "g", Gates: gates}, Means: plan.Symmetric, Stage: plan.Refuse}}
	s.facts = Facts{
		Now: time.Unix(now, 0), Watched: []Interval{{now - 100*day, now}}, KECapacity: 1000, Certificate: time.Unix(now+90*day, 0),
		Ours:    func(refid uint32) bool { return refid == 1 },
		Member:  func(c *inventory.Client) (bool, bool) { return true, c.Prefix.Addr().As4()[3] == 250 },
		Uses:    func(_ *inventory.Client, m *inventory.Means) bool { return m.Kind == ntp.KindSymmetric },
		Refuses: func(*inventory.Client, *inventory.Means) bool { return true },
	}
	return s
}

func means(kind ntp.Kind, first, last uint32) inventory.Means {
	return inventory.Means{Kind: kind, Proved: true, Answered: 100, Interval: 64 * time.Second, Program: inventory.Chrony,
		First: now - first, Last: now - last, Served: now - last}
}

func (s *site) add(last byte, list ...inventory.Means) *inventory.Client {
	c := inventory.Client{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, last}), 32), Hosts: 1, Addresses: 1, Means: list}
	for _, m := range list {
		c.First, c.Last = now-100*day, max(c.Last, m.Last)
		if m.Kind == ntp.KindNTS {
			c.KE = inventory.KeyExchange{Handshakes: 1, Last: m.First, Result: inventory.HandshakeAgreed}
		}
	}
	s.clients = append(s.clients, c)
	return &s.clients[len(s.clients)-1]
}

func (s *site) only(t *testing.T) Result {
	t.Helper()
	e := New(s.step, &s.facts)
	for i := range s.clients {
		e.Add(&s.clients[i])
	}
	list := e.Results()
	if len(list) != 1 {
		t.Fatalf("%+v, want one gate", list)
	}
	return list[0]
}

func TestGates(t *testing.T) {
	key, nts := ntp.KindSymmetric, ntp.KindNTS
	legacy := func(last uint32) inventory.Means { return means(key, 90*day, last) }
	better := plan.Gates{BetterShare: 0.99, BetterDays: 7}
	watched := plan.Gates{WatchedDays: 7, LongestGap: time.Hour}
	mute := plan.Gates{AnotherServer: plan.AnotherOfMute}
	another := plan.Gates{AnotherServer: plan.AnotherOfAll}
	for _, x := range []struct {
		name  string
		gates plan.Gates
		make  func(s *site)
		open  bool
		says  string
		way   int
	}{
		{"all have NTS", better, func(s *site) { s.add(1, legacy(10), means(nts, 8*day, 5)) }, true, "1 of 1", 0},
		{"not yet for long enough", better, func(s *site) { s.add(1, legacy(10), means(nts, 6*day, 5)) }, false, "0 of 1", 1},
		{"given up again", better, func(s *site) { s.add(1, legacy(10), means(nts, 30*day, 3*day)) }, false, "0 of 1", 1},
		{"one of two", better, func(s *site) { s.add(1, legacy(10), means(nts, 8*day, 5)); s.add(2, legacy(5)) }, false, "1 of 2", 1},
		{"NTS alone counts", better, func(s *site) { s.add(1, means(nts, 8*day, 5)) }, true, "1 of 1", 0},
		{"NTS that never was right", better, func(s *site) {
			m := means(nts, 8*day, 5)
			m.Proved = false
			s.add(1, legacy(10), m)
		}, false, "0 of 1", 1},
		{"NTS of another host behind the address", better, func(s *site) {
			m := means(nts, 8*day, 5)
			m.Program = inventory.NtpdRs
			s.add(1, legacy(10), m)
		}, false, "0 of 1", 1},
		{"NTS of one of several hosts", better, func(s *site) { s.add(1, legacy(10), means(nts, 8*day, 5)).Estimate = 3 }, false, "0 of 1", 1},
		{"moved to another program", better, func(s *site) {
			m := means(nts, 8*day, 5)
			m.Program = inventory.NtpdRs
			s.add(1, legacy(3*day), m)
		}, true, "1 of 1", 0},
		{"protected aside", better, func(s *site) { s.add(250, legacy(5)); s.add(1, means(nts, 8*day, 5)) }, true, "1 of 1", 0},
		{"long gone", better, func(s *site) { s.add(1, means(nts, 8*day, 5)); s.add(2, legacy(40*day)) }, true, "1 more", 0},
		{"nobody", better, func(*site) {}, true, "no client", 0},
		{"a key is not better than a key", better, func(s *site) { s.add(1, legacy(10), means(key, 8*day, 5)) }, false, "0 of 1", 1},

		{"quiet", plan.Gates{QuietDays: 30}, func(s *site) { s.add(1, legacy(31*day), means(nts, 40*day, 5)) }, true, "0 clients", 0},
		{"not quiet", plan.Gates{QuietDays: 30}, func(s *site) { s.add(1, legacy(29*day)) }, false, "1 clients", 1},
		{"quiet, but not watched", plan.Gates{QuietDays: 30}, func(s *site) { s.facts.Watched = []Interval{{now - 20*day, now}} }, false,
			"only 480h0m0s were watched", 0},
		{"the protected one used it", plan.Gates{QuietDays: 30}, func(s *site) { s.add(250, legacy(1)) }, true, "0 clients", 0},

		{"watched", watched, func(*site) {}, true, "watched for", 0},
		{"watched with a short gap", watched, func(s *site) {
			s.facts.Watched = []Interval{{now - 100*day, now - 2*day}, {now - 2*day + 3600, now}}
		}, true, "2400h", 0},
		{"watched with a gap", watched, func(s *site) {
			s.facts.Watched = []Interval{{now - 100*day, now - 2*day}, {now - 2*day + 3601, now}}
		}, false, "47h", 0},
		{"watched long ago", watched, func(s *site) { s.facts.Watched = []Interval{{now - 100*day, now - 2*day}} }, false, "not watching", 0},
		{"never watched", watched, func(s *site) { s.facts.Watched = nil }, false, "not watching", 0},

		{"nobody forgotten", plan.Gates{NoForgotten: true}, func(*site) {}, true, "nobody", 0},
		{"forgotten", plan.Gates{NoForgotten: true, WatchedDays: 0}, func(s *site) {
			s.facts.Full = inventory.Full{Forgotten: 3, LastForgotten: now - 100}
		}, false, "3 clients", 0},
		{"forgotten long ago", plan.Gates{NoForgotten: true}, func(s *site) {
			s.facts.Full = inventory.Full{Forgotten: 3, LastForgotten: now - 2*day}
		}, true, "3 clients", 0},
		{"means forgotten", plan.Gates{NoForgotten: true}, func(s *site) {
			s.facts.Full = inventory.Full{Means: 1, LastMeans: now - 100}
		}, false, "1 means", 0},

		{"ntpd with another server", another, func(s *site) {
			m := legacy(5)
			m.Program = inventory.Ntpd
			s.add(1, m).Upstream = inventory.Upstream{Told: true, Stratum: 2, RefID: 9, Reference: now - 100}
		}, true, "0 show", 0},
		{"ntpd that follows us", another, func(s *site) {
			m := legacy(5)
			m.Program = inventory.Ntpd
			s.add(1, m).Upstream = inventory.Upstream{Told: true, Stratum: 2, RefID: 1, Reference: now - 100}
		}, false, "1 show", 1},
		{"chrony tells nothing", another, func(s *site) { s.add(1, legacy(5)) }, false, "1 show", 1},
		{"chrony with NTS beside", another, func(s *site) { s.add(1, legacy(5), means(nts, day, 5)) }, true, "0 show", 0},
		{"two hosts, one with NTS", another, func(s *site) { s.add(1, legacy(5), means(nts, day, 5)).Hosts = 2 }, false, "1 show", 1},
		{"chrony would not show it", mute, func(s *site) { s.add(1, legacy(5)) }, false, "1 would not show that they are hurt", 1},
		{"chrony has moved", mute, func(s *site) { s.add(1, legacy(5), means(nts, day, 5)) }, true, "0 of these show no other", 0},
		{"ntpd would show it", mute, func(s *site) {
			m := legacy(5)
			m.Program = inventory.Ntpd
			s.add(1, m).Upstream = inventory.Upstream{Told: true, Stratum: 2, RefID: 1, Reference: now - 100}
		}, true, "of 1 clients to be refused 0", 0},
		{"two ntpds behind one address", mute, func(s *site) {
			m := legacy(5)
			m.Program = inventory.Ntpd
			c := s.add(1, m)
			c.Hosts, c.Upstream = 2, inventory.Upstream{Told: true, Stratum: 2, RefID: 1, Reference: now - 100}
		}, false, "1 would not show", 1},
		{"silent since it was refused", another, func(s *site) {
			s.add(1, legacy(2*day))
			s.facts.Refused = func(*inventory.Client, *inventory.Means) []silence.Span {
				return []silence.Span{{From: now - 2*day - 10, To: now - 2*day + 1000}}
			}
		}, false, "1 show", 1},
		{"switched off", another, func(s *site) { s.add(1, legacy(day)) }, true, "0 show", 0},
		{"another gateway has it", another, func(s *site) {
			s.add(1, legacy(5))
			s.facts.Elsewhere = func(netip.Prefix) bool { return true }
		}, true, "0 show", 0},
		{"not refused by this step", another, func(s *site) {
			s.add(1, legacy(5))
			s.facts.Refuses = func(*inventory.Client, *inventory.Means) bool { return false }
		}, true, "of 0 clients", 0},

		{"room", plan.Gates{KEHeadroom: 2}, func(s *site) { s.add(1, legacy(5), means(nts, day, 5)) }, true, "times", 0},
		{"no room", plan.Gates{KEHeadroom: 2}, func(s *site) {
			s.add(1, legacy(5), means(nts, day, 5))
			s.facts.KECapacity = 0.03
		}, false, "1.92 times", 0},
		{"ntpd-rs asks each second", plan.Gates{KEHeadroom: 2}, func(s *site) {
			m := means(nts, day, 5)
			m.Program = inventory.NtpdRs
			s.add(1, legacy(5), m)
			s.facts.KECapacity = 1.9
		}, false, "1.9 times", 0},
		{"not measured", plan.Gates{KEHeadroom: 2}, func(s *site) {
			s.add(1, legacy(5), means(nts, day, 5))
			s.facts.KECapacity = 0
		}, false, "not measured", 0},
		{"nobody with NTS", plan.Gates{KEHeadroom: 2}, func(s *site) { s.add(1, legacy(5)) }, true, "no client", 0},
		{"NTS off", plan.Gates{KEHeadroom: 2}, func(s *site) { s.facts.Certificate = time.Time{} }, false, "NTS is off", 0},

		{"certificate", plan.Gates{CertificateDays: 30}, func(s *site) { s.step.Takes = 60 * day * time.Second }, true, "30.0 days", 0},
		{"certificate too short", plan.Gates{CertificateDays: 30}, func(s *site) { s.step.Takes = (60*day + 1) * time.Second }, false, "30.0 days", 0},
		{"no certificate", plan.Gates{CertificateDays: 30}, func(s *site) { s.facts.Certificate = time.Time{} }, false, "no certificate", 0},
	} {
		t.Run(x.name, func(t *testing.T) {
			s := newSite(x.gates)
			x.make(s)
			r := s.only(t)
			if r.Open != x.open || r.InTheWay != x.way || len(r.Clients) != x.way || !strings.Contains(r.Evidence, x.says) {
				t.Errorf("%+v, want open %v, %d in the way, %q", r, x.open, x.way, x.says)
			}
			if Open([]Result{r}) != x.open || (Shut([]Result{r}) == "") != x.open {
				t.Error("Open and Shut disagree with it")
			}
		})
	}
}

// TestNoGates is a plan that asks for nothing.
func TestNoGates(t *testing.T) {
	s := newSite(plan.Gates{})
	if list := New(s.step, &s.facts).Results(); len(list) != 0 || !Open(list) {
		t.Errorf("%+v", list)
	}
}

// TestListIsBounded has more clients in the way than are listed.
func TestListIsBounded(t *testing.T) {
	s := newSite(plan.Gates{QuietDays: 1})
	for i := range 3 * maxClients {
		s.add(byte(i%200), means(ntp.KindSymmetric, 5*day, 10))
	}
	if r := s.only(t); r.InTheWay != 3*maxClients || len(r.Clients) != maxClients {
		t.Errorf("%d in the way, %d listed", r.InTheWay, len(r.Clients))
	}
}
