package migration

import (
	"net/netip"
	"time"

	"ntsbridge/bridge/fleet/gate"
	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/fleet/plan"
	"ntsbridge/bridge/fleet/silence"
	"ntsbridge/bridge/fleet/stage"
	"ntsbridge/bridge/fleet/steer"
)

// gates computes the gates of steps, in one pass over the inventory.
func (m *Migration) gates(now steer.Moment, r *stage.Resolver, steps []*steer.Step) [][]gate.Result {
	facts := m.opt.Facts(now.Wall)
	facts.Now, facts.Ours = now.Wall, m.opt.Ours
	row := &seated{resolver: r}
	each, view := m.siteClients(&facts)
	evaluations := make([]*gate.Evaluation, len(steps))
	for i, s := range steps {
		own := facts
		own.Member = func(*inventory.Client) (member, protected bool) { return row.belongs(s) }
		own.Uses = func(c *inventory.Client, e *inventory.Means) bool { return row.uses(c, e, s) }
		chosen := chosenBy(s)
		own.Refuses = func(c *inventory.Client, e *inventory.Means) bool {
			return !e.Away && row.uses(c, e, s) && chosen(c.Prefix)
		}
		if view != nil {
			own.Elsewhere = m.elsewhere(view, s, facts.Elsewhere)
		}
		own.Refused = func(*inventory.Client, *inventory.Means) []silence.Span { return s.Refused }
		evaluations[i] = gate.New(gate.Step{Group: s.Group, Means: s.Means, Stage: s.Stage, Takes: s.Timing.Whole()}, &own)
	}
	err := each(func(c *inventory.Client) {
		row.sit(c)
		for i := range evaluations {
			evaluations[i].Add(c)
		}
	})
	list := make([][]gate.Result, len(steps))
	for i, e := range evaluations {
		if list[i] = e.Results(); err != nil {
			list[i] = []gate.Result{{Name: gate.Watched, Evidence: "the inventory cannot be asked: " + err.Error()}}
		}
		if m.opt.Site != nil {
			list[i] = append([]gate.Result{m.gatewaysGate(steps[i])}, list[i]...)
		}
	}
	return list
}

// seated is a client of the inventory with the groups that it is in, looked up
// once for all steps.
type seated struct {
	resolver *stage.Resolver
	client   *inventory.Client
	means    []seat                // of each of its means
	place    [plan.MeansCount]seat // where it is, whatever it uses
	known    [plan.MeansCount]bool // place was looked up
}

type seat struct {
	group     *plan.Group // nil: none
	protected bool
}

func (d *seated) sit(c *inventory.Client) {
	d.client, d.means, d.known = c, d.means[:0], [plan.MeansCount]bool{}
	for i := range c.Means {
		var s seat
		if m, legacy := plan.MeansOf(c.Means[i].Kind); legacy {
			s.group, s.protected = d.resolver.Member(c.Prefix, m, c.Means[i].Key)
		}
		d.means = append(d.means, s)
	}
}

// belongs tells whether a client is in the group of a step: by a means that the
// group decides on, or by where it is, whatever it uses by now.
func (d *seated) belongs(s *steer.Step) (member, protected bool) {
	for i := range d.means {
		if d.means[i].group == s.Group && d.client.Means[i].Kind == s.Means.Kind() {
			return true, d.means[i].protected
		}
	}
	switch {
	case s.Group.Everywhere():
		return false, false
	case s.Means == plan.Symmetric && len(s.Group.Keys) > 0:
		g, is := d.resolver.Member(d.client.Prefix, s.Means, s.Group.Keys[0])
		return g == s.Group, is
	}
	at := &d.place[s.Means]
	if !d.known[s.Means] {
		d.known[s.Means] = true
		at.group, at.protected = d.resolver.Member(d.client.Prefix, s.Means, 0)
	}
	return at.group == s.Group, at.protected
}

// uses tells whether one of the client's means is the one that a step takes away.
func (d *seated) uses(c *inventory.Client, e *inventory.Means, s *steer.Step) bool {
	if e.Kind != s.Means.Kind() || !c.Prefix.IsValid() {
		return false
	}
	for i := range c.Means {
		if &c.Means[i] == e {
			return d.means[i].group == s.Group
		}
	}
	return false
}

// chosenBy tells whether a step has a client: of a canary's group only some.
func chosenBy(s *steer.Step) func(netip.Prefix) bool {
	if s.Only == nil {
		return func(netip.Prefix) bool { return true }
	}
	only := make(map[netip.Prefix]bool, len(s.Only))
	for _, p := range s.Only {
		only[p] = true
	}
	return func(p netip.Prefix) bool { return only[p] }
}

// prove says what the lengths of a plan can prove about the clients of now, and
// whom it would refuse of those that nothing can be proved about.
func (m *Migration) prove(name string, p *plan.Plan) plan.Findings {
	d := &seated{resolver: stage.NewResolver(p, m.where())}
	type of struct {
		group *plan.Group
		means plan.Means
	}
	polls, mute := map[of][]time.Duration{}, map[of]int{}
	if err := m.opt.Each(func(c *inventory.Client) {
		d.sit(c)
		for i := range c.Means {
			means, legacy := plan.MeansOf(c.Means[i].Kind)
			if s := d.means[i]; legacy && s.group != nil && !s.protected {
				at := of{s.group, means}
				polls[at] = append(polls[at], c.Means[i].Interval)
				if !silence.Shows(c, i) {
					mute[at]++
				}
			}
		}
	}); err != nil {
		return nil
	}
	return p.Prove(name, func(g *plan.Group, means plan.Means) ([]time.Duration, int) {
		at := of{g, means}
		return polls[at], mute[at]
	})
}
