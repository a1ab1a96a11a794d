package clock_test

import (
	"bytes"
	"context"
	"math"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/bridge/clock"
	"ntsbridge/bridge/clock/discipline"
	"ntsbridge/bridge/clock/schedule"
	"ntsbridge/bridge/ntp"
)

// world is a machine under a driver, with servers on a network.
type world struct {
	*fakeKernel
	t       testing.TB
	config  clock.DriverConfig
	driver  *clock.Driver
	servers []*server
	random  *rand.Rand
	log     bytes.Buffer
	dir     string

	leapAt int64 // true time since the beginning after which UTC is behind by leapBy
	leapBy int64

	events  []planned
	end     int64
	cancel  context.CancelFunc
	states  []served
	onSteps []time.Duration
	doubts  int  // calls of OnDoubt
	honest  bool // check that the error is within the served root distance
	ticks   int
	err     error // of Run
}

type planned struct {
	at int64
	do func()
}

// served is a published state with what was true then.
type served struct {
	*ntp.ClockState
	at    int64
	error float64 // of the system clock, s
}

// server is a source.
type server struct {
	id      discipline.SourceID
	config  discipline.SourceConfig
	info    clock.SourceInfo
	next    int64
	offset  float64 // of its clock, s
	delay   float64 // least, s
	stratum uint8
	silent  bool
	plan    *schedule.Schedule
	change  func(*discipline.Sample)
}

var worldStart = time.Date(2026, 7, 14, 12, 0, 0, 0, time.UTC)

func newWorld(t testing.TB, servers int) *world {
	w := &world{t: t, fakeKernel: newFakeKernel(worldStart), random: rand.New(rand.NewPCG(1, 2)), dir: t.TempDir(),
		honest: true, leapAt: never}
	w.wait = w.pass
	w.config = clock.DriverConfig{
		System: w.fakeKernel, Discipline: discipline.DefaultConfig(), Precision: -25,
		Logger:    hclog.New(&hclog.LoggerOptions{Output: &w.log, Level: hclog.Debug, DisableTime: true}),
		StateFile: filepath.Join(w.dir, "state"), LockFile: filepath.Join(w.dir, "lock"),
		OnStep:  func(by time.Duration) { w.onSteps = append(w.onSteps, by) },
		OnDoubt: w.doubted,
	}
	w.config.OnState = func(s *ntp.ClockState) { w.states = append(w.states, served{s, w.now, w.wrong()}) }
	for i := range servers {
		w.servers = append(w.servers, &server{
			config: discipline.SourceConfig{MinPoll: 4, MaxPoll: 4}, delay: 2e-3, stratum: 1,
			info: clock.SourceInfo{Name: "server", Address: netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)})},
		})
	}
	return w
}

func (w *world) doubted() {
	w.doubts++
	for _, s := range w.servers {
		s.plan.Restart()
	}
}

// utc is the true time.
func (w *world) utc() int64 {
	u := w.start + w.now
	if w.now >= w.leapAt {
		u -= w.leapBy * second
	}
	return u
}

// wrong is the error of the system clock, s.
func (w *world) wrong() float64 { return float64(w.systemNow()-w.utc()) / 1e9 }

// after plans something for a time since the beginning of the world.
func (w *world) after(d time.Duration, do func()) {
	w.events = append(w.events, planned{int64(d), do})
}

// run runs a driver until a time since the beginning of the world.
func (w *world) run(until time.Duration) {
	w.t.Helper()
	var err error
	if w.driver, err = clock.NewDriver(w.config); err != nil {
		w.t.Fatal(err)
	}
	for i, s := range w.servers {
		if s.id, err = w.driver.AddSource(s.config, s.info); err != nil {
			w.t.Fatal(err)
		}
		s.next = w.now + int64(i+1)*second/10
		polls := schedule.Config{MinPoll: int8(s.config.MinPoll), MaxPoll: int8(s.config.MaxPoll), IBurst: true}
		if s.plan, err = schedule.New(polls); err != nil {
			w.t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	w.cancel, w.end = cancel, int64(until)
	w.err = w.driver.Run(ctx)
}

// must run without an error.
func (w *world) must(until time.Duration) {
	w.t.Helper()
	if w.run(until); w.err != nil {
		w.t.Fatalf("Run: %v\n%s", w.err, w.log.String())
	}
}

// pass lets the world run until the base reads at.
func (w *world) pass(ctx context.Context, at int64) error {
	w.ticks++
	w.check()
	for {
		to := w.now + max(int64(float64(at-w.rawNow())/(1+w.y)), 0)
		if to >= w.end {
			w.advance(w.end)
			w.cancel()
			return ctx.Err()
		}
		e := w.firstEvent()
		s := w.firstServer()
		switch {
		case e >= 0 && w.events[e].at <= to && (s == nil || w.events[e].at <= s.next):
			do := w.events[e].do
			w.advance(max(w.events[e].at, w.now))
			w.events = append(w.events[:e], w.events[e+1:]...)
			do()
		case s != nil && s.next <= to:
			w.ask(s)
		default:
			w.advance(to)
			if w.rawNow() < at {
				w.advance(w.now + at - w.rawNow())
			}
			w.check()
			return nil
		}
	}
}

func (w *world) firstEvent() int {
	first := -1
	for i, e := range w.events {
		if first < 0 || e.at < w.events[first].at {
			first = i
		}
	}
	return first
}

func (w *world) firstServer() (first *server) {
	for _, s := range w.servers {
		if first == nil || s.next < first.next {
			first = s
		}
	}
	return first
}

// ask is an exchange with a server.
func (w *world) ask(s *server) {
	w.advance(max(s.next, w.now))
	s.plan.Sent()
	s.plan.Want(w.driver.Poll(s.id))
	wait, _ := s.plan.Wait(w.random.Float64())
	w.driver.Asked(s.id, s.plan.Least(), wait)
	s.next = w.now + int64(wait)
	if s.silent {
		w.driver.Missed(s.id)
		return
	}
	stamp := func() int64 { return w.utc() + int64(s.offset*1e9) }
	delay := func() int64 { return int64((s.delay/2 + 50e-6*w.random.ExpFloat64()) * 1e9) }
	x := discipline.Sample{Source: s.id, T1: discipline.Instant(w.rawNow()), Stratum: s.stratum}
	if s.info.Refclock != "" {
		x.T4, x.T2, x.T3 = x.T1, stamp(), stamp()
	} else {
		w.advance(w.now + delay())
		x.T2, x.T3 = stamp(), stamp()
		w.advance(w.now + delay())
		x.T4 = discipline.Instant(w.rawNow())
	}
	if s.change != nil {
		s.change(&x)
	}
	w.driver.Sample(x)
	s.plan.Answered()
	s.plan.Reached()
}

// check fails if the clock is wrong by more than what clients are told.
func (w *world) check() {
	s := w.driver.State()
	if !w.honest || !s.Synchronised() || w.driver.Tracking().Fallback {
		return
	}
	if off := w.now - w.leapAt; w.leapAt != never && off > -2*second && off < 2*second {
		return // whether that second has come depends on whom one asks
	}
	var h ntp.Header
	s.Fill(&h, ntp.TimestampFromTime(time.Unix(0, w.systemNow())))
	bound := (h.RootDelay.Duration()/2 + h.RootDispersion.Duration()).Seconds()
	if e := math.Abs(w.wrong()); e > bound+1e-9 {
		w.t.Errorf("at %.3f s: error %v outside of the served root distance %v", float64(w.now)/1e9, e, bound)
		w.honest = false // once is enough
	}
	if w.unsync == false && w.maxError.Seconds()+1e-6 < math.Abs(w.wrong()) {
		w.t.Errorf("at %.3f s: error %v outside of the kernel's %v", float64(w.now)/1e9, w.wrong(), w.maxError)
		w.honest = false
	}
	if s.Reference > ntp.TimestampFromTime(time.Unix(0, w.systemNow())) {
		w.t.Errorf("at %.3f s: reference timestamp in the future", float64(w.now)/1e9)
	}
}

func (w *world) logged(text string) int { return strings.Count(w.log.String(), text) }

func (w *world) wantLogged(texts ...string) {
	w.t.Helper()
	for _, text := range texts {
		if w.logged(text) == 0 {
			w.t.Errorf("log does not say %q:\n%s", text, w.log.String())
		}
	}
}

func (w *world) wantNotLogged(texts ...string) {
	w.t.Helper()
	for _, text := range texts {
		if w.logged(text) > 0 {
			w.t.Errorf("log says %q:\n%s", text, w.log.String())
		}
	}
}

func (w *world) wantWithin(limit float64) {
	w.t.Helper()
	if math.Abs(w.wrong()) > limit {
		w.t.Errorf("error %v s, want at most %v", w.wrong(), limit)
	}
}
