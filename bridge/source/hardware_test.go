package source

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"ntsbridge/bridge/clock/nic"
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
	h := nic.New(f, 0)
	h.Read()
	for _, c := range []struct {
		name string
		ago  time.Duration
		want StampKind
	}{{"just now", time.Microsecond, StampHardware}, {"in the future", -time.Second, StampDaemon}, {"long ago",
		11 * time.Second, StampDaemon}} {
		r := received{at: daemonStamp(pair), pair: pair}
		if raw, ok := h.Convert(f.at(pair.Raw - int64(c.ago))); ok {
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
