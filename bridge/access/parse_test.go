package access

import (
	"net/netip"
	"strings"
	"testing"
)

func TestParsePrefix(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.0/24":  "192.0.2.0/24",
		"192.0.2.7":     "192.0.2.7/32",
		"2001:db8::/32": "2001:db8::/32",
		"2001:DB8::1":   "2001:db8::1/128",
		"0.0.0.0/0":     "0.0.0.0/0",
		"::/0":          "::/0",
	} {
		if got, err := ParsePrefix(in); err != nil || got.String() != want {
			t.Errorf("%s: %v, %v; want %s", in, got, err, want)
		}
	}
	for in, want := range map[string]string{
		"":                           "not a network",
		"default":                    "not a network",
		"192.0.2":                    "not a network",
		"192.0.2.0/33":               "not a network",
		"192.0.2.0/255.255.255.0":    "not a network",
		"fe80::1%eth0":               "not a network",
		"192.0.2.1/24":               "write 192.0.2.0/24 for the network or 192.0.2.1 for the host",
		"::ffff:192.0.2.0/120":       "write the IPv4 address alone",
		strings.Repeat("long", 1000): "not a network",
	} {
		_, err := ParsePrefix(in)
		if err == nil || !strings.Contains(err.Error(), want) || len(err.Error()) > 300 {
			t.Errorf("%.20s: error %v, want %q in few words", in, err, want)
		}
	}
}

func TestParseKeyRange(t *testing.T) {
	for in, want := range map[string]KeyRange{
		"1":            {1, 1},
		"10-19":        {10, 19},
		"4294967295":   {1<<32 - 1, 1<<32 - 1},
		"all":          AllKeys,
		"1-4294967295": AllKeys,
	} {
		if got, err := ParseKeyRange(in); err != nil || got != want {
			t.Errorf("%s: %v, %v; want %v", in, got, err, want)
		}
	}
	for _, in := range []string{"", "0", "0-5", "-1", "5-", "9-5", "1-2-3", "4294967296", "+1", " 1", "1 ... 5", "ALL"} {
		if got, err := ParseKeyRange(in); err == nil {
			t.Errorf("%q: read as %v", in, got)
		}
	}
}

func FuzzParsePrefix(f *testing.F) {
	for _, s := range []string{"192.0.2.0/24", "::/0", "2001:db8::1", "1.2.3.4/33", "fe80::1%x", "::ffff:1.2.3.4"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParsePrefix(s)
		if err != nil {
			return
		}
		if again, err := ParsePrefix(p.String()); err != nil || again != p {
			t.Fatalf("%q: %v is read back as %v, %v", s, p, again, err)
		}
		table, err := NewTable([]Rule{{Name: "it", Prefix: p}})
		if err != nil {
			t.Fatalf("%q: accepted, but not by the table: %v", s, err)
		}
		if r := table.Lookup(netip.AddrPortFrom(p.Addr(), 9)); r.Name != "it" {
			t.Fatalf("%q: its own address does not match", s)
		}
	})
}

func FuzzParseKeyRange(f *testing.F) {
	for _, s := range []string{"7", "10-19", "all", "0", "5-4", "4294967295"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseKeyRange(s)
		if err != nil {
			return
		}
		if again, err := ParseKeyRange(r.String()); err != nil || again != r || r.Low == 0 || r.Low > r.High {
			t.Fatalf("%q: %v is read back as %v, %v", s, r, again, err)
		}
	})
}
