package steer

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"ntsbridge/bridge/access"
	"ntsbridge/bridge/fleet/history"
	"ntsbridge/bridge/fleet/plan"
	"ntsbridge/bridge/fleet/stage"
)

// Diff tells what a plan would change.
func (c *Controller) Diff(p *plan.Plan) []plan.Change { return plan.Diff(c.plan, p) }

// Apply declares a plan. Running steps of groups that it changes end, and what
// it does not ask for any more is refused no more. Who would be refused by it
// without a step, since a group that refuses grows, keeps it from being
// declared, unless by.Force is set.
func (c *Controller) Apply(now Moment, name string, text []byte, by By) ([]plan.Change, error) {
	p, findings := plan.Parse(name, text)
	if p == nil {
		return nil, findings.Err()
	}
	changes := plan.Diff(c.plan, p)
	grown, err := c.grows(p)
	if err != nil && !by.Force {
		return changes, err
	}
	var lines []string
	for _, ch := range changes {
		lines = append(lines, ch.String())
	}
	evidence, err := json.Marshal(map[string]any{"changes": lines})
	if err != nil {
		return nil, err
	}
	entry := &history.Entry{Who: by.Who, What: history.Declared, Why: by.Reason, Evidence: evidence}
	if by.Force {
		entry.Why = strings.TrimSpace("forced: " + by.Reason)
	}
	if err := c.record(now, entry); err != nil {
		return nil, err
	}
	declare := func(on *Controller) {
		on.plan = p
		on.adopt(now, changes, grown)
		on.state.Plan, on.state.PlanName, on.state.Declared = string(text), name, Declared{now.Wall.UTC(), by.Who}
	}
	if err := c.keepBefore(declare); err != nil {
		c.note(now, &history.Entry{Who: ourselves, What: history.Ended, Why: "the plan was not declared: " + err.Error()})
		return nil, fmt.Errorf("the plan is not declared, since it cannot be kept: %w", err)
	}
	declare(c)
	c.surveySoon(now)
	c.resolve()
	c.enforce()
	_ = c.keep(true) // it is on the disk already, but for what was told meanwhile
	return changes, nil
}

// keepBefore writes the state as a change will make it, before anything is
// changed: what cannot be kept is not done, not even a half of it.
func (c *Controller) keepBefore(change func(on *Controller)) error {
	text, err := json.Marshal(c.state)
	if err != nil {
		return err
	}
	trial := &Controller{state: &State{}, running: map[*Place]*running{}, standing: map[*Place]*access.Step{}}
	trial.env.Record = func(*history.Entry) error { return nil }
	if err := json.Unmarshal(text, trial.state); err != nil {
		return err
	}
	change(trial)
	if text, err = json.Marshal(trial.state); err != nil {
		return err
	}
	return c.env.Keep(text)
}

// grows finds groups that refuse for good and would get other clients, and
// returns the steps at work that would.
func (c *Controller) grows(p *plan.Plan) (map[*Place]*newcomers, error) {
	for _, old := range c.state.Places {
		g := p.Group(old.Group)
		if old.Stand == nil || g == nil {
			continue
		}
		before := c.group(old)
		if before == nil || before.Selector.String() != g.Selector.String() {
			return nil, fmt.Errorf("group %s refuses %s, and this plan changes who belongs to it: whoever is new would be refused without a step; "+
				"put them into a group of their own, or `ntsbridge fleet rollback %s` first, or --force --reason", old.Group, old.Means, old.Group)
		}
	}
	grown, err := c.newcomers(p, stage.NewResolver(p, c.env.Where()))
	if err != nil {
		return nil, fmt.Errorf("a group refuses, and whether this plan gives it other clients cannot be told, which --force --reason takes upon it: %w", err)
	}
	for old, n := range grown {
		if old.Stand != nil {
			return nil, fmt.Errorf("group %s refuses %s, and this plan gives it %v: they would be refused without a step; put them into a group of "+
				"their own or protect them, or `ntsbridge fleet rollback %s` first, or --force --reason", old.Group, old.Means, n, old.Group)
		}
	}
	return grown, nil
}

// adopt makes the places fit the plan. grown are steps at work that it gives
// other clients.
func (c *Controller) adopt(now Moment, changes []plan.Change, grown map[*Place]*newcomers) {
	changed := map[string]bool{}
	for _, ch := range changes {
		changed[ch.Group] = true
	}
	gone := map[*Place]bool{}
	for _, p := range c.state.Places {
		g := c.group(p)
		if r := c.running[p]; r != nil && (g == nil || changed[p.Group] || changed[""] || grown[p] != nil) {
			c.end(now, p, history.Ended, "another plan was declared")
		} else if r != nil {
			r.Group = g // by which its clients are found
		}
		if gone[p] = g == nil || g.Targets[p.means()].Line == 0; gone[p] {
			c.loosen(now, p, plan.Observe, "the plan says nothing of it any more")
		} else if target := g.Targets[p.means()].Stage; p.stage() > target {
			c.loosen(now, p, target, "the plan wants it no further than "+target.String())
		}
	}
	c.state.Places = slices.DeleteFunc(c.state.Places, func(p *Place) bool { return gone[p] })
	for _, g := range c.plan.Groups {
		for m := range plan.Means(plan.MeansCount) {
			if g.Targets[m].Line > 0 && c.place(g.Name, m) == nil {
				p := &Place{Group: g.Name, Means: m.String()}
				p.reach(plan.Observe, 0, now.Wall)
				c.state.Places = append(c.state.Places, p)
			}
		}
	}
}

// loosen takes a place back to a stage.
func (c *Controller) loosen(now Moment, p *Place, to plan.Stage, why string) {
	if to < plan.Refuse && p.Stand != nil {
		c.note(now, &history.Entry{Who: ourselves, What: history.RolledBack, Group: p.Group, Means: p.Means, Step: p.Stand.ID,
			Stage: to.String(), Why: why})
		p.Stand = nil
		delete(c.standing, p)
		p.served(now.Wall)
	}
	if p.Stand != nil && to < plan.Removed && p.Stand.Deny { // silence again
		p.Stand.Deny = false
		delete(c.standing, p)
		c.stand(p)
	}
	if p.stage() > to {
		p.reach(to, 0, now.Wall)
	}
}
