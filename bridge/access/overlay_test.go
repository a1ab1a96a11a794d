package access

import (
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"ntsbridge/bridge/ntp"
)

// Whatever rules and overlays there are, one look-up finds what two naive ones
// find, and nothing is allowed that the rules do not allow.
func TestOverlayAgainstTwoLookups(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		prefix := func(name string) netip.Prefix {
			few := rapid.IntRange(0, 3)
			a := netip.AddrFrom4([4]byte{10, byte(few.Draw(t, name+" b")), 0, byte(few.Draw(t, name+" d"))})
			return netip.PrefixFrom(a, rapid.SampledFrom([]int{0, 8, 16, 24, 31, 32}).Draw(t, name+" bits")).Masked()
		}
		var rules []Rule
		seen := map[entry]bool{}
		for range rapid.IntRange(0, 5).Draw(t, "rules") {
			r := Rule{Prefix: prefix("rule"), SourcePort123: rapid.Bool().Draw(t, "ntpport"), Kinds: AllKinds,
				Action: Action(rapid.IntRange(0, 1).Draw(t, "action"))}
			if e := (entry{r.Prefix, r.SourcePort123}); !seen[e] {
				seen[e] = true
				rules = append(rules, r)
			}
		}
		table, err := NewTable(rules)
		if err != nil {
			t.Fatal(err)
		}
		var o Overlays
		naive := map[netip.Prefix]*Overlay{}
		for i := range rapid.IntRange(0, 6).Draw(t, "overlays") {
			p := prefix("overlay")
			v := &Overlay{}
			if rapid.Bool().Draw(t, "refuses") {
				v.None = &Step{ID: uint32(i + 1)}
				v.Keys = []KeyStep{{5, v.None}, {7, nil}}
				v.Symmetric = &Step{ID: 100}
			}
			o.Set(p, v)
			naive[p] = v
		}
		both := table.With(&o)
		for range 40 {
			from := netip.AddrPortFrom(prefix("client").Addr(), rapid.SampledFrom([]uint16{123, 4000}).Draw(t, "port"))
			var want *Overlay
			longest := -1
			for p, v := range naive {
				if p.Contains(from.Addr()) && p.Bits() > longest {
					want, longest = v, p.Bits()
				}
			}
			one, two := both.Lookup(from), table.Lookup(from)
			for _, k := range []ntp.Kind{ntp.KindNone, ntp.KindSymmetric, ntp.KindAutokey, ntp.KindNTS} {
				a, ra := one.Judge(k, 4)
				b, rb := two.Judge(k, 4)
				if a != b || ra != rb {
					t.Fatalf("%v %v: the rule says %v, %v with the overlay and %v, %v without", from, k, a, ra, b, rb)
				}
				for _, key := range []uint32{5, 6, 7} {
					var step *Step
					if want != nil && b == ntp.Answer {
						step = want.step(k, key)
					}
					if got := one.Refuses(k, key); b == ntp.Answer && got != step {
						t.Fatalf("%v %v key %d: step %v, want %v", from, k, key, got, step)
					}
				}
			}
		}
	})
}

func BenchmarkLookupWithOverlay(b *testing.B) {
	table, err := NewTable([]Rule{{Prefix: netip.MustParsePrefix("0.0.0.0/0"), Action: Allow, Kinds: AllKinds}})
	if err != nil {
		b.Fatal(err)
	}
	var o Overlays
	served := &Overlay{Symmetric: &Step{}}
	for i := range 1000 {
		o.Set(netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 0}), 24), served)
	}
	from := netip.AddrPortFrom(netip.MustParseAddr("10.1.7.9"), 4000)
	for name, t := range map[string]*Table{"without": table, "with": table.With(&o)} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if t.Lookup(from).Refuses(ntp.KindNone, 0) != nil {
					b.Fatal("refused")
				}
			}
		})
	}
}
