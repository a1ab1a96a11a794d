package access

import (
	"encoding/binary"
	"math"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ntsbridge/bridge/ntp"
)

var seed = [16]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}

func mustLimiter(t testing.TB, c LimiterConfig) *Limiter {
	t.Helper()
	if c.Seed == [16]byte{} {
		c.Seed = seed
	}
	l, err := NewLimiter(c)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// The vector is number 16 of vectors_sip64 in the reference implementation of
// SipHash: key and message are 00 01 02 ... 0f.
func TestSipHash(t *testing.T) {
	k0, k1 := le64(seed[:8]), le64(seed[8:])
	got := sipHash(k0, k1, k0, k1)
	want := [8]byte{0xdb, 0x9b, 0xc2, 0x57, 0x7f, 0xcc, 0x2a, 0x3f}
	if got != binary.LittleEndian.Uint64(want[:]) {
		t.Errorf("%016x, want %x little-endian", got, want)
	}
}

func TestNewLimiterRefuses(t *testing.T) {
	for name, c := range map[string]LimiterConfig{
		"no clients":       {Seed: seed},
		"too many clients": {Clients: maxClients + 1, Seed: seed},
		"negative clients": {Clients: -1, Seed: seed},
		"IPv4 prefix":      {Clients: 1, IPv4Prefix: 33, Seed: seed},
		"IPv6 prefix":      {Clients: 1, IPv6Prefix: 129, Seed: seed},
		"zero seed":        {Clients: 1},
	} {
		if _, err := NewLimiter(c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// An ntpd client with iburst (eight packets in two-second steps) must not be
// limited by ntpd's defaults; a client that asks every second must be.
func TestBurstThenInterval(t *testing.T) {
	l := mustLimiter(t, LimiterConfig{Clients: 64})
	limit := &RateLimit{Interval: 8 * time.Second, Burst: 8, Minimum: 2 * time.Second}
	addr := netip.MustParseAddr("192.0.2.1")
	now := int64(0)
	for i := range 8 {
		if d := l.Allow(addr, now, limit); d != Pass {
			t.Fatalf("packet %d of an initial burst: %v", i, d)
		}
		now += int64(2 * time.Second)
	}
	passed := 0
	for range 800 {
		if l.Allow(addr, now, limit) == Pass {
			passed++
		}
		now += int64(time.Second)
	}
	if passed < 100 || passed > 103 {
		t.Errorf("%d of 800 packets in 800 s passed, want one in 8 s", passed)
	}
}

func TestMinimum(t *testing.T) {
	l := mustLimiter(t, LimiterConfig{Clients: 64})
	limit := &RateLimit{Interval: time.Millisecond, Burst: 255, Minimum: 2 * time.Second}
	addr := netip.MustParseAddr("192.0.2.1")
	for _, step := range []struct {
		at   time.Duration
		want Decision
	}{{0, Pass}, {time.Second, Limited}, {2*time.Second - 1, Limited}, {2 * time.Second, Pass}, {3 * time.Second, Limited}} {
		if d := l.Allow(addr, int64(step.at), limit); d != step.want {
			t.Errorf("at %v: %v, want %v", step.at, d, step.want)
		}
	}
}

func TestNoLimitAndVerdicts(t *testing.T) {
	l := mustLimiter(t, LimiterConfig{Clients: 64})
	for range 1000 {
		if d := l.Allow(netip.MustParseAddr("192.0.2.1"), 0, nil); d != Pass {
			t.Fatalf("without a limit: %v", d)
		}
	}
	for d, want := range map[Decision]ntp.Action{Pass: ntp.Answer, Leaked: ntp.Answer, Limited: ntp.Drop, Kissed: ntp.KissRate} {
		a, why := d.Verdict()
		if a != want || (why == ntp.ReasonOK) != (want == ntp.Answer) {
			t.Errorf("decision %d: action %d, reason %v", d, a, why)
		}
	}
}

// An address counts up to the prefix, and IPv4 counts the same in both forms.
func TestWhatCountsAsOneClient(t *testing.T) {
	limit := &RateLimit{Interval: time.Hour, Burst: 1}
	for _, tc := range []struct {
		config LimiterConfig
		a, b   string
		same   bool
	}{
		{LimiterConfig{}, "192.0.2.1", "192.0.2.2", false},
		{LimiterConfig{}, "192.0.2.1", "::ffff:192.0.2.1", true},
		{LimiterConfig{}, "2001:db8::1", "2001:db8::ffff:1", true},
		{LimiterConfig{}, "2001:db8::1", "2001:db8:0:1::1", false},
		{LimiterConfig{}, "fe80::1%eth0", "fe80::1", true},
		{LimiterConfig{IPv6Prefix: 128}, "2001:db8::1", "2001:db8::2", false},
		{LimiterConfig{IPv6Prefix: 56}, "2001:db8::1", "2001:db8:0:ff::1", true},
		{LimiterConfig{IPv6Prefix: 60}, "2001:db8::1", "2001:db8:0:f::1", true},
		{LimiterConfig{IPv6Prefix: 60}, "2001:db8::1", "2001:db8:0:10::1", false},
		{LimiterConfig{IPv4Prefix: 24}, "192.0.2.1", "192.0.2.2", true},
		{LimiterConfig{IPv4Prefix: 24}, "192.0.2.1", "192.0.3.1", false},
	} {
		tc.config.Clients = 64
		l := mustLimiter(t, tc.config)
		l.Allow(netip.MustParseAddr(tc.a), 0, limit)
		if got := l.Allow(netip.MustParseAddr(tc.b), 0, limit) != Pass; got != tc.same {
			t.Errorf("%+v: %s and %s count as one: %v, want %v", tc.config, tc.a, tc.b, got, tc.same)
		}
	}
}

func TestKisses(t *testing.T) {
	l := mustLimiter(t, LimiterConfig{Clients: 64})
	limit := &RateLimit{Interval: 4 * time.Second, Burst: 1, Kiss: true}
	addr := netip.MustParseAddr("192.0.2.1")
	var kisses, passed int
	for ms := range 100_000 { // 1000 packets a second, 100 s
		switch l.Allow(addr, int64(ms)*1e6, limit) {
		case Kissed:
			kisses++
		case Pass:
			passed++
		}
	}
	if kisses > 25 || kisses < 20 || passed != 25 {
		t.Errorf("%d kisses and %d answers in 100 s, want 25 each at most", kisses, passed)
	}
	denied := 0
	other := netip.MustParseAddr("2001:db8::1")
	for ms := range 10_000 {
		if l.AllowKiss(other, int64(ms)*1e6) {
			denied++
		}
	}
	if denied != 10 {
		t.Errorf("%d kisses DENY in 10 s, want 10", denied)
	}
}

// A spoofer who keeps a bucket empty must not lock the client out: the leak
// answers about its fraction of what comes.
func TestLeak(t *testing.T) {
	l := mustLimiter(t, LimiterConfig{Clients: 64})
	limit := &RateLimit{Interval: time.Hour, Burst: 1, Leak: 0.25, Kiss: true}
	addr := netip.MustParseAddr("192.0.2.1")
	l.Allow(addr, 0, limit)
	leaked := 0
	const n = 20000
	for range n {
		if l.Allow(addr, 1, limit) == Leaked {
			leaked++
		}
	}
	if math.Abs(float64(leaked)/n-0.25) > 0.02 {
		t.Errorf("%d of %d leaked, want a quarter", leaked, n)
	}
	always := &RateLimit{Interval: time.Hour, Burst: 1, Leak: 1}
	for range 100 {
		if d := l.Allow(addr, 1, always); d != Leaked {
			t.Fatalf("leak 1: %v", d)
		}
	}
}

// slowBucket is the obvious token bucket, in exact integers: tokens are
// counted in nanoseconds.
type slowBucket struct {
	tokens, at, passed, kissed int64
	used, kissedOnce           bool
}

func (b *slowBucket) allow(now int64, r *RateLimit) Decision {
	size := int64(r.Burst) * int64(r.Interval)
	if !b.used {
		b.tokens, b.at = size, now
	}
	b.tokens, b.at = min(size, b.tokens+now-b.at), now
	if b.tokens >= int64(r.Interval) && (!b.used || now-b.passed >= int64(r.Minimum)) {
		b.tokens -= int64(r.Interval)
		b.passed, b.used = now, true
		return Pass
	}
	b.used = true
	if r.Leak == 1 {
		return Leaked
	}
	if r.Kiss && (!b.kissedOnce || now-b.kissed >= max(int64(r.Interval), 1e9)) {
		b.kissed, b.kissedOnce = now, true
		return Kissed
	}
	return Limited
}

func TestLimiterAgainstSlow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l, err := NewLimiter(LimiterConfig{Clients: 1 << 12, Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		limit := &RateLimit{
			Interval: time.Duration(rapid.Int64Range(1, 10e9).Draw(t, "interval")),
			Burst:    rapid.IntRange(1, 255).Draw(t, "burst"),
			Minimum:  time.Duration(rapid.Int64Range(0, 3e9).Draw(t, "minimum")),
			Leak:     float64(rapid.IntRange(0, 1).Draw(t, "leak")),
			Kiss:     rapid.Bool().Draw(t, "kiss"),
		}
		now := rapid.Int64Range(0, 1<<60).Draw(t, "start")
		slow := map[netip.Addr]*slowBucket{}
		for i := range rapid.IntRange(0, 300).Draw(t, "packets") {
			addr := netip.AddrFrom4([4]byte{192, 0, 2, rapid.Byte().Draw(t, "host") % 8})
			if slow[addr] == nil {
				slow[addr] = &slowBucket{}
			}
			if got, want := l.Allow(addr, now, limit), slow[addr].allow(now, limit); got != want {
				t.Fatalf("packet %d from %v at %d: %v, want %v", i, addr, now, got, want)
			}
			now += rapid.Int64Range(0, int64(limit.Interval)*2).Draw(t, "gap")
		}
	})
}

// Many strangers: a client that keeps to its limit is never refused, and the
// table does not grow.
func TestFloodOfStrangers(t *testing.T) {
	l := mustLimiter(t, LimiterConfig{Clients: 256})
	limit := &RateLimit{Interval: time.Second, Burst: 2}
	good := netip.MustParseAddr("198.51.100.7")
	sets := len(l.sets)
	for i := range uint32(200_000) {
		now := int64(i) * 100_000 // 10 kHz
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], 10<<24|i*2654435761>>8)
		l.Allow(netip.AddrFrom4(b), now, limit)
		if i%10_000 == 0 {
			if d := l.Allow(good, now, limit); d != Pass {
				t.Fatalf("after %d strangers: %v", i, d)
			}
		}
	}
	if len(l.sets) != sets {
		t.Error("the table grew")
	}
}

// A client that is over its limit stays limited while others come and go in
// the free room of the table.
func TestBusyClientIsKept(t *testing.T) {
	l := mustLimiter(t, LimiterConfig{Clients: 1})
	limit := &RateLimit{Interval: time.Hour, Burst: 4}
	bad := netip.MustParseAddr("198.51.100.7")
	for range 4 {
		l.Allow(bad, 0, limit)
	}
	for i := range 100 { // one set of eight: everybody else replaces one another
		l.Allow(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), 0, limit)
		if d := l.Allow(bad, 0, limit); d != Limited {
			t.Fatalf("after %d others: %v", i+1, d)
		}
	}
}

func TestConcurrent(t *testing.T) {
	l := mustLimiter(t, LimiterConfig{Clients: 64})
	limit := &RateLimit{Interval: time.Hour, Burst: 100}
	var passed atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 1000 {
				if l.Allow(netip.MustParseAddr("192.0.2.1"), int64(i), limit) == Pass {
					passed.Add(1)
				}
				l.AllowKiss(netip.MustParseAddr("192.0.2.2"), int64(i))
			}
		})
	}
	wg.Wait()
	if passed.Load() != 100 {
		t.Errorf("%d passed, want exactly the burst of 100", passed.Load())
	}
}

func TestAllowDoesNotAllocate(t *testing.T) {
	l := mustLimiter(t, LimiterConfig{Clients: 1024})
	limit := &RateLimit{Interval: time.Second, Burst: 2, Leak: 0.5, Kiss: true}
	addr := netip.MustParseAddr("2001:db8::1")
	now := int64(0)
	if n := testing.AllocsPerRun(1000, func() {
		now += 1e6
		l.Allow(addr, now, limit)
		l.AllowKiss(addr, now)
		addr = addr.Next()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkAllow(b *testing.B) {
	limit := &RateLimit{Interval: time.Second, Burst: 8, Leak: 0.25, Kiss: true}
	b.Run("one", func(b *testing.B) {
		l := mustLimiter(b, LimiterConfig{Clients: 65536})
		addr, now := netip.MustParseAddr("2001:db8::1"), int64(0)
		b.ReportAllocs()
		for b.Loop() {
			now += 1000
			l.Allow(addr, now, limit)
		}
	})
	b.Run("many", func(b *testing.B) {
		l := mustLimiter(b, LimiterConfig{Clients: 65536})
		i := uint32(0)
		b.ReportAllocs()
		for b.Loop() {
			i += 2654435761
			l.Allow(netip.AddrFrom4([4]byte{10, byte(i >> 24), byte(i >> 16), byte(i >> 8)}), int64(i), limit)
		}
	})
	b.Run("parallel", func(b *testing.B) {
		l := mustLimiter(b, LimiterConfig{Clients: 65536})
		b.ReportAllocs()
		b.RunParallel(func(p *testing.PB) {
			for i := uint32(0); p.Next(); i += 2654435761 {
				l.Allow(netip.AddrFrom4([4]byte{10, byte(i >> 24), byte(i >> 16), byte(i >> 8)}), int64(i), limit)
			}
		})
	})
}
