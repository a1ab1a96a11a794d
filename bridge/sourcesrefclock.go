package bridge

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/bridge/clock"
	"ntsbridge/bridge/clock/discipline"
	"ntsbridge/bridge/config"
	"ntsbridge/bridge/control"
	"ntsbridge/bridge/follow"
	"ntsbridge/bridge/ntp"
	"ntsbridge/bridge/source/refclock"
)

// referenceClock is a clock at this machine that is at work.
type referenceClock struct {
	cfg      config.ReferenceClock
	clock    *refclock.Clock
	id       uint16 // association ID, which ntpq shows
	followed *follow.Source
}

// drivers are ours by the words of the configuration.
var drivers = map[string]refclock.Driver{config.DriverSHM: refclock.SHM, config.DriverSOCK: refclock.SOCK,
	config.DriverPPS: refclock.PPS, config.DriverPHC: refclock.PHC}

// referenceConfig translates what the configuration says of a clock.
func referenceConfig(c *config.ReferenceClock, leaps *follow.LeapSeconds) refclock.Config {
	cfg := refclock.DefaultConfig(drivers[c.Driver])
	cfg.Unit, cfg.Path, cfg.Clear = c.Unit, c.Device, c.Clear
	if c.RefID != 0 {
		cfg.RefID = c.RefID.String()
	}
	if c.Lock != 0 {
		cfg.Lock = c.Lock.String()
	}
	cfg.Stratum, cfg.Poll, cfg.DPoll = uint8(c.Stratum), int8(c.Poll), int8(c.DriverPoll)
	cfg.Offset, cfg.Delay, cfg.Precision = seconds(c.Offset), c.Delay, c.Precision
	cfg.Pulse, cfg.Rate = cfg.Pulse || c.PPS, c.Rate
	cfg.TAI, cfg.TAIOffset = c.TAI, leaps.TAI
	return cfg
}

// buildReferenceClocks checks the clocks; it opens none.
func (p *parts) buildReferenceClocks(hclog.Logger, time.Time) error {
	for i := range p.cfg.ReferenceClocks {
		c := &p.cfg.ReferenceClocks[i]
		cfg := referenceConfig(c, follow.NewLeapSeconds(nil))
		cfg.System = func() refclock.SystemClock { return refclock.SystemClock{} }
		if _, err := refclock.New(cfg); err != nil {
			return fmt.Errorf("reference_clocks[%d]: %w", i, err)
		}
		if c.TAI && p.leaps.Table == nil {
			return fmt.Errorf("reference_clocks[%d].tai: TAI-UTC is not known without a table of leap seconds; "+
				"install tzdata, or name one in clock.leap.file", i)
		}
	}
	return nil
}

// startReferenceClocks runs the clocks of a configuration.
func (p *pollers) startReferenceClocks(ctx context.Context) error {
	var clocks []*refclock.Clock
	for i := range p.parts.cfg.ReferenceClocks {
		r := &referenceClock{cfg: p.parts.cfg.ReferenceClocks[i]}
		p.lastID++
		r.id = p.lastID
		cfg := referenceConfig(&r.cfg, p.leaps)
		cfg.System = p.steering.SystemClock
		cfg.OnSample = func(s refclock.Sample) { r.followed.Reading(&s, r.clock.Delay()) }
		cfg.OnMissed = func() { r.followed.Missed(nil) }
		cfg.OnError = func(err error) { p.log.Warn("reference clock", "clock", r.clock.RefID(), "error", err) }
		var err error
		if r.clock, err = refclock.New(cfg); err != nil {
			return err
		}
		if r.followed, err = p.steering.Add(fmt.Sprintf("%s %d %s", r.cfg.Driver, r.cfg.Unit, r.cfg.Device),
			r.source(), clock.SourceInfo{Name: r.clock.RefID(), Refclock: r.clock.RefID()}); err != nil {
			return err
		}
		clocks = append(clocks, r.clock)
		p.clocks = append(p.clocks, r)
	}
	if err := refclock.Link(clocks...); err != nil {
		return err
	}
	for _, r := range p.clocks {
		p.done.Go(func() {
			defer r.followed.Leave(false)
			if err := r.clock.Run(ctx); ctx.Err() == nil {
				p.log.Error("reference clock ended", "clock", r.clock.RefID(), "error", err)
			}
		})
	}
	return nil
}

func (r *referenceClock) source() discipline.SourceConfig {
	c := &r.cfg
	return discipline.SourceConfig{MinPoll: c.Poll, MaxPoll: c.Poll, RefClock: true,
		NoSelect: c.NoSelect, Prefer: c.Prefer, Trust: c.Trust, Require: c.Require, Noise: c.Precision.Seconds()}
}

// report adds what is known of a reference clock.
func (r *referenceClock) report(all *sourceReports, t *clock.TrackingReport) {
	s := r.clock.Status()
	source := control.Source{Mode: control.ModeReferenceClock, State: control.StateUnusable, Name: s.RefID, Poll: int(s.Poll),
		Reach: s.Reach, LastRx: -1, Stratum: s.Stratum}
	stats := control.SourceStats{Name: s.RefID}
	choice := control.SelectData{State: "M", Name: s.RefID, LastRx: -1, Leap: ntp.LeapUnknown,
		Configured: control.Options{NoSelect: r.cfg.NoSelect, Prefer: r.cfg.Prefer, Trust: r.cfg.Trust, Require: r.cfg.Require}}
	if m := s.Last; m != nil {
		source.Measured, source.Offset, choice.Leap = -m.Offset.Seconds(), -m.Offset.Seconds(), m.Leap
		source.Error = r.clock.Delay().Seconds()/2 + m.Dispersion.Seconds()
	}
	if s.Err != nil {
		source.Why = s.Err.Error()
	}
	if d, ok := r.followed.Report(); ok {
		d.Poll = int(s.Poll)
		showFollowed(d, t, &source, &stats, &choice)
		source.Reach = s.Reach
		stats.Span = uint64(r.followed.Span().Seconds())
	}
	choice.LastRx, choice.Effective, choice.Why = source.LastRx, choice.Configured, source.Why
	all.sources, all.stats, all.choice = append(all.sources, source), append(all.stats, stats), append(all.choice, choice)
	all.auth = append(all.auth, control.AuthData{Name: s.RefID, Mode: control.AuthNone, Last: -1})
}
