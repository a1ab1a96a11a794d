package source

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"ntsbridge/bridge/ntp"
)

// fakePHC is a clock that is fast by a rate and can be set.
type fakePHC struct {
	raw    int64   // of the base, now
	rate   float64 // ns of the clock for one of the base
	offset int64
	err    error
}

func (f *fakePHC) at(raw int64) int64 { return int64(float64(raw)*f.rate) + f.offset }

func (f *fakePHC) Cross() (clock, raw int64, err error) { return f.at(f.raw), f.raw, f.err }
func (f *fakePHC) Close() error                         { return nil }

// Timestamps of a clock that nobody disciplines are converted to within
// nanoseconds once its rate is known, and to within its rate before.
func TestHardwareConversion(t *testing.T) {
	t.Parallel()
	const second = int64(time.Second)
	for _, rate := range []float64{1, 1 + 80e-6, 1 - 500e-6} {
		f := &fakePHC{raw: 10 * second, rate: rate, offset: 37 * second}
		h := &hardwareClock{crossClock: f}
		if _, ok := h.convert(f.at(f.raw)); ok {
			t.Error("converted before anything was read")
		}
		h.read()
		for poll := range 40 {
			sent := f.raw - 20_000
			arrived := f.raw + 100_000_000 // the answer comes 100 ms later
			limit := int64(100_000_000 * 600e-6)
			if poll > 1 {
				limit = 20
			}
			for _, raw := range []int64{sent, arrived} {
				got, ok := h.convert(f.at(raw))
				if wrong := got - raw; !ok || wrong > limit || wrong < -limit {
					t.Errorf("rate %v, poll %d: %d ns wrong", rate, poll, wrong)
				}
			}
			f.raw += 64 * second
			h.read()
		}
	}
}

func TestHardwareClockIsSet(t *testing.T) {
	t.Parallel()
	const second = int64(time.Second)
	f := &fakePHC{raw: second, rate: 1 + 50e-6}
	h := &hardwareClock{crossClock: f}
	for range 10 {
		f.raw += 16 * second
		h.read()
	}
	f.offset -= 1000 * second
	f.raw += 16 * second
	h.read()
	if got, ok := h.convert(f.at(f.raw - 1000)); !ok || got-(f.raw-1000) > 1 || got-(f.raw-1000) < -1 {
		t.Errorf("after the clock was set: %d ns wrong, %v", got-(f.raw-1000), ok)
	}
	for _, far := range []int64{-60 * second, 60 * second, 1 << 62} {
		if _, ok := h.convert(f.at(f.raw) + far); ok {
			t.Errorf("a timestamp %v away was converted", time.Duration(far))
		}
	}
	f.err = errors.New("the device is gone")
	h.read()
	if _, ok := h.convert(f.at(f.raw)); ok {
		t.Error("converted by a clock that cannot be read")
	}
}

// Received packets are stamped when they begin, and count when they end.
func TestHardwareArrival(t *testing.T) {
	t.Parallel()
	f := &fakePHC{raw: 1 << 40, rate: 1}
	h := &hardwareClock{crossClock: f}
	h.read()
	for _, c := range []struct {
		megabits int
		v6       bool
		want     int64
	}{{10_000, false, 75}, {1000, false, 752}, {100, false, 7520}, {1000, true, 912}} {
		h.bitTime = time.Duration(1_000_000 / c.megabits)
		if raw, ok := h.arrival(f.at(f.raw), 48, c.v6); !ok || raw-f.raw != c.want {
			t.Errorf("%+v: %d ns after the beginning", c, raw-f.raw)
		}
	}
}

// Where the interface has no timestamps that is said once, and those of the
// kernel are used.
func TestNoHardware(t *testing.T) {
	t.Parallel()
	server := scriptedServer(t, func(_ int, _ []byte, h *ntp.Header, _ netip.AddrPort) [][]byte { return good(h) })
	watch(t, ClientConfig{Server: server}, func(w *watched) bool { // the kernel begins to take timestamps a moment after it is asked
		n := len(w.samples)
		return n > 0 && w.samples[n-1].RX == StampKernel
	})
	defer keepStamping()()
	for _, device := range []string{"", "lo"} {
		w := watch(t, ClientConfig{Server: server, HardwareTimestamps: true, Interface: device}, withSamples(5))
		if len(w.errs) != 1 || !strings.Contains(w.errs[0].Error(), "interface lo: no hardware timestamps") {
			t.Errorf("errors %v", w.errs)
		}
		for _, s := range w.samples {
			if s.TX != StampKernel || s.RX != StampKernel {
				t.Errorf("timestamps by %v and %v", s.TX, s.RX)
			}
		}
	}
}

// Timestamps of an interface are used where they can be those of the packet.
func TestHardwareTimestampsOfPackets(t *testing.T) {
	t.Parallel()
	clock := NewSystemClock(nil)
	pair := clock.Pair()
	f := &fakePHC{raw: pair.Raw, rate: 1, offset: 12345}
	h := &hardwareClock{crossClock: f}
	h.read()
	for _, c := range []struct {
		name string
		ago  time.Duration
		want StampKind
	}{{"just now", time.Microsecond, StampHardware}, {"in the future", -time.Second, StampDaemon}, {"long ago",
		11 * time.Second, StampDaemon}} {
		r := received{at: daemonStamp(pair), pair: pair}
		if raw, ok := h.convert(f.at(pair.Raw - int64(c.ago))); ok {
			r.take(rawStamp(pair, raw, StampHardware))
		}
		if r.at.kind != c.want {
			t.Errorf("%s: by %v", c.name, r.at.kind)
		}
		if waited := time.Duration(pair.System - r.at.system); c.want == StampHardware && (waited != c.ago ||
			time.Duration(pair.Raw-r.at.raw) != c.ago) {
			t.Errorf("%s: %v before it was read", c.name, waited)
		}
	}
}
