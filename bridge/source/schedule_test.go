package source

import (
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
		s.sent()
		want := DefaultBurstInterval
		if i == DefaultBurst-1 {
			want = 64 * time.Second
		}
		if got := s.wait(); got != want {
			t.Errorf("after packet %d: %v, want %v", i+1, got, want)
		}
		s.answered()
		s.reached()
	}
	if s.reach != 0xff {
		t.Errorf("reach %o", s.reach)
	}
	s.sent()
	if got := s.wait(); got != 64*time.Second {
		t.Errorf("a burst while reached: %v", got)
	}
}

func TestScheduleHandshake(t *testing.T) {
	s := newSchedule(Polling{})
	s.sent()
	s.answered()
	s.again = true
	if got := s.wait(); got != DefaultBurstInterval {
		t.Errorf("during a handshake: %v", got)
	}
	s.sent()
	if got := s.wait(); got != 64*time.Second {
		t.Errorf("after it: %v", got)
	}
}

func TestScheduleUnreachable(t *testing.T) {
	s := newSchedule(Polling{IBurst: true})
	for range 200 {
		s.sent()
	}
	if s.poll != DefaultMaxPoll || s.reach != 0 || s.wait() != 1024*time.Second {
		t.Errorf("poll %d, reach %o, wait %v", s.poll, s.reach, s.wait())
	}
	s.answered()
	s.reached()
	if s.poll != DefaultMinPoll || s.reach != 1 {
		t.Errorf("poll %d, reach %o after an answer", s.poll, s.reach)
	}
}

func TestScheduleRate(t *testing.T) {
	s := newSchedule(Polling{Burst: true})
	s.sent()
	s.reached()
	s.sent()
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
	s := measure(h, base, base+second*5/4, -10)
	if s.Offset != 10*time.Second || s.Delay != time.Second {
		t.Errorf("offset %v, delay %v", s.Offset, s.Delay)
	}
	if low := 2*time.Second/1024 + 18*time.Microsecond; s.Dispersion < low || s.Dispersion > low+time.Microsecond {
		t.Errorf("dispersion %v, want %v", s.Dispersion, low)
	}
	// A server that claims to have worked longer than it took.
	if s := measure(&ntp.Header{Receive: base, Transmit: base + 2*second}, base, base+second, -10); s.Delay <= 0 {
		t.Errorf("delay %v", s.Delay)
	}
}
