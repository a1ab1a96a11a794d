package association

import (
	"context"
	"fmt"
	"sync/atomic"

	"ntsbridge/bridge/clock"
	"ntsbridge/bridge/clock/discipline"
	"ntsbridge/bridge/config"
	"ntsbridge/bridge/follow"
	"ntsbridge/bridge/ntp"
	"ntsbridge/bridge/source/refclock"
)

// referenceClock is a clock at this machine that is at work, or would be.
type referenceClock struct {
	shared   *shared
	cfg      config.ReferenceClock
	clock    *refclock.Clock // nil: it cannot be, see err
	id       uint16          // association ID, which ntpq shows
	steering *follow.Steering
	followed atomic.Pointer[follow.Source]
	err      atomic.Pointer[error] // why it is not at work
	events   ntp.PeerEvents
	stop     context.CancelFunc
	done     chan struct{}
}

// drivers are ours by the words of the configuration.
var drivers = map[string]refclock.Driver{config.DriverSHM: refclock.SHM, config.DriverSOCK: refclock.SOCK,
	config.DriverPPS: refclock.PPS, config.DriverPHC: refclock.PHC}

// referenceConfig translates what the configuration says of a clock.
func referenceConfig(c *config.ReferenceClock) refclock.Config {
	cfg := refclock.DefaultConfig(drivers[c.Driver])
	cfg.Unit, cfg.Path, cfg.Clear = c.Unit, c.Device, c.Clear
	cfg.RefID = c.Name()
	if c.Lock != 0 {
		cfg.Lock = c.Lock.String()
	}
	cfg.Stratum, cfg.Poll, cfg.DPoll = uint8(c.Stratum), int8(c.Poll), int8(c.DriverPoll)
	cfg.Offset, cfg.Delay, cfg.Precision = seconds(c.Offset), c.Delay, c.Precision
	cfg.Pulse, cfg.Rate = cfg.Pulse || c.PPS, c.Rate
	cfg.TAI, cfg.Local = c.TAI, c.Local
	cfg.External, cfg.Channel, cfg.Pin = c.ExternalPPS, c.Channel, c.Pin
	cfg.Pulse = cfg.Pulse || c.ExternalPPS
	cfg.Width, cfg.MaxLockAge, cfg.Filter = c.Width, c.MaxLockAge, c.Filter
	cfg.MaxDispersion, cfg.NoCrossTimestamps = c.MaxDispersion, c.NoCrossTimestamps
	return cfg
}

// prepareClock makes a clock that opens nothing yet.
func (s *shared) prepareClock(r *referenceClock, steering *follow.Steering) {
	r.shared, r.steering = s, steering
	cfg := referenceConfig(&r.cfg)
	cfg.TAIOffset, cfg.System = s.env.Leaps.TAI, steering.SystemClock
	cfg.OnSample = func(sample refclock.Sample) { r.followed.Load().Reading(&sample, r.clock.Delay()) }
	cfg.OnMissed = func() { r.followed.Load().Missed(nil) }
	cfg.OnError = func(err error) { s.env.Log.Warn("reference clock", "clock", r.clock.RefID(), "error", err) }
	clock, err := refclock.New(cfg)
	if err != nil {
		r.err.Store(&err)
		return
	}
	r.clock = clock
}

// begin runs it.
func (r *referenceClock) begin() {
	if r.err.Load() == nil {
		info := clock.SourceInfo{Name: r.clock.RefID(), Refclock: r.clock.RefID()}
		name := fmt.Sprintf("%s %d %s", r.cfg.Driver, r.cfg.Unit, r.cfg.Device)
		if f, err := r.steering.Add(name, r.source(), info, &r.events); err != nil {
			r.err.Store(&err)
		} else {
			r.followed.Store(f)
		}
	}
	if err := r.err.Load(); err != nil {
		r.shared.env.Log.Error("reference clock", "driver", r.cfg.Driver, "error", *err)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.stop, r.done = cancel, make(chan struct{})
	go func() {
		defer close(r.done)
		defer r.followed.Load().Leave(false)
		if err := r.clock.Run(ctx); ctx.Err() == nil {
			r.shared.env.Log.Error("reference clock ended", "clock", r.clock.RefID(), "error", err)
		}
	}()
}

// end ends it, and returns what tells that it has ended; nil: it never began.
func (r *referenceClock) end() <-chan struct{} {
	if r.stop != nil {
		r.stop()
	}
	return r.done
}

// source translates what the configuration says of a clock for the discipline.
func (r *referenceClock) source() discipline.SourceConfig {
	c := &r.cfg
	return discipline.SourceConfig{MinPoll: c.Poll, MaxPoll: c.Poll, RefClock: true, Local: c.Local,
		NoSelect: c.NoSelect, Prefer: c.Prefer, Trust: c.Trust, Require: c.Require, Noise: c.Precision.Seconds()}
}
