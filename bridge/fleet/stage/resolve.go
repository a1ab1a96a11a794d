package stage

import (
	"net/netip"
	"slices"

	"github.com/gaissmai/bart"

	"ntsbridge/bridge/fleet/label"
	"ntsbridge/bridge/fleet/plan"
)

// Where says what prefixes are, beside what the plan says.
type Where struct {
	Labels  *label.Set
	Autokey map[netip.Prefix]string // groups that Autokey clients told
}

// Resolver finds whose packets are whose. It is immutable.
type Resolver struct {
	plan      *plan.Plan
	where     Where
	autokey   bart.Table[string]
	groups    []places // of plan.Groups
	protected []places // of plan.Protected
}

// places are where a selector is.
type places struct {
	*plan.Selector
	table      bart.Table[int] // its prefixes; their length
	everywhere bool
}

// NewResolver makes one for a plan.
func NewResolver(p *plan.Plan, w Where) *Resolver {
	r := &Resolver{plan: p, where: w, groups: make([]places, len(p.Groups)), protected: make([]places, len(p.Protected))}
	for i, g := range p.Groups {
		r.groups[i].init(&g.Selector)
	}
	for q, group := range w.Autokey {
		r.autokey.Insert(q, group)
	}
	for i := range p.Protected {
		r.protected[i].init(&p.Protected[i].Selector)
	}
	return r
}

func (s *places) init(sel *plan.Selector) {
	s.Selector, s.everywhere = sel, sel.Everywhere()
	for _, p := range sel.Prefixes {
		s.table.Insert(p, p.Bits())
	}
}

// match returns how long the prefix is by which a selector has p, -1 if it has
// not. l is the label of p.
func (s *places) match(p netip.Prefix, l *label.Label) int {
	if s.everywhere {
		return 0
	}
	bits := -1
	if _, n, ok := s.table.LookupPrefixLPM(p); ok {
		bits = n
	}
	if l != nil && l.Prefix.Bits() > bits && slices.ContainsFunc(s.Labels, l.Matches) {
		bits = l.Prefix.Bits()
	}
	return bits
}

// Group returns the group that decides on what comes from a prefix by a means,
// nil if none does. key is that of symmetric means, 0: one that no group
// names.
func (r *Resolver) Group(p netip.Prefix, m plan.Means, key uint32) *plan.Group {
	l := r.where.Labels.Lookup(p)
	var best *plan.Group
	longest, named := -1, false
	for i := range r.groups {
		g := r.plan.Groups[i]
		if g.Targets[m].Line == 0 {
			continue
		}
		narrows, fits := r.narrows(&g.Selector, p, m, key)
		if !fits {
			continue
		}
		if n := r.groups[i].match(p, l); n >= 0 && (narrows && !named || narrows == named && n > longest) {
			best, longest, named = g, n, narrows
		}
	}
	return best
}

// narrows tells whether a selector has only some keys or Autokey groups of a
// means, and whether it has this one.
func (r *Resolver) narrows(s *plan.Selector, p netip.Prefix, m plan.Means, key uint32) (narrows, fits bool) {
	switch {
	case m == plan.Symmetric && len(s.Keys) > 0:
		return true, slices.Contains(s.Keys, key)
	case m == plan.Autokey && len(s.AutokeyGroups) > 0:
		_, group, ok := r.autokey.LookupPrefixLPM(p)
		return true, ok && slices.Contains(s.AutokeyGroups, group)
	case s.Everywhere(): // it names keys or groups of another means
		return false, false
	}
	return false, true
}

// Protected tells whether what comes from a prefix by a means is never refused.
func (r *Resolver) Protected(p netip.Prefix, m plan.Means, key uint32) bool {
	l := r.where.Labels.Lookup(p)
	for i := range r.protected {
		s := &r.protected[i]
		if s.match(p, l) < 0 {
			continue
		}
		if len(s.Keys)+len(s.AutokeyGroups) == 0 {
			return true
		}
		if narrows, fits := r.narrows(s.Selector, p, m, key); narrows && fits {
			return true
		}
	}
	return false
}

// overlapsProtected tells whether a part of p is protected: a row of the
// inventory that stands for many addresses is then left alone as a whole.
func (r *Resolver) overlapsProtected(p netip.Prefix) bool {
	for i := range r.protected {
		s := &r.protected[i]
		if !p.IsSingleIP() && len(s.Keys)+len(s.AutokeyGroups) == 0 && s.table.OverlapsPrefix(p) {
			return true
		}
	}
	return false
}

// Splits tells whether a group names a part of a prefix, and not all of it.
func (r *Resolver) Splits(p netip.Prefix, g *plan.Group) bool {
	if p.IsSingleIP() {
		return false
	}
	for i, of := range r.plan.Groups {
		if of == g {
			_, _, whole := r.groups[i].table.LookupPrefixLPM(p)
			return !whole && r.groups[i].table.OverlapsPrefix(p)
		}
	}
	return false
}

// Member returns the group of a client of the inventory for one of its means,
// and whether it is protected.
func (r *Resolver) Member(p netip.Prefix, m plan.Means, key uint32) (g *plan.Group, protected bool) {
	if !p.IsValid() {
		return nil, false
	}
	return r.Group(p, m, key), r.Protected(p, m, key) || r.overlapsProtected(p)
}
