package steer

import (
	"fmt"
	"slices"

	"ntsbridge/bridge/fleet/history"

	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/fleet/plan"
	"ntsbridge/bridge/fleet/stage"
)

// newcomers are clients that a step in force would refuse and does not yet.
type newcomers struct {
	n     int
	first string
}

func (n *newcomers) String() string {
	if n.n == 1 {
		return "the client " + n.first
	}
	return fmt.Sprintf("%d clients, such as %s", n.n, n.first)
}

// newcomers finds them, by the place that would refuse them, for a plan and who
// belongs to its groups: groups grow when a smaller one is taken out of them,
// when somebody is not protected any more, or when labels change.
func (c *Controller) newcomers(next *plan.Plan, by *stage.Resolver) (map[*Place]*newcomers, error) {
	grown := map[*Place]*newcomers{}
	force := c.inForce()
	if len(force) == 0 || c.resolver == nil {
		return grown, nil
	}
	err := c.env.Each(func(k *inventory.Client) {
		for i := range k.Means {
			e := &k.Means[i]
			m, legacy := plan.MeansOf(e.Kind)
			if !legacy {
				continue
			}
			g, protected := by.Member(k.Prefix, m, e.Key)
			if g == nil || protected {
				continue
			}
			p := force[chair{g.Name, m}]
			if p == nil || p.Stand != nil && g.Targets[m].Stage < plan.Refuse { // it would be loosened
				continue
			}
			if was, spared := c.resolver.Member(k.Prefix, m, e.Key); was != nil && !spared && force[chair{was.Name, m}] != nil {
				continue
			}
			if r := c.running[p]; r != nil && r.Only != nil && !r.only[k.Prefix] {
				continue
			}
			if grown[p] == nil {
				grown[p] = &newcomers{first: clientName(k.Prefix)}
			}
			grown[p].n++
		}
	})
	return grown, err
}

// chair is a means of a group by its name, which outlives a plan.
type chair struct {
	group string
	means plan.Means
}

// inForce are the places that refuse now.
func (c *Controller) inForce() map[chair]*Place {
	all := map[chair]*Place{}
	for _, p := range c.state.Places {
		if r := c.running[p]; c.group(p) != nil && (c.standing[p] != nil || r != nil && r.refusing) {
			all[chair{p.Group, p.means()}] = p
		}
	}
	return all
}

// Resolve makes who belongs to which group anew, as when labels have changed. A
// step that is being tried and would get other clients by that ends; whom one
// that refuses for good gets is told.
func (c *Controller) Resolve(now Moment) {
	if c.plan != nil {
		grown, err := c.newcomers(c.plan, stage.NewResolver(c.plan, c.env.Where()))
		for _, p := range slices.Clone(c.state.Places) {
			switch n := grown[p]; {
			case c.running[p] != nil && (n != nil || err != nil):
				c.end(now, p, history.Ended, "labels or Autokey groups have changed, and with them who belongs to the group")
			case n != nil:
				c.note(now, &history.Entry{Who: ourselves, What: history.Regrouped, Group: p.Group, Means: p.Means, Step: p.Stand.ID,
					Stage: p.Stage, Why: fmt.Sprintf("labels or Autokey groups have changed: refused from now on without a trial: %v", n)})
			}
		}
	}
	c.resolve()
	c.enforce()
}
