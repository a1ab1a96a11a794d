package source

import (
	"errors"
	"testing"
	"time"

	"ntsbridge/bridge/ntp"
)

func newSchedule(p Polling) *schedule {
	if err := p.check(); err != nil {
		panic(err)
	}
	return &schedule{Polling: p, poll: p.MinPoll}
}

func TestScheduleIBurst(t *testing.T) {
	s := newSchedule(Polling{IBurst: true})
	for i := range DefaultBurst {
		s.sent(s.interval())
		want := DefaultBurstInterval
		if i == DefaultBurst-1 {
			want = 64 * time.Second
		}
		if got, _ := s.wait(); got != want {
			t.Errorf("after packet %d: %v, want %v", i+1, got, want)
		}
		s.answered()
		s.reached()
	}
	if s.reach != 0xff {
		t.Errorf("reach %o", s.reach)
	}
	s.sent(s.interval())
	if got, _ := s.wait(); got != 64*time.Second {
		t.Errorf("a burst while reached: %v", got)
	}
}

func TestScheduleHandshake(t *testing.T) {
	s := newSchedule(Polling{})
	s.sent(s.interval())
	s.answered()
	s.again = true
	if got, _ := s.wait(); got != DefaultBurstInterval {
		t.Errorf("during a handshake: %v", got)
	}
	s.sent(s.interval())
	if got, _ := s.wait(); got != 64*time.Second {
		t.Errorf("after it: %v", got)
	}
}

func TestScheduleUnreachable(t *testing.T) {
	s := newSchedule(Polling{IBurst: true})
	for range 200 {
		s.sent(s.interval())
	}
	if s.poll != DefaultMaxPoll || s.reach != 0 || s.interval() != 1024*time.Second {
		t.Errorf("poll %d, reach %o, wait %v", s.poll, s.reach, s.interval())
	}
	s.answered()
	s.reached()
	if s.poll != DefaultMinPoll || s.reach != 1 {
		t.Errorf("poll %d, reach %o after an answer", s.poll, s.reach)
	}
}

func TestScheduleRate(t *testing.T) {
	s := newSchedule(Polling{Burst: true})
	s.sent(s.interval())
	s.reached()
	s.sent(s.interval())
	if s.burst == 0 {
		t.Fatal("no burst")
	}
	s.rate(3)
	if s.poll != 7 || s.burst != 0 {
		t.Errorf("poll %d, burst %d", s.poll, s.burst)
	}
	s.rate(9)
	if s.poll != 9 {
		t.Errorf("poll %d, want what the server proposes", s.poll)
	}
	for range 20 {
		s.rate(127)
	}
	if s.poll != MaxPoll || s.interval() <= 0 {
		t.Errorf("poll %d", s.poll)
	}
}

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
		if err := between(h, base, base+second).check(-10, -10); !errors.Is(err, ErrBogus) {
			t.Errorf("%+v: %v", h, err)
		}
	}
}
