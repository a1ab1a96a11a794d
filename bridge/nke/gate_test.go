package nke

import (
	"net/netip"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"pgregory.net/rapid"
)

func testLimits(t *testing.T, l Limits) *Limits {
	t.Helper()
	if err := l.complete(); err != nil {
		t.Fatal(err)
	}
	return &l
}

func TestGateRefillsWithTime(t *testing.T) {
	l := testLimits(t, Limits{Rate: 2, Burst: 3})
	g, now := newGate(), time.Unix(1000, 0)
	p := l.prefix(netip.MustParseAddr("192.0.2.1"))
	try := func() refusal {
		why := g.enter(l, p, now)
		if why == admitted {
			g.leave(p)
		}
		return why
	}
	for i := range 4 {
		if why := try(); (why == admitted) != (i < 3) {
			t.Errorf("connection %d: %v", i, why)
		}
	}
	now = now.Add(time.Second)
	for i := range 3 {
		if why := try(); (why == admitted) != (i < 2) {
			t.Errorf("a second later, connection %d: %v", i, why)
		}
	}
	now = now.Add(-time.Hour) // the clock was stepped
	if try() != tooFast {
		t.Error("a step back gives tokens")
	}
}

func TestGatePrefixes(t *testing.T) {
	l := testLimits(t, Limits{IPv4Prefix: 24})
	for _, test := range []struct{ addr, want string }{
		{"192.0.2.77", "192.0.2.0/24"}, {"2001:db8::1:2", "2001:db8::/64"}, {"fe80::1%eth0", "fe80::/64"},
	} {
		if got := l.prefix(netip.MustParseAddr(test.addr)); got.String() != test.want {
			t.Errorf("%s: %v, want %s", test.addr, got, test.want)
		}
	}
}

// TestGateBounds checks the gate against plain counting.
func TestGateBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := Limits{Connections: 6, ConnectionsPerPrefix: 3, Rate: -1, Prefixes: 8}
		if err := l.complete(); err != nil {
			t.Fatal(err)
		}
		g := newGate()
		active := make(map[netip.Prefix]int)
		total := 0
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			a := netip.AddrFrom4([4]byte{192, 0, 2, byte(rapid.IntRange(0, 19).Draw(t, "host"))})
			p := l.prefix(a)
			if rapid.Bool().Draw(t, "leave") {
				if active[p] > 0 {
					active[p]--
					total--
					g.leave(p)
				}
				continue
			}
			want := admitted
			if total == l.Connections {
				want = tooMany
			} else if active[p] == l.ConnectionsPerPrefix {
				want = tooManyOfOne
			}
			if got := g.enter(&l, p, time.Unix(0, 0)); got != want {
				t.Fatalf("%v: %v, want %v", p, got, want)
			}
			if want == admitted {
				active[p]++
				total++
			}
			if len(g.prefixes) > l.Prefixes || len(g.prefixes) != g.recent.Len() || g.connections() != total {
				t.Fatalf("table of %d and %d, %d connections, want %d", len(g.prefixes), g.recent.Len(), g.connections(), total)
			}
		}
	})
}

func TestQuiet(t *testing.T) {
	q := newQuiet(hclog.NewNullLogger())
	now := time.Unix(1000, 0)
	passed := 0
	for range 100 {
		if ok, _ := q.pass("x", now); ok {
			passed++
		}
	}
	if passed != quietBurst {
		t.Errorf("%d messages passed, want %d", passed, quietBurst)
	}
	if ok, _ := q.pass("y", now); !ok {
		t.Error("another message is held back")
	}
	if ok, more := q.pass("x", now.Add(quietInterval)); !ok || len(more) != 2 || more[1] != 100-quietBurst {
		t.Errorf("after the interval: %v, %v", ok, more)
	}
}
