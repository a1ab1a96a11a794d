package plan

import (
	"fmt"
	"net/netip"
)

// claim is what a group wants to decide on: packets from a place by a means,
// of one key or Autokey group or of whichever.
type claim struct {
	prefix netip.Prefix
	label  string
	means  Means
	key    uint32
	group  string
}

func (c *claim) String() string {
	s := "everywhere"
	switch {
	case c.label != "":
		s = "label " + c.label
	case c.prefix.IsValid():
		s = c.prefix.String()
	}
	s += " by " + c.means.String()
	switch {
	case c.key != 0:
		s += fmt.Sprintf(" key %d", c.key)
	case c.group != "":
		s += " group " + c.group
	}
	return s
}

// claims returns what a group wants to decide on.
func (g *Group) claims() (list []claim) {
	var places []claim
	for _, p := range g.Prefixes {
		places = append(places, claim{prefix: p})
	}
	for _, l := range g.Labels {
		places = append(places, claim{label: l})
	}
	if len(places) == 0 {
		places = []claim{{}}
	}
	for _, c := range places {
		for m := range Means(MeansCount) {
			if g.Targets[m].Line == 0 {
				continue
			}
			c.means = m
			switch {
			case m == Symmetric && len(g.Keys) > 0:
				for _, k := range g.Keys {
					c.key = k
					list = append(list, c)
				}
				c.key = 0
			case m == Autokey && len(g.AutokeyGroups) > 0:
				for _, a := range g.AutokeyGroups {
					c.group = a
					list = append(list, c)
				}
				c.group = ""
			default:
				list = append(list, c)
			}
		}
	}
	return list
}

// checkOverlaps finds packets that two groups claim with equal right.
func (r *reader) checkOverlaps(p *Plan) {
	first := map[claim]*Group{}
	for i, g := range p.Groups {
		for _, c := range g.claims() {
			if other := first[c]; other != nil && other != g {
				r.fail(g.Line, fmt.Sprintf("groups[%d]", i), "%v is in the group %s (line %d) too: whose stage would count?", &c, other.Name, other.Line)
				break
			}
			first[c] = g
		}
	}
}
