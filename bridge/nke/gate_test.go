package nke

import (
	"fmt"
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

// visitors keeps a gate's visitors and who was put out.
type visitors struct {
	gate   *gate
	limits *Limits
	now    time.Time
	out    map[*visit]bool
}

func newVisitors(t *testing.T, l Limits) *visitors {
	return &visitors{gate: newGate(), limits: testLimits(t, l), now: time.Now(), out: make(map[*visit]bool)}
}

func (w *visitors) enter(addr string) (v *visit, why refusal) {
	v, why = w.gate.enter(w.limits, netip.MustParseAddr(addr), w.now, func() { w.out[v] = true })
	return v, why
}

func TestGateRefillsWithTime(t *testing.T) {
	w := newVisitors(t, Limits{Rate: 2, Burst: 3})
	try := func() refusal {
		v, why := w.enter("192.0.2.1")
		if why == admitted {
			w.gate.leave(v)
		}
		return why
	}
	for i := range 4 {
		if why := try(); (why == admitted) != (i < 3) {
			t.Errorf("connection %d: %v", i, why)
		}
	}
	w.now = w.now.Add(time.Second)
	for i := range 3 {
		if why := try(); (why == admitted) != (i < 2) {
			t.Errorf("a second later, connection %d: %v", i, why)
		}
	}
}

// A full gate puts out the oldest of the largest network, which may be of one
// address or of many, and never the only one of its own.
func TestGatePutsOutTheLargest(t *testing.T) {
	for _, c := range []struct{ name, many, one string }{
		{"addresses of one IPv4 network", "198.51.100.%d", "192.0.2.1"},
		{"neighbours", "198.51.100.%d", "198.51.7.1"},
		{"addresses of one /64", "2001:db8:1:2::%x", "2001:db8:9::1"},
		{"/64s of one /56", "2001:db8:1:%x::1", "2001:db8:1:ff00::1"},
		{"/56s of one /48", "2001:db8:1:%x00::1", "2001:db8:2::1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newVisitors(t, Limits{Connections: 16, Rate: -1})
			one, why := w.enter(c.one)
			if why != admitted {
				t.Fatal(why)
			}
			var list []*visit
			for i := range 100 {
				v, why := w.enter(fmt.Sprintf(c.many, i))
				if why != admitted {
					t.Fatalf("connection %d: %v", i, why)
				}
				list = append(list, v)
			}
			if w.out[one] {
				t.Error("the only one of its network was put out")
			}
			if !w.out[list[0]] || w.out[list[99]] || w.gate.connections() != 14 {
				t.Errorf("not the oldest was put out, or not enough: %d are left", w.gate.connections())
			}
		})
	}
}

// Places are kept for networks that completed an exchange before, even while
// everything else is taken by clients that are at work.
func TestGateKeepsPlacesForTheKnown(t *testing.T) {
	w := newVisitors(t, Limits{Connections: 16, Rate: -1})
	v, _ := w.enter("192.0.2.1")
	w.gate.completed(w.limits, v)
	w.gate.leave(v)
	for i := range 100 {
		w.enter(fmt.Sprintf("198.51.%d.1", i))
	}
	if n := w.gate.connections(); n != 14 {
		t.Fatalf("strangers have %d of 16 places", n)
	}
	if before := len(w.out); true {
		if _, why := w.enter("192.0.2.1"); why != admitted || len(w.out) != before {
			t.Errorf("%v, %d put out for it", why, len(w.out)-before)
		}
	}
}

// Under pressure silence ends after a second, and everything after three.
func TestGatePresses(t *testing.T) {
	w := newVisitors(t, Limits{Connections: 16, Rate: -1})
	silent, _ := w.enter("192.0.2.1")
	slow, _ := w.enter("192.0.2.2")
	w.gate.greeted(slow)
	w.now = w.now.Add(1500 * time.Millisecond)
	w.enter("192.0.2.3")
	if len(w.out) != 0 {
		t.Fatal("put out without pressure")
	}
	for i := range 6 {
		w.enter(fmt.Sprintf("198.51.100.%d", i))
	}
	if !w.out[silent] || w.out[slow] || len(w.out) != 1 {
		t.Errorf("after 1.5 s %d are put out, the silent one: %v", len(w.out), w.out[silent])
	}
	w.now = w.now.Add(1600 * time.Millisecond)
	w.enter("192.0.2.4")
	if !w.out[slow] {
		t.Error("unfinished after 3 s, and still there")
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

// TestGateBounds checks the gate's books.
func TestGateBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := Limits{Connections: 6, ConnectionsPerPrefix: 3, Rate: -1, Prefixes: 8}
		if err := l.complete(); err != nil {
			t.Fatal(err)
		}
		g := newGate()
		var inside []*visit
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			a := netip.AddrFrom4([4]byte{192, 0, 2, byte(rapid.IntRange(0, 19).Draw(t, "host"))})
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0:
				if len(inside) > 0 {
					g.leave(inside[0])
					inside = inside[1:]
				}
			case 1:
				if len(inside) > 0 {
					g.completed(&l, inside[len(inside)-1])
				}
			default:
				of := 0
				for _, v := range g.visits {
					if v.limit == l.prefix(a) {
						of++
					}
				}
				v, why := g.enter(&l, a, time.Now(), func() {})
				if (why == tooManyOfOne) != (of == l.ConnectionsPerPrefix) || why != admitted && why != tooManyOfOne {
					t.Fatalf("%v: %v with %d of its own", a, why, of)
				}
				if why == admitted {
					inside = append(inside, v)
				}
			}
			unfinished, active := 0, 0
			for p, group := range g.prefixes {
				if p.Bits() == 16 {
					unfinished += group.unfinished
				}
				active += group.active
			}
			want := 0
			for _, v := range g.visits {
				if !v.done {
					want++
				}
			}
			if g.connections() > l.Connections || unfinished != want || active != g.connections() || len(g.known) > l.Prefixes {
				t.Fatalf("%d connections, %d unfinished of %d, %d active, %d known", g.connections(), unfinished, want, active,
					len(g.known))
			}
		}
		for _, v := range inside {
			g.leave(v)
		}
		if len(g.prefixes) != 0 || g.connections() != 0 {
			t.Fatalf("%d prefixes are left", len(g.prefixes))
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
