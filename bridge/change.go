package bridge

import (
	"errors"
	"time"

	"ntsbridge/bridge/association"
	"ntsbridge/bridge/control/remote"
	"ntsbridge/bridge/follow"
	"ntsbridge/bridge/netif"
	"ntsbridge/bridge/ntp"
	"ntsbridge/bridge/server"
	"ntsbridge/nts/aead"
)

// change is everything that another configuration needs, ready to be put in
// force: a start and a reload are the same in this.
type change struct {
	parts   *parts
	clock   *follow.Change
	sources *association.Change
	ports   *server.Listening
	api     *remote.Change
	page    *remote.Change
	ke      func() // puts the configuration of NTS-KE in force; nil: there is none yet
}

// prepare does all that can fail, at a start or a reload. It touches nothing
// that runs.
func (b *Bridge) prepare(p *parts, start bool) (*change, error) {
	c := &change{parts: p}
	p.state.Query = b.query
	for _, step := range []func() error{
		func() (err error) { c.clock, err = b.clock.Prepare(p.cfg, p.leaps); return err },
		func() (err error) {
			c.sources, err = b.sources.Prepare(p.associations(), c.clock.Steering())
			return err
		},
		func() error { return b.updateSignatures(p.autokey) },
		func() (err error) {
			if b.ke != nil {
				c.ke, err = b.ke.Prepare(b.observed(p.ke))
			}
			return err
		},
		func() error {
			addresses, err := netif.Addresses(p.cfg.Server.Listen)
			if err == nil {
				c.ports, err = b.server.Prepare(addresses)
			}
			return err
		},
		func() (err error) { c.api, c.page, err = b.prepareAPI(p, start); return err },
	} {
		if err := step(); err != nil {
			return nil, errors.Join(err, c.abort())
		}
	}
	return c, nil
}

// abort gives back what prepare took.
func (c *change) abort() error {
	c.ports.Abort()
	return errors.Join(c.api.Abort(), c.page.Abort(), c.clock.Abort())
}

// commit puts a change in force. Nothing in it can fail, and no lock that
// others need is held where it waits for packets to be answered.
func (b *Bridge) commit(c *change) {
	p := c.parts
	b.inForce.Lock()
	b.parts.Store(p)
	c.clock.Commit(time.Now())
	if c.ke != nil {
		c.ke()
	}
	b.fleet.SetNames(p.names)
	b.migration.Resolve()
	b.server.SetState(p.state)
	state := b.clock.State(time.Now())
	b.server.SetClock(state)
	b.sources.SetClock(state)
	if err := b.updateSignatures(p.autokey); err != nil { // the clock has become synchronised this moment
		b.log.Error("Autokey signatures", "error", err)
	}
	if p.client != nil && b.clock.Synchronised() { // the first packets carry them
		p.client.SignatureUpdate(ntp.TimestampFromTime(time.Now()))
	}
	b.inForce.Unlock()
	c.ports.Commit()
	c.api.Commit()
	c.page.Commit()
	c.sources.Start()
}

// associations are the sources of these parts.
func (p *parts) associations() *association.Config {
	c := &association.Config{Specs: p.sources, Clocks: p.cfg.ReferenceClocks, Passive: p.cfg.Passive,
		Access: p.state.Access, Keys: p.state.Keys, Autokey: p.autokey, CookieDir: cookieDir(p.cfg)}
	for _, id := range p.cfg.NTS.AEADs {
		c.AEADs = append(c.AEADs, aead.ID(id))
	}
	return c
}
