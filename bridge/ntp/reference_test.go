package ntp

import (
	"net/netip"
	"testing"
)

// The digest is that of md5sum over the 16 octets of the address.
func TestReferenceID(t *testing.T) {
	for address, want := range map[string]uint32{
		"192.0.2.1": 0xc0000201, "::ffff:192.0.2.1": 0xc0000201, "::1": 0xcf404dc8, "::1%lo": 0xcf404dc8,
	} {
		if got := ReferenceID(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: %08x, want %08x", address, got, want)
		}
	}
	if got := ReferenceID(netip.Addr{}); got != 0 {
		t.Errorf("no address: %08x", got)
	}
}
