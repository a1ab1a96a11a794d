package server

import (
	"errors"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"ntsbridge/bridge/ntp"
)

// TestFreeBind binds addresses that no interface has, of both families (of the
// networks for documentation), and not without the option.
func TestFreeBind(t *testing.T) {
	for _, text := range []string{"192.0.2.77:0", "[2001:db8::77]:0"} {
		a := netip.MustParseAddrPort(text)
		for _, free := range []bool{true, false} {
			s, err := New(Options{Workers: 2, Socket: SocketOptions{FreeBind: free}}, testState(t), &ntp.ClockState{})
			if err != nil {
				t.Fatal(err)
			}
			_, err = s.Listen([]netip.AddrPort{a})
			if free && err != nil || !free && !errors.Is(err, unix.EADDRNOTAVAIL) {
				t.Errorf("%v, FreeBind %v: %v", a, free, err)
			}
			s.Close()
		}
	}
}
