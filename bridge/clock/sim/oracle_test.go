package sim

import "math"

// limit is a way to use a sample for one who knows the path's and the
// oscillator's true parameters. They bound what any discipline can reach.
type limit uint8

const (
	limitA limit = iota // Kalman filter; the delay is ignored
	limitB              // Kalman filter; variance from the delay
	limitC              // the delay as a hard bound
)

// oracle is a discipline that knows the scenario.
type oracle struct {
	scenario      *Scenario
	limit         limit
	epoch         int64
	last          float64 // of the last sample, s of the base
	x, y, a, b, c float64 // error and frequency of the base, covariance
	n             int
	sent          []int
	latest        int64
}

func newOracle(s *Scenario, l limit) *oracle {
	return &oracle{scenario: s, limit: l, sent: make([]int, len(s.Servers))}
}

func (o *oracle) Missed(int, int64)                {}
func (o *oracle) Suspended(int64, float64)         {}
func (o *oracle) Distance(Reading) (float64, bool) { return 0, false }
func (o *oracle) seconds(raw int64) float64        { return float64(raw-rawEpoch) / 1e9 }
func (o *oracle) interval(source int) float64      { return math.Exp2(float64(o.scenario.MinPoll)) }
func (o *oracle) Interval(source int, r float64) float64 {
	o.sent[source]++
	poll := o.interval(source)
	if o.sent[source] < 4 {
		poll = 2
	} else {
		poll = min(poll, math.Exp2(float64(o.sent[source]-2)))
	}
	return poll * (0.98 + 0.04*r)
}

func (o *oracle) Exchange(e Exchange) {
	if o.epoch == 0 {
		o.epoch = (e.T1+e.T4)/2 - (e.T2+e.T3)/2
	}
	z := float64((e.T1+e.T4)/2-(e.T2+e.T3)/2-o.epoch) / 1e9
	delay := float64(e.T4-e.T1-(e.T3-e.T2)) / 1e9
	server := &o.scenario.Servers[e.Source]
	excess := max(delay-server.Up.Base-server.Down.Base, 1e-9)
	now := o.seconds((e.T1 + e.T4) / 2)
	o.latest = e.T4
	if o.n++; o.n == 1 {
		o.last, o.x, o.a, o.c = now, z, excess*excess/4, 1e-8
		return
	}
	dt, q := now-o.last, o.scenario.Oscillator.Wander*o.scenario.Oscillator.Wander
	o.last = now
	o.x += o.y * dt
	o.a += 2*dt*o.b + dt*dt*o.c + q*dt*dt*dt/3
	o.b += dt*o.c + q*dt*dt/2
	o.c += q * dt
	switch o.limit {
	case limitA:
		o.gauss(z, server.Up.Jitter*server.Up.Jitter/2)
	case limitB:
		o.gauss(z, excess*excess/12)
	case limitC:
		o.truncate(z-excess/2, z+excess/2)
	}
}

func (o *oracle) apply(shift, shrink float64) {
	g := o.b / o.a
	o.x, o.y = o.x+shift, o.y+g*shift
	a := o.a
	o.a, o.b, o.c = a*shrink, o.b*shrink, o.c-g*g*a*(1-shrink)
}

func (o *oracle) gauss(z, variance float64) {
	gain := o.a / (o.a + variance)
	o.apply(gain*(z-o.x), 1-gain)
}

func (o *oracle) truncate(lo, hi float64) {
	sd := math.Sqrt(o.a)
	al, be := (lo-o.x)/sd, (hi-o.x)/sd
	density := func(u float64) float64 { return math.Exp(-u*u/2) / math.Sqrt(2*math.Pi) }
	z := (math.Erfc(al/math.Sqrt2) - math.Erfc(be/math.Sqrt2)) / 2
	if z < 1e-6 || al > 5 || be < -5 {
		h := (hi - lo) / 2
		o.gauss((lo+hi)/2, h*h/3+1e-18)
		return
	}
	d := (density(al) - density(be)) / z
	v := max(1+(al*density(al)-be*density(be))/z-d*d, 1e-4)
	o.apply(sd*d, v)
}

// Tick slews the estimated error away over 0.75 of the poll interval.
func (o *oracle) Tick(r Reading) Command {
	if o.n == 0 {
		return Command{}
	}
	e := float64(r.System-r.Raw+o.epoch)/1e9 + o.x + o.y*(o.seconds(r.Raw)-o.last)
	base := -o.y / (1 + o.y)
	if math.Abs(e) > 1e-3 && o.n <= 4 {
		return Command{Rate: base, Step: -int64(math.Round(e * 1e9))}
	}
	return Command{Rate: base - max(-5e-4, min(5e-4, e/(0.75*o.interval(0))))}
}
