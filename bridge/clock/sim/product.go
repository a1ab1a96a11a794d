package sim

import (
	"math"
	"time"

	"ntsbridge/bridge/clock/discipline"
	"ntsbridge/bridge/clock/schedule"
	"ntsbridge/bridge/ntp"
)

// Product is the discipline of ntsbridge as a client of the simulation.
type Product struct {
	Discipline *discipline.Discipline
	Events     []discipline.Event // all that it reported
	Verdicts   map[discipline.Verdict]int
	scenario   *Scenario
	schedules  map[int]*schedule.Schedule
	again      bool // Interval is asked again, for the request that was refused
}

// chronyLike is the policy under which chronyd was measured: makestep 1 3,
// and slews by the kernel's tick at the start, chrony's maxslewrate.
func chronyLike() discipline.Config {
	c := discipline.DefaultConfig()
	c.StartSlew = 0.08333
	return c
}

// NewProduct returns a client for the scenario, with the one policy that all
// scenarios share.
func NewProduct(s *Scenario) *Product {
	return NewProductWith(s, chronyLike())
}

// NewProductWith returns a client with another policy. A daemon measures the
// resolution of its own clock, so the client knows it; noise in its timestamps
// it has to find out.
func NewProductWith(s *Scenario, c discipline.Config) *Product {
	c.StampNoise = max(c.StampNoise, float64(s.Granularity)/1e9/math.Sqrt(12))
	d, err := discipline.New(c)
	if err != nil {
		panic(err)
	}
	p := &Product{Discipline: d, Verdicts: map[discipline.Verdict]int{}, scenario: s, schedules: map[int]*schedule.Schedule{}}
	for i := range s.Servers {
		if s.Absent == nil || !s.Absent[i] {
			p.Join(i)
		}
	}
	return p
}

// Join implements Adaptable.
func (p *Product) Join(source int) {
	server := &p.scenario.Servers[source]
	c := discipline.SourceConfig{MinPoll: p.scenario.MinPoll, MaxPoll: p.scenario.MaxPoll, RefClock: server.Role.RefClock,
		Local:         server.Role.Local,
		Authenticated: server.Role.Authenticated, Prefer: server.Role.Prefer, NoSelect: server.Role.NoSelect,
		Trust: server.Role.Trust, Require: server.Role.Require}
	if server.Poll != 0 {
		c.MinPoll, c.MaxPoll = server.Poll, max(server.Poll, server.MaxPoll)
	}
	if err := p.Discipline.AddSource(discipline.SourceID(source), c); err != nil {
		panic(err)
	}
	plan, err := schedule.New(schedule.Config{MinPoll: int8(c.MinPoll), MaxPoll: int8(c.MaxPoll), IBurst: true})
	if err != nil {
		panic(err)
	}
	p.schedules[source] = plan
}

// Leave implements Adaptable.
func (p *Product) Leave(source int) {
	p.Discipline.RemoveSource(discipline.SourceID(source))
	delete(p.schedules, source)
}

// Kissed implements Adaptable.
func (p *Product) Kissed(source int, kiss Kiss, raw int64) {
	switch kiss {
	case KissRate:
		if plan := p.schedules[source]; plan != nil {
			plan.Rate(0)
			p.again = true
		}
	case KissDeny:
		p.Discipline.Denied(discipline.SourceID(source), discipline.Instant(raw))
		delete(p.schedules, source)
	}
}

// Exchange implements Client.
func (p *Product) Exchange(e Exchange) {
	x := discipline.Sample{
		Source: discipline.SourceID(e.Source), T1: discipline.Instant(e.T1), T4: discipline.Instant(e.T4), T2: e.T2, T3: e.T3,
		Stratum: e.Status.Stratum, RootDelay: e.Status.RootDelay, RootDispersion: e.Status.RootDispersion,
		Loop: e.Status.Loop, Smeared: e.Status.Smeared,
	}
	switch {
	case e.Status.Unsynchronised:
		x.Leap = ntp.LeapUnknown
	case e.Status.Leap > 0:
		x.Leap = ntp.LeapInsert
	case e.Status.Leap < 0:
		x.Leap = ntp.LeapDelete
	}
	p.Verdicts[p.Discipline.Sample(x)]++
	if plan := p.schedules[e.Source]; plan != nil {
		plan.Answered()
		plan.Reached()
	}
}

// Missed implements Client.
func (p *Product) Missed(source int, raw int64) {
	p.Discipline.Missed(discipline.SourceID(source), discipline.Instant(raw))
}

func reading(r Reading) discipline.Reading {
	return discipline.Reading{Raw: discipline.Instant(r.Raw), System: r.System, Rate: r.Rate}
}

// Tick implements Client.
func (p *Product) Tick(r Reading) Command {
	a := p.Discipline.Tick(reading(r))
	p.Events = p.Discipline.Events(p.Events)
	return Command{Rate: a.Rate, Step: a.Step}
}

// Interval implements Client.
func (p *Product) Interval(source int, random float64) float64 {
	plan, id := p.schedules[source], discipline.SourceID(source)
	if plan == nil {
		return (1000 * time.Hour).Seconds()
	}
	if !p.again {
		plan.Sent()
	}
	p.again = false
	plan.Want(int8(p.Discipline.Poll(id)))
	wait, _ := plan.Wait(random)
	p.Discipline.Asked(id, int(plan.Least()), wait)
	return wait.Seconds()
}

// Suspended implements Client. The kernel knows how long the machine slept to
// about a second.
func (p *Product) Suspended(raw int64, lost float64) {
	p.Discipline.Gap(discipline.Instant(raw), lost, 1)
	for _, plan := range p.schedules {
		plan.Restart()
	}
}

// Distance implements Client.
func (p *Product) Distance(r Reading) (float64, bool) {
	st := p.Discipline.Status(reading(r))
	return max(st.Distance(), math.SmallestNonzeroFloat64), st.Synchronised
}

// Deviation implements Deviator.
func (p *Product) Deviation(r Reading) float64 { return p.Discipline.Tracking(reading(r)).Deviation }
