package convert

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/convert/ntpconf"
	"ntsbridge/bridge/convert/restrict"
)

// naive finds an entry as ntpd does: by a walk through the sorted list.
func naive(l *restrict.List, from netip.AddrPort) *restrict.Entry {
	list := slices.Clone(l.Entries)
	slices.SortStableFunc(list, func(a, b *restrict.Entry) int {
		if c := bytes.Compare(b.Addr.AsSlice(), a.Addr.AsSlice()); c != 0 {
			return c
		}
		if c := bytes.Compare(b.Mask.AsSlice(), a.Mask.AsSlice()); c != 0 {
			return c
		}
		return int(b.Flags&restrict.FlagSourcePort) - int(a.Flags&restrict.FlagSourcePort)
	})
	for _, e := range list {
		if e.Addr.Is4() == from.Addr().Is4() && restrict.Masked128(from.Addr(), e.Mask) == e.Addr &&
			(!e.Flags.Has(restrict.FlagSourcePort) || from.Port() == 123) {
			return e
		}
	}
	return nil
}

// drawRestricts returns restrict lines over few networks, so that they nest
// and cross.
func drawRestricts(t *rapid.T) string {
	var b strings.Builder
	for range rapid.IntRange(0, 12).Draw(t, "lines") {
		what := rapid.SampledFrom([]string{"default", "-4 default", "-6 default", "10.0.0.0", "10.1.0.0", "10.1.2.0", "10.1.2.3",
			"10.255.255.255", "2001:db8::", "2001:db8::1", "0.0.0.0"}).Draw(t, "address")
		b.WriteString("restrict " + what)
		masks := []string{"", "255.0.0.0", "255.255.0.0", "255.255.255.0", "255.255.255.252", "255.0.255.0", "0.0.0.0", "0.255.0.0"}
		if strings.Contains(what, "2001") {
			masks = []string{"", "ffff:ffff::", "ffff:ffff:ffff::", "::"}
		}
		if mask := rapid.SampledFrom(masks).Draw(t, "mask"); mask != "" && !strings.Contains(what, "default") {
			b.WriteString(" mask " + mask)
		}
		for _, flag := range rapid.SliceOfN(rapid.SampledFrom(strings.Fields(ntpconf.RestrictFlags)), 0, 4).Draw(t, "flags") {
			if flag != "epeer" {
				b.WriteString(" " + flag)
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}

// TestAccessProperty converts random restrict lists, reads the YAML back, and
// compares it with ntpd's list for random addresses: nobody gets more.
func TestAccessProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		conf := drawRestricts(t)
		res := Convert(Input{Name: "ntp.conf", Data: []byte(conf)}, Options{Dialect: "ntp"})
		if res.Output == nil {
			return // a mask with holes and a restriction: asked
		}
		c, err := config.Parse("x", "/", res.Output)
		if err != nil {
			t.Fatalf("%v\n%s\n%s", err, conf, res.Output)
		}
		table, err := c.AccessTable()
		if err != nil {
			t.Fatal(err)
		}
		for range 30 {
			a := netip.AddrFrom4([4]byte{rapid.SampledFrom([]byte{0, 10, 11}).Draw(t, "a"),
				rapid.SampledFrom([]byte{0, 1, 2, 255}).Draw(t, "b"),
				rapid.SampledFrom([]byte{0, 2, 3, 255}).Draw(t, "c"), rapid.SampledFrom([]byte{0, 1, 3, 255}).Draw(t, "d")})
			if rapid.Bool().Draw(t, "ipv6") {
				a = netip.MustParseAddr(rapid.SampledFrom([]string{"::", "2001:db8::", "2001:db8::1", "2001:db8:0:1::",
					"2001:db9::"}).Draw(t, "address"))
			}
			at := netip.AddrPortFrom(a, rapid.SampledFrom([]uint16{123, 5000}).Draw(t, "port"))
			e := naive(res.restricts, at)
			old, now := restrict.ServiceOf(e.Flags), restrict.ServiceOfRule(table.Lookup(at))
			if now.LaxerThan(old) {
				t.Fatalf("%v: %v (%v) before, %v now\n%s\n%s", at, old, e.Flags, now, conf, res.Output)
			}
			if old != now && res.Report.Access.Equal && old.Serve {
				t.Fatalf("%v: said to be equal, but %v before, %v now\n%s", at, old, now, conf)
			}
			if got := res.restricts.Lookup(at); got != e {
				t.Fatalf("%v: found %v, want %v\n%s", at, got, e, conf)
			}
		}
	})
}

// servedTo returns what an address gets by the access rules of an output.
func servedTo(t *testing.T, res *Result, address string) string {
	t.Helper()
	cfg, err := config.Parse("x", "/", res.Output)
	if err != nil {
		t.Fatal(err)
	}
	table, err := cfg.AccessTable()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(restrict.ServiceOfRule(table.Lookup(netip.AddrPortFrom(netip.MustParseAddr(address), 5000))))
}

// TestRestrictMerging has the rules of ntpd's list that are easily missed.
func TestRestrictMerging(t *testing.T) {
	for _, c := range []struct{ conf, address, want string }{
		{"restrict default ignore\nrestrict default", "192.0.2.1", "no time, no queries"}, // flags add up
		{"restrict 10.0.0.0 mask 255.0.0.0 noquery\nrestrict default ignore", "10.1.1.1", "time, no queries"},
		{"restrict default noquery\nrestrict 10.1.2.3 mask 255.255.0.0 ignore", "10.1.9.9", "no time, no queries"}, // host bits are cleared
		{"restrict default ignore\nrestrict 127.0.0.1", "127.0.0.1", "time, queries"},                              // nothing is inherited
		{"restrict -4 default ignore", "2001:db8::1", "time, queries"},
		{"restrict [2001:db8::1] ignore", "2001:db8::1", "no time, no queries"},
		{"restrict localhost notrust noquery", "::1", "time with authentication only, no queries"},
		{"restrict 127.127.28.0 ignore", "192.0.2.1", "time, queries"},
		{"restrict default limited kod noquery version", "192.0.2.1", "time, version 4 only, rate limited, with kiss codes, no queries"},
		{"restrict default kod noquery", "192.0.2.1", "time, no queries"},
		{"restrict 10.0.0.0 mask 255.0.255.0 noserve noquery", "10.77.0.1", "no time, no queries"}, // a mask with holes
	} {
		t.Run(c.conf, func(t *testing.T) {
			res := Convert(Input{Name: "ntp.conf", Data: []byte(c.conf + "\n")}, Options{Dialect: "ntp"})
			if got := servedTo(t, res, c.address); got != c.want {
				t.Errorf("%s gets %s, want %s", c.address, got, c.want)
			}
			if !res.Report.Access.Equal {
				t.Errorf("differences: %v", res.Report.Access.Differences)
			}
		})
	}
}

// TestChronyAccess has chronyd's rules: the default is to refuse, the longest
// prefix decides, and "all" takes away what is below.
func TestChronyAccess(t *testing.T) {
	for _, c := range []struct{ conf, address, want string }{
		{"driftfile /d", "192.0.2.1", "no time, no queries"},
		{"allow", "192.0.2.1", "time, no queries"},
		{"allow 10", "10.1.2.3", "time, no queries"},
		{"allow 10.1", "10.2.2.3", "no time, no queries"},
		{"allow 10.0.0.0/8\ndeny 10.1.0.0/16\nallow 10.1.1.1", "10.1.1.1", "time, no queries"},
		{"allow 10.0.0.0/8\ndeny 10.1.0.0/16", "10.1.1.1", "no time, no queries"},
		{"deny 10.1.0.0/16\nallow all 10.0.0.0/8", "10.1.1.1", "time, no queries"},
		{"allow 2001:db8::/32", "2001:db8::1", "time, no queries"},
		{"allow\nport 0", "192.0.2.1", "no time, no queries"},
		{"ALLOW 192.0.2.0/24\nratelimit interval 1", "192.0.2.1", "time, rate limited, no queries"},
	} {
		t.Run(c.conf, func(t *testing.T) {
			res := Convert(Input{Name: "chrony.conf", Data: []byte(c.conf + "\n")}, Options{Dialect: "chrony"})
			if got := servedTo(t, res, c.address); got != c.want {
				t.Errorf("%s gets %s, want %s\n%s", c.address, got, c.want, res.Output)
			}
		})
	}
}
