package discipline

import (
	"math"
	"testing"
	"time"

	"ntsbridge/bridge/clock/schedule"
)

// rig is a machine with a clock, and servers that are asked as the discipline
// wants. Frequency and network are simple; package sim has better ones.
type rig struct {
	d       *Discipline
	now     int64   // true time, ns since start
	raw     float64 // error of the base, s
	system  float64 // error of the system clock, s
	y       float64 // of the oscillator
	rate    float64
	servers []*server
	steps   []float64
	events  []Event
	rates   []float64
	noise   func() float64 // 0 to 1, for delays
}

// server is a server of a rig.
type server struct {
	id     SourceID
	next   int64
	offset float64 // of its clock, s
	delay  float64 // least, s
	up     float64 // extra delay to it, s
	silent bool
	change func(*Sample)
	asked  []int64
	plan   *schedule.Schedule
}

// newServer is a server that is asked as its source is configured.
func newServer(t testing.TB, id SourceID, c SourceConfig, delay float64, next int64) *server {
	t.Helper()
	plan, err := schedule.New(schedule.Config{MinPoll: int8(c.MinPoll), MaxPoll: int8(c.MaxPoll), IBurst: true})
	if err != nil {
		t.Fatal(err)
	}
	return &server{id: id, delay: delay, next: next, plan: plan}
}

const (
	rigRaw  = int64(5e12)
	rigUnix = int64(1_790_000_000e9)
)

func newRig(t testing.TB, c Config, sources ...SourceConfig) *rig {
	t.Helper()
	d, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	state := uint64(1)
	r := &rig{d: d, y: 20e-6, noise: func() float64 {
		state = state*6364136223846793005 + 1442695040888963407
		return float64(state>>40) / (1 << 24)
	}}
	for i, s := range sources {
		if err := d.AddSource(SourceID(i), s); err != nil {
			t.Fatal(err)
		}
		r.servers = append(r.servers, newServer(t, SourceID(i), s, 2e-3, int64(i+1)*1e8))
	}
	return r
}

// poll4 is a source asked each 16 s.
var poll4 = SourceConfig{MinPoll: 4, MaxPoll: 4}

func (r *rig) advance(to int64) {
	dt := float64(to-r.now) / 1e9
	r.raw += dt * r.y
	r.system += dt * ((1+r.y)*(1+r.rate) - 1)
	r.now = to
}

// pause lets the machine stand still for so many seconds: no clock of it shows.
func (r *rig) pause(seconds float64) {
	r.now += int64(seconds * 1e9)
	r.raw -= seconds
	r.system -= seconds
	for _, s := range r.servers {
		s.next = max(s.next, r.now+5e8)
	}
}

func (r *rig) rawNow() Instant { return Instant(rigRaw + r.now + int64(r.raw*1e9)) }

func (r *rig) reading() Reading {
	return Reading{Raw: r.rawNow(), System: rigUnix + r.now + int64(math.Round(r.system*1e9)), Rate: r.rate}
}

// sample is an exchange with a server now.
func (r *rig) sample(s *server) Sample {
	up, down := s.delay/2+s.up+100e-6*r.noise(), s.delay/2+100e-6*r.noise()
	x := Sample{Source: s.id, T1: r.rawNow(), Stratum: 1}
	r.advance(r.now + int64(up*1e9))
	x.T2 = rigUnix + r.now + int64(s.offset*1e9)
	x.T3 = x.T2
	r.advance(r.now + int64(down*1e9))
	x.T4 = r.rawNow()
	if s.change != nil {
		changed := x
		s.change(&changed)
		return changed
	}
	return x
}

// run lets seconds pass.
func (r *rig) run(seconds int) {
	end := r.now/1e9 + int64(seconds)
	for r.now/1e9 < end {
		second := (r.now/1e9 + 1) * 1e9
		for _, s := range r.servers {
			if s.next < second {
				r.ask(s)
			}
		}
		r.advance(max(second, r.now))
		r.tick()
	}
}

func (r *rig) ask(s *server) {
	r.advance(max(r.now, s.next))
	s.asked = append(s.asked, r.now)
	s.plan.Sent()
	s.next = r.now + int64(r.planned(s, r.noise()))
	if s.silent {
		r.d.Missed(s.id, r.rawNow())
		return
	}
	r.d.Sample(r.sample(s))
	s.plan.Answered()
	s.plan.Reached()
}

// planned is the time until the next request.
func (r *rig) planned(s *server, random float64) time.Duration {
	s.plan.Want(int8(r.d.Poll(s.id)))
	wait, _ := s.plan.Wait(random)
	r.d.Asked(s.id, int(s.plan.Least()), wait)
	return wait
}

func (r *rig) tick() {
	a := r.d.Tick(r.reading())
	r.rate = a.Rate
	r.rates = append(r.rates, a.Rate)
	if a.Step != 0 {
		r.system += float64(a.Step) / 1e9
		r.steps = append(r.steps, float64(a.Step)/1e9)
	}
	r.events = r.d.Events(r.events)
}

func (r *rig) status() Status { return r.d.Status(r.reading()) }

func (r *rig) count(k EventKind) int {
	n := 0
	for _, e := range r.events {
		if e.Kind == k {
			n++
		}
	}
	return n
}

func (r *rig) state(id SourceID) SelectState { return r.d.find(id).state }

// honest fails if the error is outside of what is claimed.
func (r *rig) honest(t testing.TB) {
	t.Helper()
	if st := r.status(); st.Synchronised && math.Abs(r.system) > st.Distance() {
		t.Errorf("error %v outside of the claimed %v", r.system, st.Distance())
	}
}

func (r *rig) synchronised(t testing.TB, want bool) {
	t.Helper()
	if st := r.status(); st.Synchronised != want {
		t.Errorf("synchronised %v, want %v: %+v", st.Synchronised, want, r.d.Tracking(r.reading()))
	}
}
