package fastpath

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"
	"time"

	"ntsbridge/bridge/needs"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/bridge/access"
	"ntsbridge/bridge/netif"
	"ntsbridge/bridge/ntp"
)

// requireBPF ends a test where programs cannot be loaded.
func requireBPF(t testing.TB) {
	t.Helper()
	if err := Supported(); err != nil {
		needs.Missing(t, "%v", err)
	}
}

// plainFrame is a request of 192.0.2.2 to 192.0.2.1, without a checksum of UDP.
func plainFrame() []byte {
	f := make([]byte, 90)
	f[6], f[12] = 2, 8
	ip := f[14:34]
	copy(ip, []byte{0x45, 0, 0, 76, 0, 0, 0x40, 0, 64, 17, 0, 0, 192, 0, 2, 2, 192, 0, 2, 1})
	sum := uint32(0)
	for i := 0; i < 20; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(ip[i:]))
	}
	binary.BigEndian.PutUint16(ip[10:], ^uint16(sum>>16+sum))
	copy(f[34:], []byte{0x30, 0x39, 0, 123, 0, 56})
	f[42] = 4<<3 | byte(ntp.ModeClient)
	f[42+47] = 9
	return f
}

// tried is an engine that frames are tried on, with the machine's clock.
type tried struct {
	*Engine
	t      *testing.T
	shared *access.Limiter
}

func newTried(t *testing.T) *tried {
	t.Helper()
	requireBPF(t)
	shape := access.LimiterConfig{Clients: 64, Seed: [16]byte{1}}
	e, err := Open(Options{Limiter: shape, Spare: 64, DSCP: 46, Log: hclog.NewNullLogger(), Own: func() ([]netif.Address, error) {
		p := netip.MustParsePrefix("192.0.2.1/24")
		return []netif.Address{{Addr: p.Addr(), Prefix: p}}, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	l, err := access.NewLimiterIn(shape, e.Limiter())
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	e.Begin(func() int64 { return int64(time.Since(start)) })
	e.Listen([]netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:123")})
	return &tried{e, t, l}
}

func (e *tried) govern(l *access.Limiter, rate *access.RateLimit) {
	e.t.Helper()
	table, err := access.NewTable([]access.Rule{{Prefix: netip.MustParsePrefix("0.0.0.0/0"), Action: access.Allow, Kinds: access.AllKinds,
		Rate: rate}})
	if err != nil {
		e.t.Fatal(err)
	}
	e.Govern(table, l, nil)
}

// expect tries a plain request; cause is why it is passed, empty: it is
// answered.
func (e *tried) expect(what, cause string) []byte {
	e.t.Helper()
	return e.try(what, plainFrame(), cause)
}

// try is expect of any frame.
func (e *tried) try(what string, frame []byte, cause string) []byte {
	e.t.Helper()
	before := e.Counts()
	out, answered, err := e.Try(TCX, frame, time.Time{})
	if err != nil {
		e.t.Fatal(err)
	}
	after := e.Counts()
	got := ""
	for i, name := range Causes {
		if after.Passed[i] != before.Passed[i] {
			got = name
		}
	}
	if got != cause || answered != (cause == "") {
		e.t.Errorf("%s: answered %v, passed as %q, want %q", what, answered, got, cause)
	}
	return out
}

// What is in doubt is left to the sockets: no clock, one that was stepped, a
// daemon that stands still, rules that are being changed.
func TestDoubtIsPassed(t *testing.T) {
	e := newTried(t)
	e.expect("no rules", "stale")
	e.govern(e.shared, nil)
	e.expect("no clock", "stale")
	good := &ntp.ClockState{Stratum: 2, Precision: -24}
	e.SetClock(good)
	out := e.expect("a good clock", "")
	if off := time.Until(ntp.Timestamp(binary.BigEndian.Uint64(out[42+40:])).Time(time.Now())).Abs(); off > 5*time.Second {
		t.Errorf("the time is off by %v", off)
	}
	for what, step := range map[string]time.Duration{"forward": time.Second, "back": -time.Second, "a millisecond": time.Millisecond,
		"a few microseconds back": -5 * time.Microsecond} {
		func() {
			e.telling.Lock() // no renewal meanwhile
			defer e.telling.Unlock()
			c, err := e.reader.read()
			if err != nil {
				t.Fatal(err)
			}
			c.tai -= int64(step)
			s := snapshotOf(good, c, 0)
			e.standing.publish(&s)
			e.expect("stepped "+what, "stepped")
		}()
	}
	e.SetClock(good)
	e.expect("after the step", "")
	e.telling.Lock()
	time.Sleep(snapshotLife + 20*time.Millisecond)
	e.expect("a daemon that stands still", "stale")
	e.telling.Unlock()
	e.SetClock(&ntp.ClockState{Leap: ntp.LeapUnknown, Stratum: ntp.StratumUnsynchronised})
	if out := e.expect("synchronisation is lost", ""); out[42]>>6 != 3 || out[43] != 0 {
		t.Errorf("leap %d and stratum %d are told of a clock that is not synchronised", out[42]>>6, out[43])
	}
	e.Pause()
	e.expect("rules are being changed", "stale")
	e.govern(e.shared, &access.RateLimit{Interval: time.Hour, Burst: 2})
	e.expect("a token", "")
	e.expect("the last one", "")
	e.expect("an empty bucket", "limited")
	other, err := access.NewLimiter(access.LimiterConfig{Clients: 64, Seed: [16]byte{1}})
	if err != nil {
		t.Fatal(err)
	}
	e.govern(other, &access.RateLimit{Interval: time.Hour, Burst: 2})
	e.expect("buckets that are not shared", "refused")
	if !strings.Contains(e.Wrong(), "restart") {
		t.Errorf("nothing is said of it: %q", e.Wrong())
	}
	for i, clients := range []int{8, 64, 100} {
		shape := access.LimiterConfig{Clients: clients, IPv4Prefix: 24, Seed: [16]byte{byte(1 + i)}}
		memory := e.SpareLimiter(shape, e.shared)
		if clients > 64 {
			if memory != nil {
				t.Error("there is room for a limiter larger than the room")
			}
			continue
		}
		if e.shared, err = access.NewLimiterIn(shape, memory); err != nil {
			t.Fatal(err)
		}
		e.govern(e.shared, &access.RateLimit{Interval: time.Hour, Burst: 2})
		e.SetClock(good)
		e.expect("another limiter's token", "")
		e.expect("its last one", "")
		e.expect("its empty bucket", "limited")
		if d := e.shared.Allow(netip.MustParseAddr("192.0.2.99"), 0, &access.RateLimit{Interval: time.Hour, Burst: 2}); d != access.Limited {
			t.Errorf("the sockets do not see the bucket: %v", d)
		}
	}
	e.govern(other, nil)
	e.expect("no limit", "")
	e.Listen([]netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:1123")})
	if _, answered, _ := e.Try(TCX, plainFrame(), time.Time{}); answered {
		t.Error("answered at a port that nobody listens on")
	}
}
