package steer

import (
	"errors"
	"slices"

	"ntsbridge/bridge/fleet/history"
	"ntsbridge/bridge/fleet/plan"
)

// ErrNothing says that nobody is refused where somebody is to be served again.
var ErrNothing = errors.New("nobody of it is refused: there is nothing to roll back")

// Rank is how far a stage, and of brown-outs the round, is on a group's way: 0
// is observe, and each step takes it one further.
func Rank(g *plan.Group, s plan.Stage, round int) int {
	switch {
	case s < plan.BrownOutRefusal:
		return int(s) - int(plan.Observe)
	case s == plan.BrownOutRefusal:
		return Rank(g, plan.CanaryRefusal, 0) + max(round, 1)
	}
	return Rank(g, plan.CanaryRefusal, 0) + len(g.BrownOut.Lengths) + int(s) - int(plan.BrownOutRefusal)
}

// Standing is where a means of a group is, as other gateways of a site need it.
type Standing struct {
	Group, Means, Stage string
	Round, Rank         int
	Held                string
	Trying              string // the step that runs, empty: none
	Refuses             bool   // somebody, now
}

// Standings returns where all means of groups are, and why nothing moves.
func (c *Controller) Standings() (list []Standing, held string) {
	for _, p := range c.state.Places {
		g := c.group(p)
		if g == nil {
			continue
		}
		s := Standing{Group: p.Group, Means: p.Means, Stage: p.Stage, Round: p.Round, Rank: Rank(g, p.stage(), p.Round), Held: p.Held,
			Refuses: c.standing[p] != nil}
		if r := c.running[p]; r != nil {
			s.Trying, s.Refuses = r.name(), s.Refuses || r.refusing
		}
		list = append(list, s)
	}
	return list, c.state.Held
}

// Trying tells whether a step is being tried.
func (c *Controller) Trying() bool { return len(c.running) > 0 }

// EndTrials ends all steps that are being tried.
func (c *Controller) EndTrials(now Moment, why string) {
	for _, p := range slices.Clone(c.state.Places) {
		if c.running[p] != nil {
			c.end(now, p, history.Ended, why)
		}
	}
}

// Follow declares a plan that another gateway of the site has declared. Where it
// would refuse somebody here without a step, the groups that it changes are
// rolled back first, and if that is not enough, all.
func (c *Controller) Follow(now Moment, name string, text []byte, by By) error {
	p, findings := plan.Parse(name, text)
	if p == nil {
		return findings.Err()
	}
	if _, err := c.grows(p); err != nil && !by.Force {
		changed := map[string]bool{}
		for _, ch := range plan.Diff(c.plan, p) {
			changed[ch.Group] = true
		}
		c.giveUp(now, by, func(p *Place) bool { return changed[p.Group] })
		if _, err := c.grows(p); err != nil {
			c.giveUp(now, by, func(*Place) bool { return true })
		}
	}
	_, err := c.Apply(now, name, text, by)
	return err
}

// MayApply says why a plan cannot be declared here without force.
func (c *Controller) MayApply(name string, text []byte) error {
	p, findings := plan.Parse(name, text)
	if p == nil {
		return findings.Err()
	}
	_, err := c.grows(p)
	return err
}

// giveUp rolls places back that refuse for good.
func (c *Controller) giveUp(now Moment, by By, which func(*Place) bool) {
	for _, p := range slices.Clone(c.state.Places) {
		if p.Stand != nil && which(p) {
			by.Reason = "the plan of the site would refuse others of it without a step"
			_, _ = c.Rollback(now, p.Group, p.Means, by)
		}
	}
}
