package access

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ntsbridge/bridge/ntp"
)

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

func mustTable(t testing.TB, rules ...Rule) *Table {
	t.Helper()
	table, err := NewTable(rules)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestLookup(t *testing.T) {
	table := mustTable(t,
		Rule{Name: "default4", Prefix: prefix("0.0.0.0/0"), Action: Allow},
		Rule{Name: "site", Prefix: prefix("10.0.0.0/8"), Action: Allow},
		Rule{Name: "site-ntpport", Prefix: prefix("10.0.0.0/8"), SourcePort123: true},
		Rule{Name: "host", Prefix: prefix("10.1.2.3/32"), Action: Allow},
		Rule{Name: "only-ntpport", Prefix: prefix("10.9.0.0/16"), SourcePort123: true},
		Rule{Name: "six", Prefix: prefix("2001:db8::/32"), Action: Allow},
		Rule{Name: "six-link", Prefix: prefix("fe80::/10"), Action: Allow},
	)
	for from, want := range map[string]string{
		"192.0.2.1:5000":          "default4",
		"10.7.7.7:5000":           "site",
		"10.7.7.7:123":            "site-ntpport",
		"10.1.2.3:5000":           "host",
		"10.1.2.3:123":            "host", // a longer prefix goes before the port
		"10.9.1.1:123":            "only-ntpport",
		"10.9.1.1:124":            "site", // falls back to the shorter prefix
		"[::ffff:10.7.7.7]:5000":  "site",
		"[2001:db8::5]:123":       "six",
		"[2001:db9::5]:123":       "", // no default for IPv6: denied
		"[fe80::1%eth0]:5000":     "six-link",
		"[::ffff:192.0.2.1]:5000": "default4",
	} {
		r := table.Lookup(netip.MustParseAddrPort(from))
		if r == nil {
			t.Fatalf("%s: Lookup returned nil", from)
		}
		if r.Name != want {
			t.Errorf("%s: rule %q, want %q", from, r.Name, want)
		}
	}
	if a, why := table.Lookup(netip.MustParseAddrPort("[2001:db9::5]:9")).Judge(ntp.KindNTS, 4); a != ntp.Drop || why != ntp.ReasonDenied {
		t.Errorf("address without rule: %v %v, want it denied", a, why)
	}
	if r := table.Lookup(netip.AddrPort{}); r == nil || r.Action != Deny {
		t.Error("invalid address is not denied")
	}
}

// The order in which rules are given, in particular those for port 123, must
// not matter.
func TestOrderDoesNotMatter(t *testing.T) {
	any4 := Rule{Name: "any", Prefix: prefix("10.0.0.0/8")}
	ntpPort := Rule{Name: "ntpport", Prefix: prefix("10.0.0.0/8"), SourcePort123: true}
	for _, table := range []*Table{mustTable(t, any4, ntpPort), mustTable(t, ntpPort, any4)} {
		if got := table.Lookup(netip.MustParseAddrPort("10.0.0.1:123")).Name; got != "ntpport" {
			t.Errorf("from port 123: rule %q", got)
		}
		if got := table.Lookup(netip.MustParseAddrPort("10.0.0.1:124")).Name; got != "any" {
			t.Errorf("from port 124: rule %q", got)
		}
	}
}

func TestNewTableRefuses(t *testing.T) {
	net := prefix("10.0.0.0/8")
	for name, tc := range map[string]struct {
		rules []Rule
		want  string
	}{
		"no prefix":   {[]Rule{{}}, "prefix is missing"},
		"host bits":   {[]Rule{{Prefix: prefix("10.0.0.1/8")}}, "write 10.0.0.0/8"},
		"4in6":        {[]Rule{{Prefix: prefix("::ffff:10.0.0.0/104")}}, "write it as IPv4"},
		"twice":       {[]Rule{{Prefix: net}, {Prefix: net}}, "already in rule 1"},
		"kinds":       {[]Rule{{Prefix: net, Kinds: 0x80}}, "unknown kind"},
		"version":     {[]Rule{{Prefix: net, MinVersion: 5}}, "version 5"},
		"keys":        {[]Rule{{Prefix: net, Keys: []KeyRange{{5, 4}}}}, "5-4"},
		"key 0":       {[]Rule{{Prefix: net, Keys: []KeyRange{{0, 4}}}}, "begins with 0"},
		"interval":    {[]Rule{{Prefix: net, Rate: &RateLimit{Burst: 1}}}, "interval"},
		"burst":       {[]Rule{{Prefix: net, Rate: &RateLimit{Interval: 1}}}, "burst 0"},
		"leak":        {[]Rule{{Prefix: net, Rate: &RateLimit{Interval: 1, Burst: 1, Leak: 1.5}}}, "leak"},
		"minimum":     {[]Rule{{Prefix: net, Rate: &RateLimit{Interval: 1, Burst: 1, Minimum: -1}}}, "minimum"},
		"too long":    {[]Rule{{Prefix: net, Rate: &RateLimit{Interval: 1 << 62, Burst: 1}}}, "at most"},
		"port, twice": {[]Rule{{Prefix: net, SourcePort123: true}, {Prefix: net, SourcePort123: true}}, "already"},
	} {
		_, err := NewTable(tc.rules)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, tc.want)
		}
	}
}

func TestJudge(t *testing.T) {
	all := Rule{Action: Allow, Kinds: AllKinds, MinVersion: 1}
	noTrust := Rule{Action: Allow, Kinds: KindsOf(ntp.KindSymmetric, ntp.KindNTS)}
	version4 := Rule{Action: Allow, Kinds: AllKinds, MinVersion: 4}
	silent := Rule{Action: Deny, Kinds: AllKinds}
	rstr := Rule{Action: Deny, Kiss: KissRestrict}
	ntsOnly := Rule{Action: Allow, Kinds: KindsOf(ntp.KindNTS), Kiss: KissDeny}
	for _, tc := range []struct {
		name    string
		rule    Rule
		kind    ntp.Kind
		version uint8
		action  ntp.Action
		reason  ntp.Reason
	}{
		{"open", all, ntp.KindNone, 1, ntp.Answer, ntp.ReasonOK},
		{"open", all, ntp.KindAutokey, 4, ntp.Answer, ntp.ReasonOK},
		{"version 0", all, ntp.KindNone, 0, ntp.Drop, ntp.ReasonVersion},
		{"version 5", all, ntp.KindNone, 5, ntp.Drop, ntp.ReasonVersion},
		{"notrust", noTrust, ntp.KindNone, 4, ntp.Drop, ntp.ReasonAuthRequired},
		{"notrust", noTrust, ntp.KindAutokey, 4, ntp.Drop, ntp.ReasonAuthRequired},
		{"notrust", noTrust, ntp.KindSymmetric, 3, ntp.Answer, ntp.ReasonOK},
		{"version", version4, ntp.KindNone, 3, ntp.Drop, ntp.ReasonVersion},
		{"version", version4, ntp.KindNone, 4, ntp.Answer, ntp.ReasonOK},
		{"ignore", silent, ntp.KindNTS, 4, ntp.Drop, ntp.ReasonDenied},
		{"rstr", rstr, ntp.KindNTS, 4, ntp.KissRestrict, ntp.ReasonDenied},
		{"nts only", ntsOnly, ntp.KindSymmetric, 4, ntp.KissDeny, ntp.ReasonAuthRequired},
		{"invalid kind", all, ntp.Kind(7), 4, ntp.Drop, ntp.ReasonAuthRequired},
	} {
		if a, why := tc.rule.Judge(tc.kind, tc.version); a != tc.action || why != tc.reason {
			t.Errorf("%s, %v version %d: action %d %v, want %d %v", tc.name, tc.kind, tc.version, a, why, tc.action, tc.reason)
		}
	}
}

func TestJudgeKey(t *testing.T) {
	every := Rule{}
	some := Rule{Keys: []KeyRange{{3, 3}, {10, 19}}, Kiss: KissDeny}
	for _, id := range []uint32{1, 65536, 1<<32 - 1} {
		if a, _ := every.JudgeKey(id); a != ntp.Answer {
			t.Errorf("key %d refused without a list", id)
		}
	}
	for id, ok := range map[uint32]bool{2: false, 3: true, 4: false, 9: false, 10: true, 19: true, 20: false} {
		a, why := some.JudgeKey(id)
		if ok != (a == ntp.Answer) || !ok && (a != ntp.KissDeny || why != ntp.ReasonKeyAddress) {
			t.Errorf("key %d: action %d %v, want allowed=%v", id, a, why, ok)
		}
	}
}

// slowLookup is the obvious version of Lookup: the longest prefix wins, and at
// the same length the rule for port 123.
func slowLookup(rules []Rule, from netip.AddrPort) *Rule {
	best, bestRank := (*Rule)(nil), -1
	for i := range rules {
		r := &rules[i]
		if !r.Prefix.Contains(from.Addr()) || r.SourcePort123 && from.Port() != 123 {
			continue
		}
		rank := 2 * r.Prefix.Bits()
		if r.SourcePort123 {
			rank++
		}
		if rank > bestRank {
			best, bestRank = r, rank
		}
	}
	return best
}

func drawAddr(t *rapid.T) netip.Addr {
	// Few different octets, so that prefixes nest and addresses hit them.
	octet := rapid.SampledFrom([]byte{0, 1, 2, 0x80, 0xfe, 0xff})
	if rapid.Bool().Draw(t, "ipv4") {
		var b [4]byte
		for i := range b {
			b[i] = octet.Draw(t, "octet")
		}
		return netip.AddrFrom4(b)
	}
	b := [16]byte{0: 0x20}
	for i := 1; i < 16; i += 3 {
		b[i] = octet.Draw(t, "octet")
	}
	return netip.AddrFrom16(b)
}

func TestLookupAgainstSlow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seen := map[entry]bool{}
		var rules []Rule
		for range rapid.IntRange(0, 40).Draw(t, "rules") {
			addr := drawAddr(t)
			p, _ := addr.Prefix(rapid.IntRange(0, addr.BitLen()).Draw(t, "bits"))
			e := entry{p, rapid.Bool().Draw(t, "port123")}
			if seen[e] {
				continue
			}
			seen[e] = true
			rules = append(rules, Rule{Prefix: p, SourcePort123: e.fromNTP, Action: Allow})
		}
		table, err := NewTable(rules)
		if err != nil {
			t.Fatal(err)
		}
		for range 50 {
			from := netip.AddrPortFrom(drawAddr(t), rapid.SampledFrom([]uint16{123, 5000}).Draw(t, "port"))
			got, want := table.Lookup(from), slowLookup(rules, from)
			if want == nil {
				if got == nil || got.Action != Deny || got.Prefix.IsValid() {
					t.Fatalf("%v: %+v, want the built-in refusal", from, got)
				}
				continue
			}
			if got.Prefix != want.Prefix || got.SourcePort123 != want.SourcePort123 {
				t.Fatalf("%v: %+v, want %+v", from, got, want)
			}
		}
	})
}

func TestLookupDoesNotAllocate(t *testing.T) {
	table := mustTable(t, benchRules()...)
	addrs := []netip.AddrPort{
		netip.MustParseAddrPort("10.20.30.40:123"),
		netip.MustParseAddrPort("[2001:db8:1:2::3]:5000"),
		netip.MustParseAddrPort("[::ffff:10.20.30.40]:5000"),
		netip.MustParseAddrPort("[fe80::1%lo]:5000"),
	}
	if n := testing.AllocsPerRun(100, func() {
		for _, a := range addrs {
			r := table.Lookup(a)
			r.Judge(ntp.KindSymmetric, 4)
			r.JudgeKey(7)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func benchRules() []Rule {
	rules := []Rule{
		{Prefix: prefix("0.0.0.0/0"), Action: Allow, Kinds: AllKinds},
		{Prefix: prefix("::/0"), Action: Allow, Kinds: AllKinds},
	}
	limit := &RateLimit{Interval: time.Second, Burst: 8}
	for i := range 1000 {
		a := netip.AddrFrom4([4]byte{10, byte(i >> 4), byte(i << 4), 0})
		rules = append(rules, Rule{Prefix: netip.PrefixFrom(a, 28), Action: Allow, Rate: limit})
	}
	return rules
}

func BenchmarkLookup(b *testing.B) {
	table := mustTable(b, benchRules()...)
	for name, from := range map[string]netip.AddrPort{
		"IPv4": netip.MustParseAddrPort("10.20.32.4:40000"),
		"IPv6": netip.MustParseAddrPort("[2001:db8:1:2::3]:40000"),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				table.Lookup(from)
			}
		})
	}
}
