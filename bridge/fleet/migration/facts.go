package migration

import (
	"net/netip"
	"slices"
	"time"

	"ntsbridge/bridge/fleet/gate"
	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/fleet/plan"
	"ntsbridge/bridge/fleet/stage"
	"ntsbridge/bridge/fleet/steer"
)

// autokeyGroups are the groups that clients told, by their prefix.
func autokeyGroups(each func(func(*inventory.Client)) error) map[netip.Prefix]string {
	groups := map[netip.Prefix]string{}
	_ = each(func(c *inventory.Client) {
		if c.Group != "" && c.Prefix.IsValid() {
			groups[c.Prefix] = c.Group
		}
	})
	return groups
}

// gates computes the gates of a step.
func (m *Migration) gates(now steer.Moment, r *stage.Resolver, s *steer.Step) []gate.Result {
	facts := m.opt.Facts(now.Wall)
	facts.Now, facts.Ours = now.Wall, m.opt.Ours
	facts.Member = func(c *inventory.Client) (member, protected bool) { return belongs(r, s, c) }
	facts.Uses = func(c *inventory.Client, e *inventory.Means) bool {
		return e.Kind == s.Means.Kind() && c.Prefix.IsValid() && r.Group(c.Prefix, s.Means, e.Key) == s.Group
	}
	facts.Refuses = func(c *inventory.Client, e *inventory.Means) bool {
		return facts.Uses(c, e) && (s.Only == nil || slices.Contains(s.Only, c.Prefix))
	}
	e := gate.New(gate.Step{Group: s.Group, Means: s.Means, Stage: s.Stage, Takes: s.Timing.Whole()}, &facts)
	if err := m.opt.Each(e.Add); err != nil {
		return []gate.Result{{Name: gate.Watched, Evidence: "the inventory cannot be asked: " + err.Error()}}
	}
	return e.Results()
}

// belongs tells whether a client is in the group of a step: by a means that the
// group decides on, or by where it is, whatever it uses by now.
func belongs(r *stage.Resolver, s *steer.Step, c *inventory.Client) (member, protected bool) {
	for i := range c.Means {
		if e := &c.Means[i]; e.Kind == s.Means.Kind() {
			if g, is := r.Member(c.Prefix, s.Means, e.Key); g == s.Group {
				return true, is
			}
		}
	}
	if s.Group.Everywhere() {
		return false, false
	}
	key := uint32(0)
	if s.Means == plan.Symmetric && len(s.Group.Keys) > 0 {
		key = s.Group.Keys[0]
	}
	g, is := r.Member(c.Prefix, s.Means, key)
	return g == s.Group, is
}

// prove says what the lengths of a plan can prove about the clients of now.
func (m *Migration) prove(name string, p *plan.Plan) plan.Findings {
	r := stage.NewResolver(p, m.where())
	type of struct {
		group *plan.Group
		means plan.Means
	}
	polls := map[of][]time.Duration{}
	if err := m.opt.Each(func(c *inventory.Client) {
		for i := range c.Means {
			e := &c.Means[i]
			means, legacy := plan.MeansOf(e.Kind)
			if !legacy {
				continue
			}
			if g, protected := r.Member(c.Prefix, means, e.Key); g != nil && !protected {
				polls[of{g, means}] = append(polls[of{g, means}], e.Interval)
			}
		}
	}); err != nil {
		return nil
	}
	return p.Prove(name, func(g *plan.Group, means plan.Means) []time.Duration { return polls[of{g, means}] })
}
