package access

import (
	"fmt"
	"net/netip"
	"sync/atomic"

	"github.com/gaissmai/bart"

	"ntsbridge/bridge/ntp"
)

// Step is a declared step of a migration that refuses requests.
type Step struct {
	ID      uint32
	Deny    bool // by kiss code DENY instead of silence
	refused atomic.Uint64
}

// Count counts a request that the step refused.
func (s *Step) Count() { s.refused.Add(1) }

// Refused returns how many requests the step refused.
func (s *Step) Refused() uint64 { return s.refused.Load() }

// Overlay is what steps refuse to the addresses of a prefix. It can only refuse
// what a rule allows, never allow.
type Overlay struct {
	None, Autokey *Step     // nil: served
	Symmetric     *Step     // for keys without one of their own
	Keys          []KeyStep // sorted by key
}

// KeyStep is what holds for one symmetric key; without Step it is served.
type KeyStep struct {
	Key  uint32
	Step *Step
}

// Refuses returns the step that refuses packets of a kind, or nil. NTS is
// refused by none.
func (r *Rule) Refuses(kind ntp.Kind, key uint32) *Step {
	if r.overlay == nil {
		return nil
	}
	return r.overlay.step(kind, key)
}

func (o *Overlay) step(kind ntp.Kind, key uint32) *Step {
	switch kind {
	case ntp.KindNone:
		return o.None
	case ntp.KindAutokey:
		return o.Autokey
	case ntp.KindSymmetric:
		for i := range o.Keys {
			if o.Keys[i].Key == key {
				return o.Keys[i].Step
			}
		}
		return o.Symmetric
	}
	return nil
}

// Overlays are what is refused by prefix; the longest one counts. The zero
// value, and nil, refuse nothing.
type Overlays struct {
	table bart.Table[*Overlay]
}

// Set says what holds for a prefix: an Overlay without steps if everything is
// served there.
func (o *Overlays) Set(p netip.Prefix, v *Overlay) { o.table.Insert(p.Masked(), v) }

// Len returns how many prefixes there are.
func (o *Overlays) Len() int {
	if o == nil {
		return 0
	}
	return o.table.Size()
}

// With returns the same rules with an overlay. Each prefix of either gets the
// rule and the overlay of the longest prefix that it is in, so that one look-up
// finds both.
func (t *Table) With(o *Overlays) *Table {
	n := &Table{rules: t.rules}
	made := map[ruled]*Rule{}
	t.overlaid(&n.other, &t.other, o, made)
	t.overlaid(&n.fromNTP, &t.fromNTP, o, made)
	return n
}

// ruled is a rule with an overlay.
type ruled struct {
	rule    *Rule
	overlay *Overlay
}

func (t *Table) overlaid(into, rules *bart.Table[*Rule], o *Overlays, made map[ruled]*Rule) {
	put := func(p netip.Prefix, r *Rule, v *Overlay) {
		both := made[ruled{r, v}]
		if both == nil {
			copied := *r
			copied.overlay = v
			both = &copied
			made[ruled{r, v}] = both
		}
		into.Insert(p, both)
	}
	for p, r := range rules.All() {
		_, v, _ := o.table.LookupPrefixLPM(p)
		put(p, r, v)
	}
	for p, v := range o.table.All() {
		if _, r, ok := rules.LookupPrefixLPM(p); ok {
			put(p, r, v)
		}
	}
}

// Lookup returns what holds at a prefix, nil if nothing was set there.
func (o *Overlays) Lookup(p netip.Prefix) *Overlay {
	if o == nil {
		return nil
	}
	_, v, _ := o.table.LookupPrefixLPM(p)
	return v
}

// Name returns what overlays that refuse the same have in common; empty if
// nothing is refused.
func (o *Overlay) Name() string {
	if o.None == nil && o.Autokey == nil && o.Symmetric == nil && len(o.Keys) == 0 {
		return ""
	}
	id := func(s *Step) int64 {
		if s == nil {
			return -1
		}
		return int64(s.ID)
	}
	name := fmt.Sprint(id(o.None), id(o.Autokey), id(o.Symmetric))
	for _, k := range o.Keys {
		name += fmt.Sprint(" ", k.Key, id(k.Step))
	}
	return name
}
