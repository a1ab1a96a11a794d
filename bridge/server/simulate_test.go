package server

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ntsbridge/autokey"
	"ntsbridge/bridge/access"
	"ntsbridge/bridge/fleet/feed"
	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/fleet/label"
	"ntsbridge/bridge/fleet/plan"
	"ntsbridge/bridge/fleet/simulate"
	"ntsbridge/bridge/fleet/stage"
	"ntsbridge/bridge/ntp"
)

// recorded is a packet as a capture has it.
type recorded struct {
	from   netip.AddrPort
	packet []byte
	ago    time.Duration // when it came, before now
}

// served tells by address and means whether the last packet was answered.
type served map[string]bool

// replay sends recorded packets through the serving path, and tells an inventory
// as the workers do.
func replay(t *rapid.T, r *rig, list []recorded, v *inventory.Inventory) served {
	wake := make(chan struct{}, 1)
	f := feed.New(feed.MaxSize, [2]uint64{1, 2}, wake)
	s := new(slot)
	if err := s.init(); err != nil {
		t.Fatal(err)
	}
	resp := make([]byte, maxPacket)
	got := served{}
	now := time.Now()
	for _, p := range list {
		s.req = ntp.Request{Packet: bytes.Clone(p.packet), From: p.from, To: testServer, Received: ntp.TimestampFromTime(now.Add(-p.ago))}
		r.handler.open(s)
		var base ntp.Header
		r.handler.clock.FillServed(&base, s.req.Received)
		n := r.handler.finish(s, &base, resp)
		key := feed.MeansKey(&s.req, &s.verdict)
		if s.verdict.Kind == ntp.KindNTS {
			key = 0
		}
		got[fmt.Sprint(p.from.Addr(), " ", s.req.Layout.Kind, " ", key)] = n > 0 && s.verdict.Action == ntp.Answer
		if v != nil { // days lie between packets: each is seen before the next
			table := f.Begin()
			table.Note(&s.req, &s.verdict, s.sent, 0)
			f.End(table)
			f.Drain(func(s *feed.Sighting) { v.See(s) })
		}
	}
	return got
}

// autokeyRequest is one of a client that has its cookie.
func autokeyRequest(from netip.Addr) []byte {
	s := autokey.NewScratch(autokey.MD5)
	p := binary.BigEndian.AppendUint32(request(4, ntp.ModeClient, 42), 1<<20)
	key := bytes.Clone(s.SessionKey(from, testServer, 1<<20, s.Cookie(from, testServer, testSeed)))
	return append(p, s.MAC(key, p[:len(p)-4])...)
}

var simulatedSites = []string{"10.1.1.0/24", "10.1.2.0/24", "10.2.0.0/16", "2001:db8:1::/48"}

// drawSelector is where a group or a protection is.
func drawSelector(t *rapid.T, name string) (s plan.Selector) {
	if rapid.Bool().Draw(t, name+" by prefix") {
		s.Prefixes = []netip.Prefix{netip.MustParsePrefix(rapid.SampledFrom(append(simulatedSites, "10.0.0.0/8", "10.1.1.3/32")).Draw(t,
			name+" prefix"))}
	}
	if rapid.Bool().Draw(t, name+" by label") {
		s.Labels = []string{rapid.SampledFrom([]string{"fra", "muc"}).Draw(t, name+" label")}
	}
	if rapid.IntRange(0, 2).Draw(t, name+" by key") == 0 {
		s.Keys = []uint32{rapid.Uint32Range(1, 4).Draw(t, name+" key")}
	}
	return s
}

func drawPlan(t *rapid.T) *plan.Plan {
	p := &plan.Plan{}
	for i := range rapid.IntRange(1, 3).Draw(t, "groups") {
		g := &plan.Group{Name: fmt.Sprint("g", i), Selector: drawSelector(t, "group"), Canary: plan.Canary{Share: 0.3, Max: 3}}
		for m := range plan.MeansCount {
			if s := plan.Stage(rapid.IntRange(0, plan.StageCount).Draw(t, "target")); s < plan.StageCount {
				g.Targets[m] = plan.Target{Stage: s, Deny: s == plan.Removed && rapid.Bool().Draw(t, "deny"), Line: 1}
			}
		}
		p.Groups = append(p.Groups, g)
	}
	if rapid.Bool().Draw(t, "protects") {
		p.Protected = []plan.Protected{{Selector: drawSelector(t, "protected")}}
	}
	return p
}

// TestSimulationAgainstTheServingPath records clients of every kind on the serving
// path, says what a plan will do to each of them, puts the plan in force, replays
// the same packets, and compares client by client.
func TestSimulationAgainstTheServingPath(t *testing.T) {
	r := newRig(t)
	open := r.handler.state.Access
	labels := label.NewSet([]label.Label{{Prefix: netip.MustParsePrefix("10.1.0.0/16"), Site: "fra"},
		{Prefix: netip.MustParsePrefix("2001:db8::/32"), Site: "muc"}})
	rapid.Check(t, func(t *rapid.T) {
		r.handler.state.Access = open
		v, err := inventory.New(inventory.Options{Capacity: 1000, Seed: [2]uint64{1, 2}})
		if err != nil {
			t.Fatal(err)
		}
		list := drawTraffic(t, r)
		before := replay(t, r, list, v)
		now := uint32(time.Now().Unix()) + 1
		each := func(see func(*inventory.Client)) error {
			var c inventory.Client
			for i := range v.Places() {
				if v.Read(i, now, &c) {
					see(&c)
				}
			}
			return nil
		}
		p := simulate.Policy{Plan: drawPlan(t), Where: stage.Where{Labels: labels}, Key: []byte("secret"),
			Stage: plan.Stage(rapid.IntRange(int(plan.CanaryRefusal), plan.StageCount).Draw(t, "stage"))}
		s, err := simulate.New(p, each, now, 0)
		if err != nil {
			t.Fatal(err)
		}
		want := maps.Clone(before)
		_ = each(func(c *inventory.Client) {
			row := s.Row(c)
			for i := range c.Means {
				m := &c.Means[i]
				key := m.Key
				if m.Kind == ntp.KindNTS {
					key = 0
				}
				fate, known := s.Fate(c, m)
				name := fmt.Sprint(c.Prefix.Addr(), " ", m.Kind, " ", key)
				loses := slices.ContainsFunc(row.Loses, func(l simulate.Loss) bool { return l.Means == simulate.Named(m) })
				takes := !fate.Served && m.Answered > 0 && inUse(c, m, now)
				if !known || takes != loses {
					t.Fatalf("%s: %+v, but %+v", name, fate, row)
				}
				if !fate.Served {
					want[name] = false
				}
			}
		})
		r.handler.state.Access = r.inForce(t, &p, each, now)
		got := replay(t, r, list, nil)
		if !maps.Equal(got, want) {
			for name := range want {
				if got[name] != want[name] {
					t.Errorf("%s: answered %v, simulated %v", name, got[name], want[name])
				}
			}
		}
		_ = each(func(c *inventory.Client) {
			row := s.Row(c)
			if err := borneOut(c, &row, now, got); err != nil {
				t.Errorf("%+v: %v: %+v", row, err, c.Means)
			}
		})
	})
}

// inUse tells whether a client that was seen in the last month used a means in
// the last week of its life.
func inUse(c *inventory.Client, m *inventory.Means, now uint32) bool {
	return now-c.Last <= 30*86400 && c.Last-m.Last <= 7*86400
}

// borneOut says what of an outcome is not so in a replay.
func borneOut(c *inventory.Client, row *simulate.Row, now uint32, got served) error {
	answered, lost, by := 0, 0, false
	for i := range c.Means {
		m := &c.Means[i]
		if m.Answered == 0 || !inUse(c, m, now) {
			continue
		}
		key := m.Key
		if m.Kind == ntp.KindNTS {
			key = 0
		}
		if answered++; !got[fmt.Sprint(c.Prefix.Addr(), " ", m.Kind, " ", key)] {
			lost++
		} else if simulate.Named(m) == row.By {
			by = true
		}
	}
	switch o := row.Outcome; {
	case o == simulate.Away && now-c.Last > 30*86400:
	case o == simulate.Unchanged && lost == 0, o == simulate.Refused && answered == 0:
	case o == simulate.Continues && lost > 0 && by && max(c.Hosts, c.Estimate) <= 1:
	case o != simulate.Unchanged && o != simulate.Refused && o != simulate.Continues && lost > 0 && (row.By == "" || by):
	default:
		return fmt.Errorf("%d of %d means are refused in a replay, the one that stays is answered: %v", lost, answered, by)
	}
	return nil
}

// drawTraffic are requests of clients at several sites, by one or two means.
func drawTraffic(t *rapid.T, r *rig) (list []recorded) {
	kinds := []string{"none", "MD5", "SHA1", "SHA256", "AES128CMAC", "autokey", "AEAD_AES_SIV_CMAC_256"}
	for n := range rapid.IntRange(5, 40).Draw(t, "clients") {
		site := netip.MustParsePrefix(rapid.SampledFrom(simulatedSites).Draw(t, "site")).Addr()
		a := site.AsSlice()
		a[len(a)-1] = byte(n)
		addr, _ := netip.AddrFromSlice(a)
		for range rapid.IntRange(1, 3).Draw(t, "means") {
			kind := rapid.SampledFrom(kinds).Draw(t, "kind")
			packet := r.requests[kind]
			switch {
			case kind == "autokey":
				packet = autokeyRequest(addr)
			case kind == "none":
				packet = bytes.Clone(rapid.SampledFrom(simplePrograms).Draw(t, "program"))
			case packet == nil:
				t.Fatalf("no request of kind %s", kind)
			}
			// Hosts behind one address have ports of their own.
			port := rapid.SampledFrom([]uint16{123, 123, 1024, 40000}).Draw(t, "port")
			life := lives[rapid.SampledFrom(slices.Sorted(maps.Keys(lives))).Draw(t, "life")]
			for _, ago := range life {
				list = append(list, recorded{netip.AddrPortFrom(addr, port), packet, ago})
			}
		}
	}
	slices.SortStableFunc(list, func(a, b recorded) int { return cmp.Compare(b.ago, a.ago) })
	return list
}

// simplePrograms are requests without authentication: of chrony, ntpd 4.2 that
// follows another server, w32time (symmetric active, version 3), an appliance of
// SNTP version 1, and of another with version 3.
var simplePrograms = func() (list [][]byte) {
	for _, h := range []ntp.Header{
		{Version: 4, Mode: ntp.ModeClient, Poll: 6, Precision: 32, Transmit: 1<<60 + 12345},
		{Version: 4, Mode: ntp.ModeClient, Stratum: 3, Poll: 6, Precision: -24, ReferenceID: 0x0a63_0001, Reference: 1, Transmit: 77},
		{Version: 3, Mode: ntp.ModeSymmetricActive, Poll: 10, Precision: -6, Stratum: 3, ReferenceID: 0x0a63_0002, Transmit: 78},
		{Version: 1, Mode: ntp.ModeClient, Transmit: 79},
		{Version: 3, Mode: ntp.ModeClient, Poll: 6, Transmit: 80},
	} {
		p := make([]byte, ntp.HeaderLen)
		h.Encode(p)
		list = append(list, p)
	}
	return list
}()

// lives are when a client asked by a means, before now.
var lives = func() map[string][]time.Duration {
	const day = 24 * time.Hour
	var steady, brief, gap []time.Duration
	for i := range 6 {
		steady = append(steady, time.Duration(i)*64*time.Second)
		brief = append(brief, 5*day+time.Duration(i)*17*time.Minute)
		gap = append(gap, time.Duration(i*i)*day)
	}
	return map[string][]time.Duration{"once": {0}, "steady": steady, "one day only": brief, "with gaps": gap, "cron": {0, day, 2 * day},
		"given up": {9 * day, 10 * day}, "long gone": {40 * day, 41 * day}}
}()

// inForce puts a plan in force as the daemon does: steps compiled into an overlay
// over the access rules.
func (r *rig) inForce(t *rapid.T, p *simulate.Policy, each simulate.Each, now uint32) *access.Table {
	resolver := stage.NewResolver(p.Plan, p.Where)
	var refusals []stage.Refusal
	for _, g := range p.Plan.Groups {
		for m := range plan.Means(plan.MeansCount) {
			at := min(p.Stage, g.Targets[m].Stage)
			if g.Targets[m].Line == 0 || at < plan.CanaryRefusal {
				continue
			}
			f := stage.Refusal{Step: &access.Step{ID: uint32(len(refusals) + 1), Deny: at == plan.Removed && g.Targets[m].Deny},
				Group: g.Name, Means: m}
			if at == plan.CanaryRefusal {
				f.Only = chosen(p, resolver, g, m, each, now)
			}
			refusals = append(refusals, f)
		}
	}
	if o := resolver.Compile(refusals); o != nil {
		return r.handler.state.Access.With(o)
	}
	return r.handler.state.Access
}

// chosen are the clients of a canary.
func chosen(p *simulate.Policy, r *stage.Resolver, g *plan.Group, m plan.Means, each simulate.Each, now uint32) []netip.Prefix {
	var list []stage.Candidate
	_ = each(func(c *inventory.Client) {
		for i := range c.Means {
			if c.Means[i].Kind != m.Kind() || !stage.Active(c.Means[i].Last, c.Means[i].Interval, now) {
				continue
			}
			if of, protected := r.Member(c.Prefix, m, c.Means[i].Key); of == g && !protected {
				list = append(list, stage.Candidate{Prefix: c.Prefix, Count: 1})
			}
		}
	})
	return append([]netip.Prefix{}, stage.Canary(p.Key, m, list, g.Canary.Share, g.Canary.Max)...)
}
