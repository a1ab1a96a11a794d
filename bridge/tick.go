package bridge

import (
	"time"

	"ntsbridge/bridge/ntp"
)

// clockInterval is how often the kernel's clock state is looked at. A change
// of its synchronisation is served after that time at the latest.
const clockInterval = time.Second

// run looks after the clock and the cookie keys until Close.
func (b *Bridge) run() {
	defer close(b.done)
	ticker := time.NewTicker(clockInterval)
	defer ticker.Stop()
	for {
		select {
		case <-b.stop:
			return
		case <-ticker.C:
			b.tick(b.options.date())
		}
	}
}

func (b *Bridge) tick(now time.Time) {
	if last := b.ticked.Load(); time.Since(time.Unix(0, last)) > 2*clockInterval {
		b.overruns.Add(1)
	}
	defer func() { b.ticked.Store(time.Now().UnixNano()) }()
	state := b.clock.Tick(now)
	b.events.Leap(state.Leap, now)
	if !b.clock.Steers() { // else publish does it
		b.server.SetClock(state)
	}
	b.counted.write(now, b.clock.Statistics(), b.server.Counters)
	b.watchPorts(now)
	if b.fast != nil {
		b.fast.Watch()
	}
	b.keepCookies(b.parts.Load(), state, now)
	b.makeDated(b.parts.Load(), state, now)
	b.inForce.Lock()
	defer b.inForce.Unlock()
	p := b.parts.Load()
	if err := b.relay(p, now); err != nil {
		b.log.Error("Autokey signatures", "error", err)
	}
	b.sources.SetClock(state) // after the signatures that a broadcast needs
	b.rotateCookies(p, now)
	b.renewSelfMade(p, now)
	for _, text := range b.takeover.look(now, &p.cfg.Autokey, b.server.ZeroSeed) {
		b.log.Warn(text)
	}
	if p.autokey != nil {
		if text := b.groups.look(now, p.autokeyConfig.Host.Name, b.groupless); text != "" {
			b.log.Warn(text)
		}
	}
}

// groupless counts the Autokey requests that were dropped for a name without a
// group.
func (b *Bridge) groupless() (n uint64) {
	c := b.server.Counters()
	for version := range c.Packets[ntp.KindAutokey] {
		n += c.Packets[ntp.KindAutokey][version][ntp.ReasonNoGroup]
	}
	return n
}
