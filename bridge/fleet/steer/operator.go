package steer

import (
	"errors"
	"fmt"

	"ntsbridge/bridge/fleet/history"
	"ntsbridge/bridge/fleet/plan"
)

// Hold ends what is being tried and lets nothing begin, of a group or, with an
// empty name, of all. What is refused for good stays so.
func (c *Controller) Hold(now Moment, group string, by By) (string, error) {
	places, whom, err := c.those(group)
	if err != nil {
		return "", err
	}
	why := by.Reason
	if why == "" {
		why = "by " + by.Who
	}
	ended := 0
	for _, p := range places {
		p.Held = why
		if c.running[p] != nil {
			c.end(now, p, history.Ended, "held: "+why)
			ended++
		}
	}
	if group == "" {
		c.state.Held = why
	}
	err = c.keep(false)
	c.note(now, &history.Entry{Who: by.Who, What: history.Held, Group: group, Why: by.Reason})
	return fmt.Sprintf("%s: held; %d running steps ended", whom, ended), err
}

// Resume lets what was held go on.
func (c *Controller) Resume(now Moment, group string, by By) (string, error) {
	places, whom, err := c.those(group)
	if err != nil {
		return "", err
	}
	if err := c.record(now, &history.Entry{Who: by.Who, What: history.Resumed, Group: group, Why: by.Reason}); err != nil {
		return "", err
	}
	resume := func(on *Controller, places []*Place) {
		for _, p := range places {
			p.Held, p.Hurt = "", nil
		}
		if group == "" {
			on.state.Held = ""
		}
	}
	if err := c.keepBefore(func(on *Controller) {
		on.plan = c.plan
		places, _, _ := on.those(group)
		resume(on, places)
	}); err != nil {
		c.note(now, &history.Entry{Who: ourselves, What: history.Held, Group: group, Why: "it is still held: " + err.Error()})
		return "", fmt.Errorf("%s: still held, since that cannot be kept: %w", whom, err)
	}
	resume(c, places)
	_ = c.keep(false) // it is on the disk already
	if c.state.Held != "" {
		return whom + ": may go on once everything may, which is still held: `ntsbridge fleet resume`", nil
	}
	return whom + ": may go on", nil
}

// Rollback serves everybody of a group again, by one means or all, and holds
// it: its next step is the canary.
func (c *Controller) Rollback(now Moment, group, means string, by By) (string, error) {
	if group == "" {
		return "", errors.New("which group is to be rolled back? `ntsbridge fleet status` lists them")
	}
	places, err := c.find(group, means)
	if err != nil {
		return "", err
	}
	done := 0
	for _, p := range places {
		if c.running[p] == nil && p.Stand == nil && p.stage() <= plan.Warn {
			continue
		}
		done++
		if c.running[p] != nil {
			c.end(now, p, history.Ended, "rolled back")
		}
		p.Stand = nil
		delete(c.standing, p)
		p.served(now.Wall)
		if p.stage() > plan.Warn {
			p.reach(plan.Warn, 0, now.Wall)
		}
		p.Held = "rolled back by " + by.Who
		if by.Reason != "" {
			p.Held += ": " + by.Reason
		}
	}
	if done == 0 {
		return "", fmt.Errorf("%s: %w", group, ErrNothing)
	}
	c.enforce()
	err = c.keep(true)
	c.note(now, &history.Entry{Who: by.Who, What: history.RolledBack, Group: group, Means: means, Stage: plan.Warn.String(),
		Why: by.Reason})
	return fmt.Sprintf("%s: everybody is served again; `ntsbridge fleet resume %s` lets it begin again with a canary", group, group), err
}

// those returns the places of a group, or all.
func (c *Controller) those(group string) ([]*Place, string, error) {
	if c.plan == nil {
		return nil, "", ErrNoPlan
	}
	if group == "" {
		return c.state.Places, "all groups", nil
	}
	places, err := c.find(group, "")
	return places, group, err
}

// Note writes down what is done elsewhere because of the migration.
func (c *Controller) Note(now Moment, e *history.Entry) error { return c.record(now, e) }

// Stage returns where a means of a group stands; ok is false if the plan says
// nothing of it.
func (c *Controller) Stage(group string, m plan.Means) (s plan.Stage, ok bool) {
	p := c.place(group, m)
	if p == nil {
		return plan.Observe, false
	}
	return p.stage(), true
}
