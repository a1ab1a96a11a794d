package access

import (
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// testBudget is a budget whose time is set by hand.
func testBudget(t testing.TB, clients LimiterConfig, each, all Bucket) (*Budget, *int64) {
	t.Helper()
	clients.Seed = seed
	now := new(int64)
	b, err := NewBudget(BudgetConfig{Clients: clients, Each: each, All: all, Now: func() int64 { return *now }})
	if err != nil {
		t.Fatal(err)
	}
	return b, now
}

func TestBudgetOfOneAndOfAll(t *testing.T) {
	b, now := testBudget(t, LimiterConfig{Clients: 1024}, Bucket{Rate: 1, Burst: 5}, Bucket{Rate: 10, Burst: 20})
	spend := func(addr netip.Addr, n int) (got int) {
		for range n {
			if b.Spend(addr, 1, 0) {
				got++
			}
		}
		return got
	}
	one := netip.MustParseAddr("192.0.2.1")
	if n := spend(one, 20); n != 5 {
		t.Errorf("one client: %d at once, want 5", n)
	}
	*now += int64(2500 * time.Millisecond)
	if n := spend(one, 20); n != 2 {
		t.Errorf("one client: %d after 2.5 s, want 2", n)
	}
	*now += int64(time.Minute)
	total := 0
	for i := range 100 {
		total += spend(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), 1)
	}
	if total != 20 {
		t.Errorf("many clients: %d at once, want 20", total)
	}
	// Of the bucket of all, nothing was taken for a client who could not pay.
	b, _ = testBudget(t, LimiterConfig{Clients: 1024}, Bucket{Rate: 1, Burst: 1}, Bucket{Rate: 1, Burst: 2})
	spend(one, 100)
	if spend(netip.MustParseAddr("192.0.2.2"), 1) != 1 {
		t.Error("a client that is over its share spends that of others")
	}
	if b.SpendOwn(one, 1) || !b.SpendOwn(netip.MustParseAddr("192.0.2.3"), 1) {
		t.Error("the client's own bucket")
	}
}

// Strangers fill the table; who is over the budget must not be forgotten for
// them, and prefixes are those of the configuration.
func TestBudgetRemembersDebtors(t *testing.T) {
	b, now := testBudget(t, LimiterConfig{Clients: 64, IPv6Prefix: 56}, Bucket{Rate: 1, Burst: 10}, Bucket{Rate: 1e9, Burst: 1 << 30})
	bad := netip.MustParseAddr("192.0.2.1")
	if !b.Spend(bad, 10, 0) || b.Spend(bad, 10, 0) {
		t.Fatal("burst")
	}
	for i := range 10000 {
		if a := netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}); !b.Spend(a, 1, 0) {
			t.Fatalf("stranger %v refused", a)
		}
	}
	if b.Spend(bad, 10, 0) {
		t.Error("client over its budget was forgotten")
	}
	if !b.Spend(netip.MustParseAddr("2001:db8::1"), 10, 0) || b.Spend(netip.MustParseAddr("2001:db8:0:ff::2"), 10, 0) {
		t.Error("addresses of one /56 have separate budgets")
	}
	// What costs more than the burst is possible, once the bucket is full.
	c := netip.MustParseAddr("192.0.2.2")
	if !b.Spend(c, 25, 0) {
		t.Error("operation above the burst")
	}
	if *now += int64(20 * time.Second); b.Spend(c, 25, 0) {
		t.Error("in debt")
	}
	if *now += int64(6 * time.Second); !b.Spend(c, 25, 0) {
		t.Error("debt is paid")
	}
}

// Whatever is asked for, no more is spent than was saved and gained.
func TestBudgetBound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		each := Bucket{Rate: rapid.Float64Range(0.5, 1e6).Draw(t, "rate"), Burst: rapid.IntRange(1, 1e6).Draw(t, "burst")}
		l, err := NewLimiter(LimiterConfig{Clients: 8, Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		now, spent, most := int64(0), 0.0, 0
		for range 200 {
			now += rapid.Int64Range(0, int64(time.Second)).Draw(t, "wait")
			units := rapid.IntRange(1, each.Burst).Draw(t, "units")
			if l.Spend(netip.IPv6Loopback(), 0, now, each, units) {
				spent += float64(units)
				most = max(most, units)
			}
		}
		bound := float64(each.Burst) + each.Rate*float64(now)/1e9
		if spent > bound*1.001+1 {
			t.Fatalf("%v spent, %v saved and gained", spent, bound)
		}
	})
}

// A pool's last units are for small wishes.
func TestPoolKeepsAReserve(t *testing.T) {
	p, err := NewPool(Bucket{Rate: 100, Burst: 1000})
	if err != nil {
		t.Fatal(err)
	}
	large := 0
	for p.Spend(0, 100, 500) {
		large++
	}
	small := 0
	for p.Spend(0, 10, 0) {
		small++
	}
	if large != 5 || small != 50 {
		t.Errorf("%d large and %d small, want 5 and 50", large, small)
	}
	if p.Spend(int64(4*time.Second), 100, 500) || !p.Spend(int64(6*time.Second), 100, 500) {
		t.Error("what is gained fills the reserve first")
	}
}

// Holders of keys have buckets of their own at an address.
func TestHoldersApart(t *testing.T) {
	l := mustLimiter(t, LimiterConfig{Clients: 1024})
	limit := &RateLimit{Interval: time.Second, Burst: 2}
	addr := netip.MustParseAddr("192.0.2.1")
	for range 10 {
		l.Allow(addr, 0, limit)
		l.AllowHolder(addr, 7, 0, limit)
	}
	if l.Allow(addr, 0, limit) != Limited || l.AllowHolder(addr, 7, 0, limit) != Limited {
		t.Error("not limited")
	}
	if l.AllowHolder(addr, 8, 0, limit) != Pass || l.AllowHolder(netip.MustParseAddr("192.0.2.2"), 7, 0, limit) != Pass {
		t.Error("another holder, or the same elsewhere, is limited")
	}
}

// What is kept back is there for who may take it all.
func TestBudgetKeepsBack(t *testing.T) {
	b, now := testBudget(t, LimiterConfig{Clients: 1024}, Bucket{Rate: 1, Burst: 1000}, Bucket{Rate: 1, Burst: 100})
	for _, c := range []struct{ keep, most int }{{50, 50}, {50, 0}, {25, 25}, {0, 25}, {0, 0}} {
		n := 0
		for n < 200 && b.Spend(netip.AddrFrom4([4]byte{10, 0, 0, byte(n)}), 1, c.keep) {
			n++
		}
		if n != c.most {
			t.Errorf("%d units with %d %% kept, want %d", n, c.keep, c.most)
		}
	}
	if *now += int64(time.Minute); b.Spend(netip.MustParseAddr("10.0.0.1"), 20, 50) || !b.Spend(netip.MustParseAddr("10.0.0.1"), 20, 25) {
		t.Error("60 of 100 units: 20 leave 25, not 50")
	}
	// Who has nothing left himself costs others nothing.
	poor, _ := testBudget(t, LimiterConfig{Clients: 1024}, Bucket{Rate: 1, Burst: 1}, Bucket{Rate: 1, Burst: 10})
	for range 100 {
		poor.Spend(netip.MustParseAddr("10.0.0.1"), 1, 0)
	}
	for i := range 9 {
		if !poor.Spend(netip.AddrFrom4([4]byte{10, 0, 1, byte(i)}), 1, 0) {
			t.Errorf("client %d finds nothing left", i)
		}
	}
}

func TestNewBudgetRefuses(t *testing.T) {
	good := Bucket{Rate: 1, Burst: 1}
	for name, c := range map[string]BudgetConfig{
		"no rate":    {Clients: LimiterConfig{Clients: 1, Seed: seed}, Each: Bucket{Burst: 1}, All: good},
		"no burst":   {Clients: LimiterConfig{Clients: 1, Seed: seed}, Each: good, All: Bucket{Rate: 1}},
		"no clients": {Clients: LimiterConfig{Seed: seed}, Each: good, All: good},
	} {
		if _, err := NewBudget(c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
