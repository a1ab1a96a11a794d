package source

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"ntsbridge/bridge/ntp"
)

// delayed makes the sample number n of a server that is 1 s ahead: delay is its
// round trip, of which late went into the way there alone.
func delayed(n int, delay, late time.Duration, noise time.Duration) (exchanged, Sample) {
	raw := int64(n) * 64 * int64(time.Second)
	const unix = int64(1_790_000_000e9)
	e := exchanged{t1: stamp{system: unix + raw, raw: raw}, t4: stamp{system: unix + raw + int64(delay), raw: raw + int64(delay)}}
	e.t2 = timestampOf(e.t1.system + int64(time.Second) + int64((delay-late)/2+late+noise))
	e.t3 = e.t2
	return e, measure(&e, &ntp.Header{Precision: -24}, -24)
}

func TestDelayTests(t *testing.T) {
	t.Parallel()
	const usual = 10 * time.Millisecond
	ratio := ClientConfig{MaxDelay: time.Second, MaxDelayRatio: 3}
	deviation := ClientConfig{MaxDelay: time.Second, MaxDelayDevRatio: 10}
	for _, c := range []struct {
		name        string
		cfg         ClientConfig
		delay, late time.Duration
		want        error
	}{
		{"the usual", ratio, usual, 0, nil},
		{"below the ratio", ratio, 2 * usual, usual, nil},
		{"above the ratio", ratio, 4 * usual, 3 * usual, errDelay},
		{"no tests", ClientConfig{MaxDelay: time.Second}, 90 * usual, 89 * usual, nil},
		{"too long in any case", ClientConfig{MaxDelay: time.Second}, time.Second + usual, 0, errDelay},
		{"within the deviation", deviation, usual + 200*time.Microsecond, 200 * time.Microsecond, nil},
		{"beyond the deviation", deviation, usual + 10*time.Millisecond, 10 * time.Millisecond, errDelay},
		{"beyond it, but the offset moved more", deviation, usual + 10*time.Millisecond, 60 * time.Millisecond, nil},
		{"shorter than ever", deviation, usual / 2, 0, nil},
	} {
		d := delayTest{limits: c.cfg.delayLimits()}
		random := rand.New(rand.NewPCG(1, 2))
		for n := range 20 {
			noise := time.Duration(random.NormFloat64() * float64(20*time.Microsecond))
			e, s := delayed(n, usual, 0, noise)
			if err := d.check(&e, &s); err != nil {
				t.Fatalf("%s: sample %d: %v", c.name, n, err)
			}
		}
		e, s := delayed(20, c.delay, c.late, 0)
		if err := d.check(&e, &s); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// A way that has become longer for good is believed in the end.
func TestDelayTestsForget(t *testing.T) {
	t.Parallel()
	d := delayTest{limits: delayLimits{longest: time.Second, ratio: 2}}
	e, s := delayed(0, 10*time.Millisecond, 0, 0)
	if err := d.check(&e, &s); err != nil {
		t.Fatal(err)
	}
	dropped := 0
	for n := 1; n < 100; n++ {
		e, s := delayed(n, 30*time.Millisecond, 0, 0)
		if err := d.check(&e, &s); err != nil {
			dropped++
		}
	}
	if dropped != delayHistory {
		t.Errorf("%d samples dropped, want %d", dropped, delayHistory)
	}
}

// The line follows a clock that is fast.
func TestDelayFit(t *testing.T) {
	t.Parallel()
	var d delayTest
	for n := range 30 {
		raw := int64(n) * int64(16*time.Second)
		d.past[n] = pastDelay{raw: raw, offset: 1e18 + raw/10_000, delay: 1, good: n%3 != 0}
		d.n++
	}
	at := int64(40 * 16 * time.Second)
	l, ok := d.fit(at, 1e18+at/10_000)
	if !ok || l.predicted > 1e-6 || l.predicted < -1e-6 || l.deviation > 1e-6 {
		t.Errorf("%+v", l)
	}
}

// What a test of the delay drops is told and counted, but nothing was missed.
func TestLongDelaysAreNotMissed(t *testing.T) {
	t.Parallel()
	server := scriptedServer(t, func(_ int, _ []byte, h *ntp.Header, _ netip.AddrPort) [][]byte { return good(h) })
	w := watch(t, ClientConfig{Server: server, MaxDelay: time.Nanosecond}, withErrors(3))
	if s := w.Status(); len(w.samples) > 0 || w.missed > 0 || s.Rejected != 3 || s.Missed > 0 || s.Reach&7 != 7 {
		t.Errorf("%d samples, %d missed, %+v", len(w.samples), w.missed, s)
	}
	for _, err := range w.errs {
		if !errors.Is(err, errDelay) {
			t.Error(err)
		}
	}
}

// Who is asked at an address that this process itself answers on is no source,
// whatever it says that it follows.
func TestItself(t *testing.T) {
	t.Parallel()
	server := scriptedServer(t, func(_ int, _ []byte, h *ntp.Header, _ netip.AddrPort) [][]byte { return good(h) })
	for _, own := range []bool{true, false} {
		w := watch(t, ClientConfig{Server: server, Serves: func(a netip.AddrPort) bool { return own && a == server }}, withSamples(1))
		if w.samples[0].Loop != own {
			t.Errorf("ourselves %v: %+v", own, w.samples[0])
		}
	}
}

// Stratum and loops, as samples tell them.
func TestSampleMarks(t *testing.T) {
	t.Parallel()
	const ours, other = 0xc0000201, 0xc0000202
	loopback := ntp.ReferenceID(netip.MustParseAddr("127.0.0.1"))
	for _, c := range []struct {
		name    string
		stratum uint8
		refid   uint32
		least   uint8
		loop    bool
		want    uint8
	}{
		{"another server", 2, other, 0, false, 2},
		{"one of our addresses", 2, ours, 0, true, 2},
		{"the address we ask from", 5, loopback, 0, true, 5},
		{"a reference clock of that name", 1, ours, 0, false, 1},
		{"raised", 1, ours, 4, false, 4},
		{"high enough", 6, other, 4, false, 6},
	} {
		server := scriptedServer(t, func(_ int, _ []byte, h *ntp.Header, _ netip.AddrPort) [][]byte {
			a := header(h, 0)
			a.Stratum, a.ReferenceID = c.stratum, c.refid
			return [][]byte{encode(a)}
		})
		w := watch(t, ClientConfig{Server: server, MinStratum: c.least, Self: func(id uint32) bool { return id == ours }}, withSamples(1))
		if s := w.samples[0]; s.Loop != c.loop || s.Header.Stratum != c.want {
			t.Errorf("%s: loop %v, stratum %d", c.name, s.Loop, s.Header.Stratum)
		}
	}
	// RFC 5905: the first octets of the MD5 hash of an IPv6 address.
	if got := ntp.ReferenceID(netip.MustParseAddr("2001:db8::1")); got != 0x39ab9b37 {
		t.Errorf("reference identifier %08x", got)
	}
}
