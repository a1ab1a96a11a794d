package clock

import (
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/bridge/clock/discipline"
	"ntsbridge/bridge/ntp"
)

// NewDriver takes the lock and reads the state of the last run, before any
// sample. It changes no clock.
func NewDriver(c DriverConfig) (*Driver, error) {
	if c.System == nil {
		return nil, errors.New("clock: no system clock")
	}
	if c.Fallback.Stratum >= ntp.StratumUnsynchronised {
		return nil, fmt.Errorf("clock: fallback stratum is %d, wants 0 to 15", c.Fallback.Stratum)
	}
	if c.Fallback.Distance == 0 {
		c.Fallback.Distance = time.Second
	}
	if c.Logger == nil {
		c.Logger = hclog.NewNullLogger()
	}
	if c.Measure {
		c.System, c.LockFile = handsOff{c.System}, ""
		c.Discipline.StepThreshold = 0 // it would be decided again and again
	}
	now, err := c.System.Read()
	if err != nil {
		return nil, err
	}
	behind := !c.Floor.IsZero() && now.System < c.Floor.UnixNano()
	if behind && !c.Measure {
		c.Logger.Warn("the system clock cannot be right: it is set by its sources in one step, whatever clock.panic and clock.step say",
			"clock", time.Unix(0, now.System).UTC().Format(time.RFC3339), "at_least", c.Floor.UTC().Format(time.RFC3339))
		p := &c.Discipline
		p.PanicOnce, p.StepUpdates = true, max(p.StepUpdates, 1)
		if p.StepThreshold == 0 {
			p.StepThreshold = 1
		}
	}
	estimator, err := discipline.New(c.Discipline)
	if err != nil {
		return nil, err
	}
	d := &Driver{config: c, log: c.Logger, system: c.System, d: estimator,
		sources: map[discipline.SourceID]*driven{}, waiting: true, behind: behind, limits: limits{}}
	d.state.Store(&ntp.ClockState{Leap: ntp.LeapUnknown, Stratum: ntp.StratumUnsynchronised, Precision: c.Precision,
		ReferenceID: kissInit, RootDispersion: 16 * time.Second, Drift: c.Discipline.Drift})
	if c.LockFile != "" {
		lock, err := lockClock(c.LockFile)
		if err != nil {
			return nil, err
		}
		d.lock.Store(lock)
	}
	d.restore(now)
	return d, nil
}

// handsOff is a clock that is only read.
type handsOff struct{ System }

func (handsOff) Reset() error           { return nil }
func (handsOff) SetRate(float64) error  { return nil }
func (handsOff) Step(int64) error       { return nil }
func (handsOff) SetStatus(Status) error { return nil }
func (handsOff) SetTAI(int) error       { return nil }
