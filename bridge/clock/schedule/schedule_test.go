package schedule

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func newSchedule(t testing.TB, c Config) *Schedule {
	t.Helper()
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func usual(change func(*Config)) Config {
	c := Config{MinPoll: DefaultMinPoll, MaxPoll: DefaultMaxPoll}
	change(&c)
	return c
}

func (s *Schedule) middle() time.Duration {
	d, _ := s.Wait(0.5)
	return d
}

func (s *Schedule) answer() {
	s.Answered()
	s.Reached()
}

func TestIBurst(t *testing.T) {
	s := newSchedule(t, usual(func(c *Config) { c.IBurst = true }))
	for i, want := range []time.Duration{2, 2, 2, 4, 8, 16, 32, 64, 64} {
		s.Sent()
		if got := s.middle(); got != want*time.Second || s.Poll() != 6 {
			t.Errorf("after packet %d: %v, exponent %d, want %v", i+1, got, s.Poll(), want*time.Second)
		}
		s.answer()
	}
	if s.Reach() != 0xff {
		t.Errorf("reach %o", s.Reach())
	}
	s.Restart()
	if s.Sent(); s.middle() != 2*time.Second {
		t.Errorf("anew: %v", s.middle())
	}
}

func TestNoIBurst(t *testing.T) {
	s := newSchedule(t, usual(func(*Config) {}))
	for range 5 {
		if s.Sent(); s.middle() != 64*time.Second {
			t.Errorf("%v", s.middle())
		}
		s.answer()
	}
}

// Nobody answers: one burst, then single packets, ever less often.
func TestUnreachable(t *testing.T) {
	s := newSchedule(t, usual(func(c *Config) { c.IBurst = true }))
	at, burst := time.Duration(0), 0
	for range 200 {
		s.Sent()
		if at += s.middle(); at < 60*time.Second {
			burst++
		}
	}
	if s.Poll() != DefaultMaxPoll || s.Reach() != 0 || s.Interval() != 1024*time.Second || burst != defaultBurst-1 {
		t.Errorf("exponent %d, reach %o, %d soon", s.Poll(), s.Reach(), burst)
	}
	s.answer()
	if s.Poll() != DefaultMinPoll || s.Reach() != 1 {
		t.Errorf("exponent %d, reach %o after an answer", s.Poll(), s.Reach())
	}
}

func TestHandshake(t *testing.T) {
	s := newSchedule(t, usual(func(*Config) {}))
	s.Sent()
	s.Answered()
	s.Continue()
	if got, poll := s.Wait(0.5); got != DefaultBurstInterval || poll {
		t.Errorf("during a handshake: %v", got)
	}
	if s.Sent(); s.middle() != 64*time.Second {
		t.Errorf("after it: %v", s.middle())
	}
}

// chrony's burst ends with the first good sample, and keeps the average.
func TestBurstUntilGood(t *testing.T) {
	for poll, want := range map[int8]int{6: 1, 7: 2, 8: 4, 10: 4} {
		s := newSchedule(t, usual(func(c *Config) { c.Burst, c.BurstLen, c.BurstGood = true, 4, 1 }))
		s.Want(poll)
		if s.Sent(); s.Busy() {
			t.Error("a burst before anything was reached")
		}
		s.answer()
		s.Sent()
		packets := 1
		for s.Busy() {
			s.Sent()
			packets++
		}
		if packets != want {
			t.Errorf("exponent %d: %d packets, want %d", poll, packets, want)
		}
	}
	s := newSchedule(t, usual(func(c *Config) { c.Burst, c.BurstLen, c.BurstGood = true, 4, 1 }))
	s.Want(10)
	s.Reached()
	s.Sent()
	if s.Sampled(time.Millisecond); s.Busy() {
		t.Error("a burst goes on after a good sample")
	}
}

// A server, or somebody in its name, slows us down to MaxPoll at most, and not
// for ever.
func TestRate(t *testing.T) {
	s := newSchedule(t, usual(func(c *Config) { c.Burst = true }))
	s.Sent()
	s.Reached()
	if s.Sent(); !s.Busy() {
		t.Fatal("no burst")
	}
	s.Rate(3)
	if s.Poll() != 7 || s.Busy() || s.middle() != 256*time.Second || !s.Rated() || s.Burst(4, 4) {
		t.Errorf("exponent %d, burst %v, pause %v", s.Poll(), s.Busy(), s.middle())
	}
	s.Rate(9)
	if s.Poll() != 9 {
		t.Errorf("exponent %d, want what the server proposes", s.Poll())
	}
	for range 20 {
		s.Rate(17)
	}
	if s.Poll() != DefaultMaxPoll {
		t.Errorf("exponent %d, at most %d", s.Poll(), DefaultMaxPoll)
	}
	for range 8 * (DefaultMaxPoll - DefaultMinPoll) {
		if s.Want(6); s.Poll() < s.Least() {
			t.Errorf("exponent %d below %d", s.Poll(), s.Least())
		}
		s.Sent()
		s.answer()
	}
	if s.Poll() != 6 || s.Rated() || !s.Burst(4, 4) {
		t.Errorf("exponent %d after many good answers", s.Poll())
	}
}

// One packet with RATE and poll 17 costs a source of a fixed interval one pause.
func TestRateOfFixedInterval(t *testing.T) {
	s := newSchedule(t, Config{MinPoll: 1, MaxPoll: 1, IBurst: true})
	s.Sent()
	s.Rate(17)
	at, asked := s.middle(), 0
	for ; at < 80*time.Second; at += s.middle() {
		s.Sent()
		s.answer()
		asked++
	}
	if asked < 35 {
		t.Errorf("asked %d times in 80 s", asked)
	}
}

// Intervals below a second are for servers that are near.
func TestSubSecond(t *testing.T) {
	s := newSchedule(t, Config{MinPoll: -6, MaxPoll: -6})
	s.Sent()
	s.answer()
	if s.Sampled(time.Millisecond); s.middle() != time.Second/64 {
		t.Errorf("near: %v", s.middle())
	}
	if s.Sampled(20 * time.Millisecond); s.middle() != time.Second || s.Poll() != 0 {
		t.Errorf("far: %v, exponent %d", s.middle(), s.Poll())
	}
}

// Whatever happens, intervals stay within the limits.
func TestLimits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		least := int8(rapid.IntRange(MinPoll, MaxPoll).Draw(t, "least"))
		most := int8(rapid.IntRange(int(least), MaxPoll).Draw(t, "most"))
		s, err := New(Config{MinPoll: least, MaxPoll: most, IBurst: rapid.Bool().Draw(t, "iburst"), Burst: rapid.Bool().Draw(t, "burst")})
		if err != nil {
			t.Fatal(err)
		}
		for range rapid.IntRange(1, 200).Draw(t, "events") {
			switch rapid.IntRange(0, 7).Draw(t, "event") {
			case 0:
				s.answer()
			case 1:
				s.Sampled(time.Duration(rapid.Int64Range(-1, 3e9).Draw(t, "delay")))
			case 2:
				s.Rate(int8(rapid.IntRange(-128, 127).Draw(t, "proposed")))
			case 3:
				s.Want(int8(rapid.IntRange(-128, 127).Draw(t, "wanted")))
			case 4:
				s.Continue()
			case 5:
				s.Restart()
			default:
				s.Sent()
			}
			wait, poll := s.Wait(rapid.Float64Range(0, 0.999).Draw(t, "random"))
			low, high := min(Spacing, Interval(least)), 2*max(Interval(most), time.Second)*103/100
			if wait < low || wait > high || poll && s.Poll() > max(most, 0) {
				t.Fatalf("wait %v, poll %v, exponent %d", wait, poll, s.Poll())
			}
		}
	})
}

func TestConfig(t *testing.T) {
	for _, c := range []Config{{MinPoll: -7}, {MaxPoll: 18}, {MinPoll: 6, MaxPoll: 5}, {BurstLen: -1}, {BurstInterval: -1},
		{BurstGood: -1}} {
		if _, err := New(c); err == nil {
			t.Errorf("%+v: accepted", c)
		}
	}
}
