package sim

import (
	"flag"
	"fmt"
	"math"
	"testing"

	"ntsbridge/bridge/clock/discipline"
	"ntsbridge/bridge/ntp"
)

var chaosRuns = flag.Int("chaos", 20, "chaotic scenarios, from -seed on")

// auditor is the product under audit: whatever happens, each rule that can be
// seen from outside is checked at each call.
type auditor struct {
	*Product
	policy  discipline.Config
	faults  map[string]int
	first   string             // the first fault
	at      discipline.Instant // of the last tick
	newest  map[int]int64      // T1 of the last exchange handed over, by source
	asked   map[int]int        // requests to each source since its last burst began
	present map[int]bool       // sources that were asked at all
	ticks   int                // since the first sample
	small   discipline.Instant // when the offset was last below the step threshold
	waiting bool               // nothing may be called synchronised: stepped or slept, and no sample since
	ref     discipline.Instant
	updates int
}

func newAuditor(c *Chaotic) *auditor {
	policy := chronyLike()
	policy.StepAnyTime = c.AnyTime
	return &auditor{
		Product: NewProductWith(c.Scenario, policy), policy: policy, faults: map[string]int{},
		newest: map[int]int64{}, asked: map[int]int{}, present: map[int]bool{},
	}
}

func (a *auditor) fault(kind, format string, args ...any) {
	if a.faults[kind]++; a.first == "" {
		a.first = fmt.Sprintf("%s at %v: ", kind, a.at) + fmt.Sprintf(format, args...)
	}
}

// Exchange checks that what is older than what was there before is refused,
// and remembers that something new came.
func (a *auditor) Exchange(e Exchange) {
	before := a.Verdicts[discipline.Disordered] + a.Verdicts[discipline.UnknownSource]
	old := false
	if newest, ok := a.newest[e.Source]; ok && e.T1 <= newest {
		old = true
	}
	a.Product.Exchange(e)
	refused := a.Verdicts[discipline.Disordered]+a.Verdicts[discipline.UnknownSource] > before
	if _, known := a.Discipline.Source(discipline.SourceID(e.Source), discipline.Instant(e.T4)); old && known && !refused {
		a.fault("old sample", "source %d, sent at %d, taken after one of %d", e.Source, e.T1, a.newest[e.Source])
	}
	if !refused {
		a.newest[e.Source] = max(e.T1, a.newest[e.Source])
	}
	a.majority(discipline.Instant(e.T4))
}

// majority checks that a sample counted only if most of those that may vote
// agree.
func (a *auditor) majority(now discipline.Instant) {
	if updates := a.Discipline.Tracking(discipline.Reading{Raw: now}).Reference; updates == a.ref {
		return
	} else {
		a.ref = updates
	}
	candidates, agree := 0, 0
	for i := range a.scenario.Servers {
		s, ok := a.Discipline.Source(discipline.SourceID(i), now)
		if !ok {
			continue
		}
		switch s.State {
		case discipline.Falseticker:
			candidates++
		case discipline.Selected, discipline.NotPreferred, discipline.Inconsistent:
			candidates++
			agree++
		}
	}
	if 2*agree <= candidates {
		a.fault("no majority", "%d of %d agree", agree, candidates)
	}
}

// Missed implements Client.
func (a *auditor) Missed(source int, raw int64) {
	a.Product.Missed(source, raw)
	a.majority(discipline.Instant(raw))
}

// Suspended notes that from now on nothing is known.
func (a *auditor) Suspended(raw int64, lost float64) {
	a.Product.Suspended(raw, lost)
	a.waiting = true
	clear(a.asked)
	for i := range a.newest {
		a.newest[i] = raw
	}
}

// Join notes a source without a past.
func (a *auditor) Join(source int) {
	a.Product.Join(source)
	delete(a.newest, source)
	delete(a.asked, source)
}

// Interval checks the limits of polling.
func (a *auditor) Interval(source int, random float64) float64 {
	interval := a.Product.Interval(source, random)
	_, known := a.Discipline.Source(discipline.SourceID(source), a.at)
	a.asked[source]++
	least, most := 2.0, 1.021*math.Exp2(float64(a.scenario.MaxPoll))*4
	if a.asked[source] > 17 {
		least = max(least, 0.979*math.Exp2(float64(a.scenario.MinPoll)))
	}
	if known && (interval < least || interval > most && interval < 1e6 && a.scenario.Servers[source].Kiss == nil) {
		a.fault("poll", "source %d asked again after %v s, limits %v to %v", source, interval, least, most)
	}
	return interval
}

// Tick checks the command.
func (a *auditor) Tick(r Reading) Command {
	a.at = discipline.Instant(r.Raw)
	before := a.Discipline.Tracking(reading(r))
	c := a.Product.Tick(r)
	after := a.Discipline.Tracking(reading(r))
	if after.Updates > 0 {
		a.ticks++
	}
	limit := a.policy.MaxSlew
	if a.ticks <= 302 || !after.Synchronised {
		limit = max(limit, a.policy.StartSlew)
	}
	if !(math.Abs(c.Rate) <= limit+a.policy.MaxDrift+1e-9) {
		a.fault("rate", "%v", c.Rate)
	}
	a.step(c, before, after)
	if after.Updates > a.updates && c.Step == 0 {
		a.waiting = false
	}
	a.updates = after.Updates
	if math.Abs(before.SystemOffset) <= a.policy.StepThreshold {
		a.small = a.at
	}
	a.majority(a.at)
	a.numbers(after)
	a.leaps(&after)
	return c
}

// step checks that steps are those that policy allows.
func (a *auditor) step(c Command, before, after discipline.Tracking) {
	if c.Step == 0 {
		return
	}
	by := math.Abs(float64(c.Step) / 1e9)
	early := after.Updates <= a.policy.StepUpdates
	late := a.policy.StepAnyTime && float64(a.at-a.small)/1e9 >= a.policy.StepOut
	switch {
	case by <= a.policy.StepThreshold || by > a.policy.Panic:
		a.fault("step", "by %v", by)
	case !early && !late:
		a.fault("step", "by %v after %d updates, %v s of a large offset", by, after.Updates, float64(a.at-a.small)/1e9)
	case after.Synchronised:
		a.fault("step", "unannounced")
	}
	a.waiting = true
}

// numbers checks that all reports are numbers, and none is of the future.
func (a *auditor) numbers(t discipline.Tracking) {
	sum := t.SystemOffset + t.LastOffset + t.RMSOffset + t.Frequency + t.Residual + t.Skew + t.Deviation + t.UpdateInterval +
		t.RootDelay + t.RootDispersion + t.Drift
	for i := range a.scenario.Servers {
		s, _ := a.Discipline.Source(discipline.SourceID(i), a.at)
		sum += s.Offset + s.Bias + s.Deviation + s.Frequency + s.Skew + s.Delay + s.Jitter + s.Distance
		if s.Deviation < 0 || s.Distance < 0 {
			a.fault("negative", "%+v", s)
		}
	}
	if math.IsNaN(sum) || math.IsInf(sum, 0) {
		a.fault("no number", "%+v", t)
	}
	if t.RootDelay < 0 || t.RootDispersion < a.policy.MinDispersion || math.Abs(t.Frequency) > 600e-6 {
		a.fault("range", "%+v", t)
	}
	if t.Synchronised && t.Reference > a.at {
		a.fault("future", "reference %v", t.Reference)
	}
}

// leaps checks that a leap second is only announced by most of those selected.
func (a *auditor) leaps(t *discipline.Tracking) {
	if t.Synchronised != (t.Leap != ntp.LeapUnknown) || t.Synchronised != (t.Stratum < 16) {
		a.fault("contradiction", "%+v", t.Status)
	}
}

// Distance checks that nothing is called synchronised after a step or a sleep
// before there was a new sample.
func (a *auditor) Distance(r Reading) (float64, bool) {
	bound, synchronised := a.Product.Distance(r)
	if synchronised && a.waiting {
		a.fault("synchronised", "without a sample since a step or a sleep")
	}
	if synchronised && !(bound <= a.policy.MaxDistance) {
		a.fault("distance", "%v", bound)
	}
	return bound, synchronised
}

// recoverable is what the error usually is below at the end of a calm time:
// what the honest servers' delays leave unknown. In one of a thousand scenarios
// what two sources learned of each other while one lied takes longer to forget
// than the calm lasts: up to three times of this is accepted.
func recoverable(s *Scenario) float64 {
	worst := 0.0
	for i := range s.Servers {
		server := &s.Servers[i]
		st := server.status(float64(s.Length))
		worst = max(worst, (server.Up.Base+server.Down.Base)/2+2*(server.Up.Jitter+server.Down.Jitter)+st.RootDelay/2+st.RootDispersion)
	}
	// and what the oscillator does between long polls, by its wander and its rhythms
	poll := math.Exp2(float64(s.MaxPoll))
	return worst + 1e-4 + 5*s.Oscillator.Wander*math.Pow(poll, 1.5) + 2e-6*poll
}

// some is how many runs there are: in a short test at most a few.
func some(runs, few int) int {
	if testing.Short() {
		return min(runs, few)
	}
	return runs
}

// TestChaos lives through chaotic scenarios.
func TestChaos(t *testing.T) {
	failed, unsynchronised := 0, 0
	for i := range uint64(some(*chaosRuns, 2)) {
		seed := *randomSeed + i
		c := Chaos(seed)
		a := newAuditor(c)
		r := Run(c.Scenario, a, seed)
		_, late := rms(r.Error[c.WarmUp:])
		if !r.Synchronised {
			unsynchronised++
		}
		switch {
		case r.Refused > 0:
			t.Errorf("chaos %d: %d commands out of range", seed, r.Refused)
		case len(a.faults) > 0:
			t.Errorf("chaos %d: %v, first %s", seed, a.faults, a.first)
		case r.Excess > 1:
			t.Errorf("chaos %d: error %.2f times the claimed bound at %d s of %d", seed, r.Excess, r.ExcessAt, c.Length)
		case !r.Synchronised && c.mustRecover():
			t.Errorf("chaos %d: not synchronised at the end of %d s, calm since %d s", seed, c.Length, c.Calm)
		case c.mustRecover() && c.timeTo(r, a.policy.MaxSlew) && late > 3*recoverable(c.Scenario):
			t.Errorf("chaos %d: error %v at the end of %d s, calm since %d s; want %v", seed, late, c.Length, c.Calm,
				3*recoverable(c.Scenario))
		default:
			continue
		}
		if failed++; failed > 20 {
			t.Fatal("too many")
		}
	}
	t.Logf("%d scenarios, %d not synchronised at the end", *chaosRuns, unsynchronised)
}

// mustRecover tells whether in the end a strict majority of the sources that
// are there tells the truth.
func (c *Chaotic) mustRecover() bool {
	honest, all := 0, 0
	gone := map[int]bool{}
	for i := range c.Servers {
		gone[i] = c.Absent != nil && c.Absent[i]
	}
	for _, e := range c.Events {
		switch e.Kind {
		case Join:
			gone[e.Server] = false
		case Leave:
			gone[e.Server] = true
		}
	}
	for i := range c.Servers {
		s := &c.Servers[i]
		if gone[i] || s.status(float64(c.Length)).Unsynchronised {
			continue
		}
		all++
		honestly := s.Kiss == nil
		for t := c.Calm; t <= c.Length; t += 10 {
			honestly = honestly && s.offset(float64(t)) == 0
		}
		if honestly {
			honest++
		}
	}
	return 2*honest > all && all > 0
}

// timeTo tells whether the calm was long enough to slew away what was left at
// its beginning, at the allowed rate less what the oscillator may need.
func (c *Chaotic) timeTo(r *Record, rate float64) bool {
	left, _ := rms(r.Error[c.Calm : c.Calm+60])
	return left/(0.8*rate) < float64(c.WarmUp-c.Calm)-2000
}
