package config

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestSourceSet(t *testing.T) {
	s := DefaultSource()
	s.Server, s.MinPoll, s.MaxPoll = "192.0.2.1", 2, 3
	if err := s.Set(map[string]any{"maxpoll": 5, "max_delay": "10ms", "prefer": true}); err != nil || s.MaxPoll != 5 || !s.Prefer ||
		s.MaxDelay != 10e6 || s.MinPoll != 2 {
		t.Errorf("%v: %+v", err, s)
	}
	before := s
	for _, bad := range []map[string]any{{"minpoll": 6}, {"minpoll": 99}, {"nothing": 1}, {"prefer": "yes please"}} {
		if err := s.Set(bad); err == nil || s.MinPoll != before.MinPoll || s.Prefer != before.Prefer {
			t.Errorf("%v: %v: %+v", bad, err, s)
		}
	}
}

// TestAccessWith compares with what chronyd's allow and deny do to the
// addresses that stand for the networks.
func TestAccessWith(t *testing.T) {
	rule := func(action string, prefixes ...string) AccessRule {
		r := DefaultRule()
		r.Action = action
		for _, p := range prefixes {
			r.Prefixes = append(r.Prefixes, netip.MustParsePrefix(p))
		}
		return r
	}
	base := Access{Default: DefaultRule(), Rules: []AccessRule{rule(ActionDeny, "10.0.0.0/8", "192.0.2.0/24"),
		rule(ActionAllow, "10.1.0.0/16")}}
	decide := func(a Access) string {
		var b strings.Builder
		for _, addr := range []string{"10.1.2.3", "10.2.3.4", "192.0.2.1", "198.51.100.1"} {
			at, action, bits := netip.MustParseAddr(addr), a.Default.Action, -1
			for _, r := range a.Rules {
				for _, p := range r.Prefixes {
					if p.Contains(at) && p.Bits() > bits {
						action, bits = r.Action, p.Bits()
					}
				}
			}
			b.WriteByte(action[0])
		}
		return b.String()
	}
	for _, c := range []struct {
		network, action string
		all             bool
		want            string
	}{
		{"", ActionDeny, false, "addd"}, {"", ActionDeny, true, "dddd"}, {"", ActionAllow, true, "aaaa"},
		{"10.0.0.0/8", ActionAllow, false, "aada"}, {"10.0.0.0/8", ActionDeny, true, "ddda"}, {"10.0.0.0/8", ActionDeny, false, "adda"},
		{"10.2.0.0/16", ActionAllow, false, "aada"}, {"192.0.2.1/32", ActionAllow, false, "adaa"},
		{"198.51.0.0/16", ActionDeny, true, "addd"},
	} {
		var network netip.Prefix
		if c.network != "" {
			network = netip.MustParsePrefix(c.network)
		}
		if got := decide(base.With(network, c.action, c.all)); got != c.want {
			t.Errorf("%s %s (all %v): %s, want %s", c.action, c.network, c.all, got, c.want)
		}
	}
	if decide(base) != "adda" || len(base.Rules) != 2 || !slices.Equal(base.Rules[0].Prefixes, rule("", "10.0.0.0/8", "192.0.2.0/24").Prefixes) {
		t.Error("the rules that it was made of have changed")
	}
}
