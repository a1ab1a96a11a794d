package fastpath

import (
	"net/netip"
	"testing"
	"time"

	"ntsbridge/bridge/netif"
	"ntsbridge/bridge/ntp"
)

// Around midnight, and with a clock that cannot be told, the sockets answer.
func TestSnapshotExpires(t *testing.T) {
	good := &ntp.ClockState{Stratum: 1}
	at := func(hour, minute, second, ms int) clocks {
		system := time.Date(2026, 12, 31, hour, minute, second, ms*1e6, time.UTC).UnixNano()
		return clocks{mono: 5e9, offset: system - 5e9}
	}
	for _, c := range []struct {
		name  string
		state *ntp.ClockState
		at    clocks
		life  time.Duration // 0: none
	}{
		{"noon", good, at(12, 0, 0, 0), snapshotLife},
		{"two seconds before midnight", good, at(23, 59, 58, 0), snapshotLife},
		{"just before the last second", good, at(23, 59, 58, 950), 50 * time.Millisecond},
		{"last second", good, at(23, 59, 59, 0), 0},
		{"end of the day", good, at(23, 59, 59, 999), 0},
		{"midnight", good, at(0, 0, 0, 0), 0},
		{"after a leap second", good, at(0, 0, 1, 999), 0},
		{"two seconds later", good, at(0, 0, 2, 0), snapshotLife},
		{"no clock yet", nil, at(12, 0, 0, 0), 0},
		{"smearing is about to begin wrongly", &ntp.ClockState{Stratum: 1, Smear: ntp.Smear{Enabled: true, Alarm: true}}, at(12, 0, 0, 0), 0},
	} {
		want := uint64(0)
		if c.life > 0 {
			want = uint64(c.at.mono) + uint64(c.life)
		}
		if s := snapshotOf(c.state, c.at, 0); s.Expiry != want {
			t.Errorf("%s: good until %d, want %d", c.name, s.Expiry, want)
		}
	}
}

// The difference of two clocks gets better with each reading, and is found anew
// after a step.
func TestIntervalNarrows(t *testing.T) {
	var i interval
	for _, c := range []struct{ low, high, want int64 }{
		{100, 300, 200}, {150, 400, 225}, {0, 200, 175}, {160, 164, 162}, {1000, 1010, 1005}, {1004, 1030, 1007}, {-50, -40, -45},
	} {
		if got := i.narrow(c.low, c.high); got != c.want {
			t.Errorf("between %d and %d: %d, want %d", c.low, c.high, got, c.want)
		}
	}
}

// The clocks as they are read agree with the system's.
func TestReader(t *testing.T) {
	var r reader
	c, err := r.read()
	if err != nil {
		t.Fatal(err)
	}
	if off := time.Since(time.Unix(0, c.mono+c.offset)); off < 0 || off > 10*time.Second {
		t.Errorf("the system clock was read %v ago", off)
	}
}

func TestPlaces(t *testing.T) {
	var own []netif.Address
	for _, s := range []string{"10.0.0.1/24", "127.0.0.1/8", "2001:db8::1/64", "192.0.2.1/31"} {
		p := netip.MustParsePrefix(s)
		own = append(own, netif.Address{Addr: p.Addr(), Prefix: p})
	}
	number := map[netip.AddrPort]uint32{}
	at := func(listen ...string) map[string]uint32 {
		var list []netip.AddrPort
		for i, l := range listen {
			list = append(list, netip.MustParseAddrPort(l))
			number[list[i]] = uint32(i)
		}
		found := places(own, list, func(a netip.AddrPort) uint32 { return number[a] })
		named := map[string]uint32{}
		for _, a := range []string{"10.0.0.1", "10.0.0.255", "127.0.0.1", "2001:db8::1", "192.0.2.1", "10.0.0.9"} {
			for _, port := range []uint16{0, 123, 1123} {
				if v, ok := found[placeOf(netip.MustParseAddr(a), port)]; ok && port != 0 {
					named[netip.AddrPortFrom(netip.MustParseAddr(a), port).String()] = v.Listener
				} else if ok {
					named[a] = 0
				}
			}
		}
		return named
	}
	hosts := []string{"10.0.0.1", "10.0.0.255", "2001:db8::1", "192.0.2.1"}
	for _, c := range []struct {
		listen []string
		want   map[string]uint32
	}{
		{[]string{"0.0.0.0:123", "10.0.0.1:123"}, map[string]uint32{"10.0.0.1:123": 1, "192.0.2.1:123": 0}},
		{[]string{"10.0.0.1:123", "0.0.0.0:123"}, map[string]uint32{"10.0.0.1:123": 0, "192.0.2.1:123": 1}},
		{[]string{"[::]:123"}, map[string]uint32{"[2001:db8::1]:123": 0}},
		{[]string{"10.0.0.9:123", "10.0.0.1:1123"}, map[string]uint32{"10.0.0.1:1123": 1}},
	} {
		got := at(c.listen...)
		for _, h := range hosts {
			if _, ok := got[h]; !ok {
				t.Errorf("%v: %s is not known as this host's", c.listen, h)
			}
			delete(got, h)
		}
		if len(got) != len(c.want) {
			t.Errorf("%v: answers at %v, want %v", c.listen, got, c.want)
		}
		for a, l := range c.want {
			if v, ok := got[a]; !ok || v != l {
				t.Errorf("%v: %s: %v %d, want %d", c.listen, a, ok, v, l)
			}
		}
	}
}

// Where packets may come from this machine, checksums are partial.
func TestLocalDrivers(t *testing.T) {
	for d, want := range map[driver]bool{{"veth", ""}: true, {"bridge", "N/A"}: true, {"macvlan", ""}: true, {"tun", "tap"}: true,
		{"virtio_net", "0000:00:03.0"}: true, {"e1000e", "0000:00:19.0"}: false} {
		if d.local() != want {
			t.Errorf("%+v: local %v", d, !want)
		}
	}
}
