package steer

import (
	"net/netip"

	"ntsbridge/bridge/fleet/plan"
)

// Seat is where a means of a client stands: the group that decides on it, and how
// far that is.
type Seat struct {
	Group, Means string
	Stage        string // the last one that was reached
	Round        int    // brown-outs that went well
	Trying       string // the stage that is tried now, empty: none is
	Target       string
	Held         string // why the group does not move
	Protected    bool   // it is never refused
}

// Seat returns it for what comes from a prefix; key is that of symmetric means.
// nil: no group of the plan decides on it.
func (c *Controller) Seat(p netip.Prefix, m plan.Means, key uint32) *Seat {
	if c.resolver == nil {
		return nil
	}
	g, protected := c.resolver.Member(p, m, key)
	if g == nil {
		return nil
	}
	s := &Seat{Group: g.Name, Means: m.String(), Stage: plan.Observe.String(), Target: g.Targets[m].Stage.String(), Protected: protected}
	if at := c.place(g.Name, m); at != nil {
		s.Stage, s.Round, s.Held = at.Stage, at.Round, at.Held
		if r := c.running[at]; r != nil {
			s.Trying = r.name()
		}
	}
	if s.Held == "" {
		s.Held = c.state.Held
	}
	return s
}
