package association

import (
	"context"

	"ntsbridge/bridge/follow"
	"ntsbridge/bridge/ntp"
	"ntsbridge/bridge/source/refclock"
)

// Change is another set of associations, ready to begin.
type Change struct {
	set      *Set
	config   *Config
	steering *follow.Steering
	groups   []*group // after the change
	clocks   []*referenceClock
	hub      *hub

	begin, end             []*association
	beginClocks, endClocks []*referenceClock
	endHub                 *hub
}

// Prepare makes what another configuration needs. Nothing that runs is touched,
// and a change that is not started needs no undoing. steering is what the
// associations tell; nil: nobody.
func (s *Set) Prepare(cfg *Config, steering *follow.Steering) (*Change, error) {
	c := &Change{set: s, config: cfg, steering: steering}
	c.plan()
	return c, c.link()
}

// plan says who goes on, who ends and who begins.
func (c *Change) plan() {
	s := c.set
	s.mu.Lock()
	defer s.mu.Unlock()
	c.planHub()
	running := append([]*group(nil), s.groups...)
	for i := range c.config.Specs {
		g := c.takeUp(running, &c.config.Specs[i])
		if g == nil {
			g = c.newGroup(&c.config.Specs[i])
		}
		c.groups = append(c.groups, g)
	}
	for _, g := range running {
		if g != nil {
			c.end = append(c.end, g.members...)
		}
	}
	c.planClocks()
}

// takeUp returns a group that runs and goes on as a Spec, out of the list; nil:
// there is none. One that nothing came of begins anew: a reload is how an
// operator asks again a server that had refused, or was not there.
func (c *Change) takeUp(running []*group, spec *Spec) *group {
	for i, g := range running {
		if g == nil || !g.spec.same(spec) || g.stalled() || c.steering != c.set.steering || spec.hears() && c.hub != c.set.heard {
			continue
		}
		running[i] = nil
		return g
	}
	return nil
}

func (c *Change) newGroup(spec *Spec) *group {
	g := &group{spec: spec}
	f := newFinder(spec.Config.Server, spec.Config.Family)
	for range spec.members() {
		a := newAssociation(c.set.shared, spec, f, c.set.newID())
		a.live = a.way()
		a.steering = c.steering
		g.members = append(g.members, a)
	}
	c.begin = append(c.begin, g.members...)
	return g
}

// planHub makes the hub if any association is to get packets from the server's
// port; without one the server never asks. One that may begin associations
// itself does so by the rules and keys that it was made with.
func (c *Change) planHub() {
	s := c.set
	wanted := c.config.Passive.Enabled
	for i := range c.config.Specs {
		wanted = wanted || c.config.Specs[i].hears() && c.config.Specs[i].Err == nil
	}
	switch {
	case wanted && s.heard != nil && !s.heard.begins && !c.config.Passive.Enabled:
		c.hub = s.heard
		return
	case wanted:
		c.hub = newHub(s.shared, c.config, s.beginPassive, s.ended)
	}
	c.endHub = s.heard
}

// planClocks goes on with the reference clocks that are the same and not locked
// to others: links are made before a clock runs.
func (c *Change) planClocks() {
	s := c.set
	running := append([]*referenceClock(nil), s.clocks...)
	for _, cfg := range c.config.Clocks {
		c.clocks = append(c.clocks, c.takeUpClock(running, &referenceClock{cfg: cfg}))
	}
	for _, r := range running {
		if r != nil {
			c.endClocks = append(c.endClocks, r)
		}
	}
}

func (c *Change) takeUpClock(running []*referenceClock, next *referenceClock) *referenceClock {
	for i, r := range running {
		if r != nil && r.cfg == next.cfg && r.cfg.Lock == 0 && r.err.Load() == nil && c.steering == c.set.steering {
			running[i] = nil
			return r
		}
	}
	c.set.prepareClock(next, c.steering)
	next.id = c.set.newID()
	c.beginClocks = append(c.beginClocks, next)
	return next
}

// link connects the reference clocks that are locked to others, and refuses
// names that two of them have.
func (c *Change) link() error {
	var clocks []*refclock.Clock
	for _, r := range c.clocks {
		if r.clock != nil {
			clocks = append(clocks, r.clock)
		}
	}
	return refclock.Link(clocks...)
}

// Start puts the change in force. Who ends has ended before anybody begins:
// addresses, sockets and kept keys are free by then.
func (c *Change) Start() {
	s := c.set
	if c.endHub != nil {
		c.endHub.close(c.hub == nil)
	}
	for _, a := range c.end {
		a.end()
	}
	for _, r := range c.endClocks {
		r.end()
	}
	for _, a := range c.end {
		if done := a.end(); done != nil {
			<-done
		}
	}
	for _, r := range c.endClocks {
		if done := r.end(); done != nil {
			<-done
		}
	}
	if c.endHub != nil {
		c.endHub.Wait()
	}
	s.config.Store(c.config)
	s.mu.Lock()
	s.groups, s.clocks, s.steering = c.groups, c.clocks, c.steering
	if s.heard = c.hub; c.endHub != nil {
		s.passive = nil
	}
	s.mu.Unlock()
	s.SetAutokey(c.config.Autokey)
	for _, a := range c.begin { // before the first one is asked
		a.expect()
	}
	if c.hub == nil {
		s.hub.Store(nil)
	} else {
		s.hub.Store(c.hub.Hub)
		c.hub.open()
	}
	for _, r := range c.beginClocks {
		r.begin()
	}
	for _, a := range c.begin {
		a.begin()
	}
}

// Stop ends all associations.
func (s *Set) Stop() {
	change := &Change{set: s, config: &Config{}}
	change.plan()
	change.Start()
}

// way returns how an association lives.
func (a *association) way() func(context.Context) error {
	switch a.mode {
	case ntp.ModeSymmetricActive:
		return a.peer
	case modeBroadcastClient:
		return a.listen
	case ntp.ModeBroadcast:
		return a.broadcast
	}
	return a.poll
}
