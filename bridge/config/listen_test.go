package config

import (
	"strings"
	"testing"
)

// TestListen reads what server.listen may have, and writes it as it was.
func TestListen(t *testing.T) {
	for _, text := range []string{
		"192.0.2.1:123", "[2001:db8::1]:123", "[fe80::1%eth0]:123", "eth0:123", "eth0/ipv4:123", "br-lan.7/ipv6:11123",
		"192.0.2.0/24:123", "[2001:db8::/64]:123",
	} {
		var l Listen
		if err := l.UnmarshalText([]byte(text)); err != nil || l.String() != text {
			t.Errorf("%s: %v, %v", text, l, err)
		}
		if l.Fixed() != (strings.Count(text, "/") == 0 && !strings.HasPrefix(text, "eth0")) {
			t.Errorf("%s: fixed %v", text, l.Fixed())
		}
	}
	for text, want := range map[string]string{
		"eth0":                     "is not an address with a port",
		"eth0:0":                   "port 0",
		"eth0:99999":               "is not an address with a port",
		"eth0/ipv5:123":            "eth0/ipv4:123",
		"a name:123":               "eth0:123",
		"interface-too-long-x:123": "eth0:123",
		"192.0.2.1/24:123":         "write 192.0.2.0/24",
		"2001:db8::/64:123":        "is not an address with a port",
		"[::ffff:192.0.2.1]:123":   "write 192.0.2.1:123",
		":123":                     "eth0:123",
		"":                         "is not an address with a port",
	} {
		var l Listen
		if err := l.UnmarshalText([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func FuzzListen(f *testing.F) {
	for _, text := range []string{"eth0/ipv4:123", "[2001:db8::/64]:123", "192.0.2.1:123"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var l, again Listen
		if l.UnmarshalText([]byte(text)) != nil {
			return
		}
		if err := again.UnmarshalText([]byte(l.String())); err != nil || again != l {
			t.Fatalf("%q: %v, read again %v, %v", text, l, again, err)
		}
	})
}
