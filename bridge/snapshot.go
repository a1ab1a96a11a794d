package bridge

import (
	"time"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/control"
	"ntsbridge/bridge/fastpath"
	"ntsbridge/bridge/nke"
)

// snapshot returns what clock and sources are like now.
func (b *Bridge) snapshot() *control.Snapshot {
	now := time.Now()
	s := &control.Snapshot{At: now, Uptime: b.sources.Uptime(), Served: b.clock.State(now), Steers: b.clock.Steers(),
		Local: b.parts.Load().cfg.Clock.Mode == config.ClockLocal,
		Panic: b.parts.Load().cfg.Clock.Panic, Sources: b.sources.Snapshot()}
	if r, ok := b.clock.Steering().Report(); ok {
		s.Clock = &r
	}
	return s
}

// ServerStats returns the counters of all servers.
func (b *Bridge) ServerStats() *control.ServerStats {
	var ke *nke.Counters
	if b.ke != nil {
		c := b.ke.Counters()
		ke = &c
	}
	s := control.NewServerStats(b.server.Counters(), ke)
	if b.fast != nil {
		c := b.fast.Counts()
		for i, n := range c.Passed {
			s.Fastpath.Passed[fastpath.Causes[i]] = n
		}
		for _, n := range c.Keyed {
			s.Fastpath.Keyed += n
		}
	}
	return s
}
