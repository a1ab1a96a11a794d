package measure

import (
	"testing"

	"ntsbridge/bridge/ntp"
)

func TestPortsOfNames(t *testing.T) {
	for _, c := range []struct {
		name, host string
		port, ke   uint16
		kind       ntp.Kind
	}{
		{"ntp.example.net", "ntp.example.net", 123, 4460, ntp.KindNone},
		{"ntp.example.net:1123", "ntp.example.net", 1123, 4460, ntp.KindNone},
		{"10.95.0.1:4461", "10.95.0.1", 123, 4461, ntp.KindNTS},
		{"[fd95::1]", "fd95::1", 123, 4460, ntp.KindNTS},
		{"[fd95::1]:4461", "fd95::1", 123, 4461, ntp.KindNTS},
		{"fd95::1", "fd95::1", 123, 4460, ntp.KindNone},
		{"fe80::1%eth0", "fe80::1%eth0", 123, 4460, ntp.KindNone},
		{"host:0", "host:0", 123, 4460, ntp.KindNone},
		{"host:ntp", "host:ntp", 123, 4460, ntp.KindNone},
	} {
		base := &Config{Kind: c.kind, Port: 123, NTS: NTS{Port: 4460}}
		one, host := base.at(c.name)
		if host != c.host || one.Port != c.port || one.NTS.Port != c.ke || base.Port != 123 || base.NTS.Port != 4460 {
			t.Errorf("%s: %q, %d, %d", c.name, host, one.Port, one.NTS.Port)
		}
	}
}
