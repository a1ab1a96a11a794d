package bridge

import (
	"errors"
	"time"

	"ntsbridge/autokey"
	"ntsbridge/bridge/material"
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

// relay gives out what the Autokey client side has fetched.
func (b *Bridge) relay(p *parts, now time.Time) error {
	replaced, err := p.relay(ntp.TimestampFromTime(now), b.clock.Synchronised())
	if replaced {
		b.server.SetState(p.state)
		b.sources.SetAutokey(p.autokey)
	}
	return errors.Join(err, b.updateSignatures(p.autokey))
}

// Whether the certificate that was made here is to be renewed is looked at so
// often; after a failure
// hourly.
const (
	renewalInterval = 10 * time.Minute
	renewalAgain    = time.Hour
)

// renewSelfMade makes the certificate of the state directory anew in time. The
// clock has to be right for that.
func (b *Bridge) renewSelfMade(p *parts, now time.Time) {
	if !p.cfg.NTS.Enabled || len(p.cfg.NTS.Certificates) > 0 || p.cfg.NTS.ACME.Directory != "" || b.ke == nil || p.set.Undated ||
		!b.clock.Synchronised() {
		return
	}
	if !b.renewal.IsZero() && now.Sub(b.renewal) < renewalInterval {
		return
	}
	b.renewal = now
	why, err := material.RenewSelfMade(p.cfg, now)
	switch {
	case err != nil:
		b.renewal = now.Add(renewalAgain - renewalInterval)
		b.log.Error("the certificate made here cannot be renewed", "error", err, "again", renewalAgain.String())
	case why != "":
		b.log.Warn("the certificate made here is renewed, with the same key", "reason", why)
		_ = b.ke.Reload() // which logs
	}
}

// updateSignatures makes an Autokey server sign its values, which it does
// when the clock is first synchronised.
func (b *Bridge) updateSignatures(a *autokey.Server) error {
	if a == nil || !b.clock.Synchronised() || a.Updated() != 0 {
		return nil
	}
	return a.SignatureUpdate(ntp.TimestampFromTime(time.Now()))
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
