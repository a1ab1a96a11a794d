package stage

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"ntsbridge/bridge/access"
	"ntsbridge/bridge/fleet/label"
	"ntsbridge/bridge/fleet/plan"
	"ntsbridge/bridge/ntp"
)

// world is a plan with its surroundings, and the steps that refuse.
type world struct {
	plan     *plan.Plan
	where    Where
	refusals []Refusal
}

var prefixes = []string{"0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "10.1.1.0/24", "10.1.1.1/32", "10.1.1.2/32", "10.2.0.0/16", "::/0",
	"2001:db8::/64"}

func draw(t *rapid.T) *world {
	prefix := func(name string) netip.Prefix {
		return netip.MustParsePrefix(rapid.SampledFrom(prefixes).Draw(t, name))
	}
	selector := func(name string) (s plan.Selector) {
		for range rapid.IntRange(0, 2).Draw(t, name+" prefixes") {
			s.Prefixes = append(s.Prefixes, prefix(name))
		}
		if rapid.Bool().Draw(t, name+" labelled") {
			s.Labels = []string{rapid.SampledFrom([]string{"fra", "muc"}).Draw(t, name+" label")}
		}
		if rapid.Bool().Draw(t, name+" keyed") {
			s.Keys = []uint32{uint32(rapid.IntRange(5, 6).Draw(t, name+" key"))}
		}
		if rapid.Bool().Draw(t, name+" grouped") {
			s.AutokeyGroups = []string{"x"}
		}
		return s
	}
	w := &world{plan: &plan.Plan{}, where: Where{Autokey: map[netip.Prefix]string{}}}
	for i := range rapid.IntRange(1, 4).Draw(t, "groups") {
		g := &plan.Group{Name: fmt.Sprint("g", i), Selector: selector("group")}
		for m := range plan.MeansCount {
			if rapid.Bool().Draw(t, "target") {
				g.Targets[m] = plan.Target{Stage: plan.Refuse, Line: 1}
				if rapid.Bool().Draw(t, "refuses") {
					f := Refusal{Step: &access.Step{ID: uint32(len(w.refusals) + 1)}, Group: g.Name, Means: plan.Means(m)}
					if rapid.Bool().Draw(t, "canary") {
						f.Only = []netip.Prefix{netip.MustParsePrefix(rapid.SampledFrom([]string{"10.1.1.1/32", "10.2.2.2/32",
							"2001:db8::/64"}).Draw(t, "only"))}
					}
					w.refusals = append(w.refusals, f)
				}
			}
		}
		w.plan.Groups = append(w.plan.Groups, g)
	}
	for range rapid.IntRange(0, 2).Draw(t, "protected") {
		w.plan.Protected = append(w.plan.Protected, plan.Protected{Selector: selector("protected")})
	}
	var labels []label.Label
	for _, p := range prefixes {
		if rapid.Bool().Draw(t, "label "+p) {
			site := rapid.SampledFrom([]string{"fra", "muc"}).Draw(t, "site")
			labels = append(labels, label.Label{Prefix: netip.MustParsePrefix(p), Site: site})
		}
	}
	w.where.Labels = label.NewSet(labels)
	for _, p := range []string{"10.1.1.1/32", "2001:db8::/64"} {
		w.where.Autokey[netip.MustParsePrefix(p)] = rapid.SampledFrom([]string{"x", "y"}).Draw(t, "Autokey group")
	}
	return w
}

// naive finds the step that refuses a packet by looking at everything.
func (w *world) naive(a netip.Addr, m plan.Means, key uint32) (id uint32) {
	var l *label.Label
	for _, e := range w.where.Labels.All() {
		if e.Prefix.Contains(a) && (l == nil || e.Prefix.Bits() > l.Prefix.Bits()) {
			l = e
		}
	}
	group := ""
	for p, g := range w.where.Autokey {
		if p.Contains(a) {
			group = g
		}
	}
	reach := func(s *plan.Selector) int {
		if len(s.Prefixes)+len(s.Labels) == 0 {
			return 0
		}
		n := -1
		for _, p := range s.Prefixes {
			if p.Contains(a) {
				n = max(n, p.Bits())
			}
		}
		if l != nil && slices.Contains(s.Labels, l.Site) {
			n = max(n, l.Prefix.Bits())
		}
		return n
	}
	named := func(s *plan.Selector) bool {
		return m == plan.Symmetric && slices.Contains(s.Keys, key) || m == plan.Autokey && slices.Contains(s.AutokeyGroups, group)
	}
	narrow := func(s *plan.Selector) bool {
		return m == plan.Symmetric && len(s.Keys) > 0 || m == plan.Autokey && len(s.AutokeyGroups) > 0
	}
	for i := range w.plan.Protected {
		s := &w.plan.Protected[i].Selector
		if reach(s) >= 0 && (named(s) || len(s.Keys)+len(s.AutokeyGroups) == 0) {
			return 0
		}
	}
	best, bestName := -1, ""
	for _, g := range w.plan.Groups {
		s := &g.Selector
		n := reach(s)
		if g.Targets[m].Line == 0 || n < 0 || narrow(s) && !named(s) || !narrow(s) && len(s.Prefixes)+len(s.Labels) == 0 {
			continue
		}
		if named(s) {
			n += 1000
		}
		if n > best {
			best, bestName = n, g.Name
		}
	}
	for _, f := range w.refusals {
		if f.Group == bestName && f.Means == m && (f.Only == nil || f.Only[0].Contains(a)) {
			return f.Step.ID
		}
	}
	return 0
}

// At any moment every refused packet is explained by exactly one declared step,
// the one that a naive reading of plan and state names.
func TestEveryRefusalIsExplained(t *testing.T) {
	all := []access.Rule{{Prefix: everything[0], Action: access.Allow, Kinds: access.AllKinds},
		{Prefix: everything[1], Action: access.Allow, Kinds: access.AllKinds}}
	table, err := access.NewTable(all)
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		w := draw(t)
		r := NewResolver(w.plan, w.where)
		both := table
		if o := r.Compile(w.refusals); o != nil {
			both = table.With(o)
		}
		for _, s := range []string{"10.1.1.1", "10.1.1.2", "10.1.1.3", "10.1.9.1", "10.2.2.2", "10.9.9.9", "192.0.2.1", "2001:db8::7",
			"2001:db9::7"} {
			a := netip.MustParseAddr(s)
			rule := both.Lookup(netip.AddrPortFrom(a, 4000))
			for m := range plan.Means(plan.MeansCount) {
				for _, key := range []uint32{4, 5, 6} {
					got := uint32(0)
					if step := rule.Refuses(m.Kind(), key); step != nil {
						got = step.ID
					}
					if want := w.naive(a, m, key); got != want {
						t.Fatalf("%s by %v key %d: step %d, want %d\n%+v", s, m, key, got, want, w.refusals)
					}
				}
			}
			if rule.Refuses(ntp.KindNTS, 0) != nil {
				t.Fatal("NTS is refused")
			}
		}
	})
}

func TestCanary(t *testing.T) {
	var clients []Candidate
	for i := range 1000 {
		a := netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
		clients = append(clients, Candidate{netip.PrefixFrom(a, 32), 1})
	}
	key := []byte("secret")
	small := Canary(key, plan.None, clients, 0.02, 1000)
	large := Canary(key, plan.None, clients, 0.05, 1000)
	if len(small) < 5 || len(small) > 40 || len(large) < 25 || len(large) > 80 {
		t.Errorf("%d of 2%%, %d of 5%%", len(small), len(large))
	}
	for _, p := range small {
		if !slices.Contains(large, p) {
			t.Fatalf("%v was in the smaller canary alone", p)
		}
	}
	slices.Reverse(clients)
	if again := Canary(key, plan.None, clients, 0.02, 1000); !slices.Equal(again, small) {
		t.Error("other clients than before")
	}
	if other := Canary([]byte("another"), plan.None, clients, 0.02, 1000); slices.Equal(other, small) {
		t.Error("the key makes no difference")
	}
	if n := len(Canary(key, plan.None, clients, 0.5, 7)); n != 7 {
		t.Errorf("%d of at most 7", n)
	}
	if n := len(Canary(key, plan.None, clients[:3], 0.0001, 7)); n != 1 {
		t.Errorf("%d of three clients: one at least, or it would prove nothing", n)
	}
	if n := len(Canary(key, plan.None, []Candidate{{clients[0].Prefix, 100}}, 0.5, 7)); n != 0 {
		t.Errorf("a row of a hundred addresses is more than 7")
	}
}
