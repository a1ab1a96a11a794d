package migration

import (
	"fmt"
	"slices"
	"strings"

	"ntsbridge/bridge/fleet/gate"
	"ntsbridge/bridge/fleet/history"
	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/fleet/plan"
	"ntsbridge/bridge/fleet/stage"
	"ntsbridge/bridge/fleet/steer"
	"ntsbridge/bridge/ntp"
)

// StageGate is the gate of a key that the plan shuts.
const StageGate = "stage"

// keyGate tells whether a symmetric key may be deleted as far as the plan knows:
// each group that names it, or whose clients use it, must be removed by
// symmetric means. Whoever is protected keeps it.
func (m *Migration) keyGate(key uint32) gate.Result {
	r := gate.Result{Name: StageGate, Open: true, Evidence: "no plan is declared"}
	p, _, _ := m.c.Plan()
	if p == nil {
		return r
	}
	users, protected, err := m.usersOf(p, key)
	if err != nil {
		return gate.Result{Name: StageGate, Evidence: "the inventory cannot be asked who is in which group: " + err.Error()}
	}
	var stands []string
	for _, g := range p.Groups {
		if !slices.Contains(g.Keys, key) && users[g] == 0 {
			continue
		}
		at, ok := m.c.Stage(g.Name, plan.Symmetric)
		stands = append(stands, fmt.Sprintf("%s is in %v", g.Name, at))
		r.Open = r.Open && ok && at == plan.Removed
	}
	if r.Evidence = strings.Join(stands, ", "); len(stands) == 0 {
		r.Evidence = "no group of the plan has it"
	}
	if !r.Open {
		r.Evidence += "; a key may go when they are in removed"
	}
	for _, name := range protected {
		r.Open = false
		r.Clients = append(r.Clients, gate.Client{Address: name, Why: "the plan protects it"})
	}
	r.InTheWay = len(protected)
	return r
}

// usersOf counts the clients that used a key by their group, and names some of
// those that the plan protects.
func (m *Migration) usersOf(p *plan.Plan, key uint32) (groups map[*plan.Group]int, protected []string, err error) {
	r := stage.NewResolver(p, m.where())
	groups = map[*plan.Group]int{}
	err = m.opt.Each(func(c *inventory.Client) {
		for i := range c.Means {
			if c.Means[i].Kind != ntp.KindSymmetric || c.Means[i].Key != key || c.Means[i].Answered == 0 {
				continue
			}
			switch g, is := r.Member(c.Prefix, plan.Symmetric, key); {
			case is && len(protected) < maxProtected:
				protected = append(protected, c.Name())
			case g != nil && !is:
				groups[g]++
			}
		}
	})
	return groups, protected, err
}

// maxProtected bounds the list of protected clients in the way.
const maxProtected = 100

// keyNote writes down what is done to a key.
func (m *Migration) keyNote(now steer.Moment, who string, r *Request) error {
	switch r.What {
	case history.KeyRolled, history.KeyRetired, history.KeyKept, history.Refused, history.Forced:
	default:
		return fmt.Errorf("the history has no %.40q of keys", r.What)
	}
	return m.c.Note(now, &history.Entry{Who: who, What: r.What, Means: plan.Symmetric.String(), Key: r.Key, Why: r.Reason,
		Evidence: r.Evidence})
}
