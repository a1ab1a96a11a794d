package source

import (
	"errors"
	"testing"
	"time"

	"ntsbridge/bridge/ntp"
)

func TestMeasure(t *testing.T) {
	second := ntp.Timestamp(1 << 32)
	base := ntp.Timestamp(0xfffffffe << 32) // over the end of the era
	// 10 s ahead, 0.5 s out, 0.25 s in the server, 0.5 s back.
	h := &ntp.Header{Receive: base + 10*second + second/2, Transmit: base + 10*second + second*3/4, Precision: -10}
	at := func(t ntp.Timestamp) stamp { return stamp{system: int64(t.Sub(timestampOf(0)))} }
	between := func(h *ntp.Header, t1, t4 ntp.Timestamp) *exchanged {
		return &exchanged{at(t1), at(t4), h.Receive, h.Transmit}
	}
	s := measure(between(h, base, base+second*5/4), h, -10)
	if s.Offset != 10*time.Second || s.Delay != time.Second {
		t.Errorf("offset %v, delay %v", s.Offset, s.Delay)
	}
	if low := 2*time.Second/1024 + 18*time.Microsecond; s.Dispersion < low || s.Dispersion > low+time.Microsecond {
		t.Errorf("dispersion %v, want %v", s.Dispersion, low)
	}
	// A server that claims to have worked longer than it took, or not at all.
	for _, h := range []*ntp.Header{{Receive: base, Transmit: base + 2*second}, {Receive: base + second/2, Transmit: base}} {
		if err := between(h, base, base+second).check(-10, -10); !errors.Is(err, errBogus) {
			t.Errorf("%+v: %v", h, err)
		}
	}
}
