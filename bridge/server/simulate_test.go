package server

import (
	"bytes"
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
	table := f.Begin()
	for _, p := range list {
		s.req = ntp.Request{Packet: bytes.Clone(p.packet), From: p.from, To: testServer, Received: systemTime()}
		r.handler.open(s)
		var base ntp.Header
		r.handler.clock.FillServed(&base, s.req.Received)
		n := r.handler.finish(s, &base, resp)
		key := feed.MeansKey(&s.req, &s.verdict)
		if s.verdict.Kind == ntp.KindNTS {
			key = 0
		}
		got[fmt.Sprint(p.from.Addr(), " ", s.req.Layout.Kind, " ", key)] = n > 0 && s.verdict.Action == ntp.Answer
		table.Note(&s.req, &s.verdict, s.sent, 0)
	}
	f.End(table)
	if v != nil {
		f.Drain(func(s *feed.Sighting) { v.See(s) })
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
				if !known || fate.Served == loses {
					t.Fatalf("%s: %+v, but %+v", name, fate, row)
				}
				if !fate.Served {
					want[name] = false
				}
			}
		})
		r.handler.state.Access = r.inForce(t, &p, each)
		if got := replay(t, r, list, nil); !maps.Equal(got, want) {
			for name := range want {
				if got[name] != want[name] {
					t.Errorf("%s: answered %v, simulated %v", name, got[name], want[name])
				}
			}
		}
	})
}

// drawTraffic are requests of clients at several sites, by one or two means.
func drawTraffic(t *rapid.T, r *rig) (list []recorded) {
	kinds := []string{"none", "MD5", "SHA1", "SHA256", "AES128CMAC", "autokey", "AEAD_AES_SIV_CMAC_256"}
	for n := range rapid.IntRange(5, 40).Draw(t, "clients") {
		site := netip.MustParsePrefix(rapid.SampledFrom(simulatedSites).Draw(t, "site")).Addr()
		a := site.AsSlice()
		a[len(a)-1] = byte(n)
		addr, _ := netip.AddrFromSlice(a)
		for range rapid.IntRange(1, 2).Draw(t, "means") {
			kind := rapid.SampledFrom(kinds).Draw(t, "kind")
			packet := r.requests[kind]
			if kind == "autokey" {
				packet = autokeyRequest(addr)
			}
			if packet == nil {
				t.Fatalf("no request of kind %s", kind)
			}
			list = append(list, recorded{netip.AddrPortFrom(addr, 123), packet})
		}
	}
	return list
}

// inForce puts a plan in force as the daemon does: steps compiled into an overlay
// over the access rules.
func (r *rig) inForce(t *rapid.T, p *simulate.Policy, each simulate.Each) *access.Table {
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
				f.Only = chosen(p, resolver, g, m, each)
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
func chosen(p *simulate.Policy, r *stage.Resolver, g *plan.Group, m plan.Means, each simulate.Each) []netip.Prefix {
	var list []stage.Candidate
	_ = each(func(c *inventory.Client) {
		for i := range c.Means {
			if c.Means[i].Kind != m.Kind() {
				continue
			}
			if of, protected := r.Member(c.Prefix, m, c.Means[i].Key); of == g && !protected {
				list = append(list, stage.Candidate{Prefix: c.Prefix, Count: 1})
			}
		}
	})
	return append([]netip.Prefix{}, stage.Canary(p.Key, m, list, g.Canary.Share, g.Canary.Max)...)
}
