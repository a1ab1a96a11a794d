package follow

import (
	"time"

	"ntsbridge/bridge/clock"
	"ntsbridge/bridge/config"
	"ntsbridge/bridge/ntp"
)

// Tick does what is due once a second, and returns what to serve.
func (c *Clock) Tick(now time.Time) *ntp.ClockState {
	c.leaps.Refresh(now)
	c.Steering().trust()
	return c.State(now)
}

// State returns what to serve: the state of the clock that we steer, or what
// the kernel says of one that another program steers.
func (c *Clock) State(now time.Time) *ntp.ClockState {
	c.mu.Lock()
	state := c.toServe(c.look(now), now)
	synced := state.Synchronised()
	changed, first := synced != c.synced || !c.looked, !c.looked
	c.synced, c.looked = synced, true
	if changed {
		c.logState(state)
	}
	c.mu.Unlock()
	if changed && (synced || !first) {
		c.tell.OnSynchronised(synced)
	}
	return state
}

// Synchronised reports whether the last state looked at was.
func (c *Clock) Synchronised() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.synced
}

// look returns the state of the clock, whoever steers it. The caller holds
// c.mu.
func (c *Clock) look(now time.Time) *ntp.ClockState {
	if state := c.Steering().state(); state != nil {
		return state
	}
	if c.config == nil || c.config.Clock.Mode == config.ClockDiscipline { // not begun yet
		return &ntp.ClockState{Leap: ntp.LeapUnknown, Stratum: ntp.StratumUnsynchronised, Precision: c.options.Precision}
	}
	k, err := clock.ReadKernel()
	if err != nil {
		c.options.Log.Error("clock state", "error", err)
		k = clock.Kernel{MaxError: 16 * time.Second}
	}
	c.served.Program = c.observer.Current(now)
	return c.served.Update(k, ntp.TimestampFromTime(now))
}

// publish serves a state of the clock that we steer, at once.
func (c *Clock) publish(state *ntp.ClockState) {
	c.tell.OnState(c.Steering().smoothed(c.toServe(state, time.Now())))
}

// toServe returns what is served of a state: nothing while it rests on
// certificates whose dates were not judged yet, and smeared around leap
// seconds.
func (c *Clock) toServe(state *ntp.ClockState, now time.Time) *ntp.ClockState {
	if state.Synchronised() && c.Steering().Provisional() {
		state = &ntp.ClockState{Leap: ntp.LeapUnknown, Stratum: ntp.StratumUnsynchronised, Precision: state.Precision,
			RootDispersion: state.RootDispersion, Drift: state.Drift, Updated: state.Updated}
	}
	return c.leaps.smeared(state, now)
}

// logState says what is served from now on. The caller holds c.mu.
func (c *Clock) logState(s *ntp.ClockState) {
	log := c.options.Log
	if c.synced {
		systemEvent(c.stats.Load(), systemSynchronised, "clock_sync")
	} else {
		systemEvent(c.stats.Load(), systemNoPeer, "no_system_peer")
	}
	switch disciplines := c.config != nil && c.config.Clock.Mode == config.ClockDiscipline; {
	case c.config == nil:
	case disciplines && !c.synced:
		log.Warn("clock is not synchronised: clients are served the alarm (leap 3, stratum 16)")
	case !c.synced:
		log.Warn("system clock is not synchronised: clients are served the alarm (leap 3, stratum 16); " +
			"discipline it by another program, or set clock.fallback_stratum or clock.mode: local")
	case c.served.Policy.Mode == clock.Observe && s.Stratum == c.served.Policy.Fallback:
		log.Warn("system clock is not synchronised: it is served as it is", "stratum", s.Stratum)
	default:
		log.Info("system clock is served", "stratum", s.Stratum, "root_dispersion", s.RootDispersion)
	}
}
