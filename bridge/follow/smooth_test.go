package follow

import (
	"math"
	"testing"
	"time"

	"ntsbridge/bridge/clock"
	"ntsbridge/bridge/clock/discipline"
	"ntsbridge/bridge/ntp"
)

// smoothedServer is a server in virtual time whose system clock is stepped.
type smoothedServer struct {
	smoothing
	truth  float64 // s
	error  float64 // of the system clock, s
	state  *ntp.ClockState
	report clock.TrackingReport
}

const smoothStart = int64(1_790_000_000e9)

func (s *smoothedServer) system() int64 { return smoothStart + int64((s.truth+s.error)*1e9) }

// second publishes what is served for the next second.
func (s *smoothedServer) second(smooth bool) {
	now := ntp.TimestampFromTime(time.Unix(0, s.system()))
	s.state = &ntp.ClockState{Stratum: 2, Precision: -25, ReferenceID: 1, Reference: now, RootDelay: time.Millisecond,
		RootDispersion: time.Millisecond, Drift: 15e-6, Updated: now}
	if smooth {
		s.state = s.apply(s.state, &s.report)
	}
}

// answer is what a client gets: the time and how far it may be wrong.
func (s *smoothedServer) answer() (served int64, h ntp.Header) {
	now := ntp.TimestampFromTime(time.Unix(0, s.system()))
	s.state.FillServed(&h, now)
	return s.state.Served(now).Time(time.Unix(0, smoothStart)).UnixNano(), h
}

// smoothedClient follows it by the discipline of this program.
type smoothedClient struct {
	*discipline.Discipline
	error, rate float64 // of its system clock
	steps       int
	alarms      int // seconds without synchronisation, after the start
	events      []discipline.Event
}

const clientFast = 20e-6 // of its oscillator

func (c *smoothedClient) raw(truth float64) discipline.Instant {
	return discipline.Instant(truth * (1 + clientFast) * 1e9)
}

func (c *smoothedClient) ask(t *testing.T, s *smoothedServer) {
	t.Helper()
	const oneWay = 1e-3
	x := discipline.Sample{Source: 1, T1: c.raw(s.truth - oneWay), T4: c.raw(s.truth + oneWay)}
	var h ntp.Header
	x.T2, h = s.answer()
	x.T3, x.Leap, x.Stratum = x.T2, h.Leap, h.Stratum
	x.RootDelay, x.RootDispersion = h.RootDelay.Duration().Seconds(), h.RootDispersion.Duration().Seconds()
	if v := c.Sample(x); v != discipline.Accepted {
		t.Fatalf("at %v s: %v", s.truth, v)
	}
}

func (c *smoothedClient) second(truth float64) {
	c.error += (1+clientFast)*(1+c.rate) - 1
	r := discipline.Reading{Raw: c.raw(truth), System: smoothStart + int64((truth+c.error)*1e9), Rate: c.rate}
	a := c.Tick(r)
	c.rate = a.Rate
	if a.Step != 0 {
		c.steps++
		c.error += float64(a.Step) / 1e9
	}
	if truth > 600 && !c.Status(r).Synchronised {
		c.alarms++
	}
	c.events = c.Events(c.events)
}

// smoothTrial lets a client live with a server that is stepped by 0.3 s. It
// returns the client, and the largest rate at which the served time moved.
func smoothTrial(t *testing.T, smooth bool) (c *smoothedClient, s *smoothedServer, largest float64) {
	t.Helper()
	d, err := discipline.New(discipline.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	c = &smoothedClient{Discipline: d}
	if err := c.AddSource(1, discipline.SourceConfig{MinPoll: 4, MaxPoll: 4}); err != nil {
		t.Fatal(err)
	}
	s = &smoothedServer{smoothing: smoothing{Smoother: clock.Smoother{MaxRate: 400e-6, MaxWander: 0.01e-6}}} // chrony's example
	s.read = func() (clock.Clocks, error) { return clock.Clocks{Raw: int64(s.truth * 1e9), System: s.system()}, nil }
	before := 0.0
	for second := 1; second <= 30000; second++ {
		s.truth = float64(second)
		if second == 3000 {
			s.error += 0.3
		}
		s.second(smooth)
		served, _ := s.answer()
		wrong := float64(served-smoothStart)/1e9 - s.truth
		largest = max(largest, math.Abs(wrong-before))
		before = wrong
		if second%16 == 0 {
			c.ask(t, s)
		}
		c.second(s.truth)
		_, h := s.answer()
		if bound := h.RootDispersion.Duration().Seconds() + 2e-6; math.Abs(wrong-s.error) > bound {
			t.Fatalf("at %d s %v s are not caught up with, and %v are told", second, wrong-s.error, bound)
		}
	}
	return c, s, largest
}

// A client of a server that had to be stepped follows it without a step, a
// contradiction or a second of alarm if the served time is smoothed; without,
// it sees a clock that jumped.
func TestClientOfASmoothedServer(t *testing.T) {
	c, s, largest := smoothTrial(t, true)
	if largest > 81e-6 {
		t.Errorf("the served time moved by %v in a second", largest)
	}
	if c.steps > 0 || c.alarms > 0 || len(c.events) > 0 {
		t.Errorf("%d steps, %d s of alarm, events %+v", c.steps, c.alarms, c.events)
	}
	if off := c.error - s.error; math.Abs(off) > 1e-3 {
		t.Errorf("the client is %v s off in the end", off)
	}
	c, _, largest = smoothTrial(t, false)
	if largest < 0.29 || len(c.events) == 0 {
		t.Errorf("not smoothed: moved by %v in a second, events %+v", largest, c.events)
	}
}
