package stage

import (
	"cmp"
	"net/netip"
	"slices"

	"ntsbridge/bridge/access"
	"ntsbridge/bridge/fleet/plan"
)

// Refusal is a step that refuses now.
type Refusal struct {
	Step  *access.Step
	Group string
	Means plan.Means
	// Only are the clients of a canary, sorted or not; nil: the whole group.
	Only []netip.Prefix
}

// everything are the prefixes of all addresses.
var everything = []netip.Prefix{netip.PrefixFrom(netip.IPv4Unspecified(), 0), netip.PrefixFrom(netip.IPv6Unspecified(), 0)}

// Compile makes what the serving path looks up; nil if nothing is refused.
func (r *Resolver) Compile(refusals []Refusal) *access.Overlays {
	if len(refusals) == 0 {
		return nil
	}
	c := compiler{Resolver: r, refusals: map[step][]active{}, made: map[string]*access.Overlay{}}
	for _, f := range refusals {
		a := active{step: f.Step}
		if f.Only != nil {
			a.only = map[netip.Prefix]bool{}
			for _, p := range f.Only {
				a.only[p] = true
			}
		}
		k := step{f.Group, f.Means}
		c.refusals[k] = append(c.refusals[k], a)
	}
	o := &access.Overlays{}
	for _, p := range c.prefixes(refusals) {
		c.put(o, p)
	}
	return o
}

type step struct {
	group string
	means plan.Means
}

type active struct {
	step *access.Step
	only map[netip.Prefix]bool
}

type compiler struct {
	*Resolver
	refusals map[step][]active
	made     map[string]*access.Overlay
}

// prefixes are all at which what is refused may change, the shortest first.
func (c *compiler) prefixes(refusals []Refusal) []netip.Prefix {
	list := slices.Clone(everything)
	labels := false
	for _, groups := range [][]places{c.groups, c.protected} {
		for i := range groups {
			list = append(list, groups[i].Prefixes...)
			labels = labels || len(groups[i].Labels) > 0
		}
	}
	if labels {
		for _, l := range c.where.Labels.All() {
			list = append(list, l.Prefix)
		}
	}
	for p := range c.where.Autokey {
		list = append(list, p)
	}
	for i := range refusals {
		list = append(list, refusals[i].Only...)
	}
	slices.SortFunc(list, func(a, b netip.Prefix) int {
		return cmp.Or(cmp.Compare(a.Bits(), b.Bits()), a.Addr().Compare(b.Addr()))
	})
	return slices.Compact(list)
}

// put sets what holds at a prefix, unless it is what holds around it.
func (c *compiler) put(o *access.Overlays, p netip.Prefix) {
	v := c.overlay(p)
	if around := o.Lookup(p); around != nil && around == v || around == nil && v == c.made[""] {
		return
	}
	o.Set(p, v)
}

func (c *compiler) overlay(p netip.Prefix) *access.Overlay {
	v := access.Overlay{None: c.at(p, plan.None, 0), Autokey: c.at(p, plan.Autokey, 0), Symmetric: c.at(p, plan.Symmetric, 0)}
	for _, key := range c.keys() {
		if s := c.at(p, plan.Symmetric, key); s != v.Symmetric {
			v.Keys = append(v.Keys, access.KeyStep{Key: key, Step: s})
		}
	}
	name := v.Name()
	if known := c.made[name]; known != nil {
		return known
	}
	c.made[name] = &v
	return &v
}

// keys are all that a group or a protection names.
func (c *compiler) keys() (list []uint32) {
	for _, groups := range [][]places{c.groups, c.protected} {
		for i := range groups {
			list = append(list, groups[i].Keys...)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// at returns the step that refuses a means at a prefix.
func (c *compiler) at(p netip.Prefix, m plan.Means, key uint32) *access.Step {
	g := c.Group(p, m, key)
	if g == nil || c.Protected(p, m, key) {
		return nil
	}
	for _, a := range c.refusals[step{g.Name, m}] {
		if a.only == nil || a.has(p) {
			return a.step
		}
	}
	return nil
}

// has tells whether a prefix is in a client of the canary.
func (a *active) has(p netip.Prefix) bool {
	for bits := p.Bits(); bits >= 0; bits-- {
		if q := netip.PrefixFrom(p.Addr(), bits).Masked(); a.only[q] {
			return true
		}
	}
	return false
}
