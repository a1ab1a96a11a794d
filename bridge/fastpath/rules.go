package fastpath

import (
	"encoding/binary"
	"net/netip"

	"ntsbridge/bridge/access"
	"ntsbridge/bridge/ntp"
)

// What the program has room for, as maps.h has it.
const (
	maxRules     = 4096 // whose requests are counted
	maxListeners = 256

	maxInterfaces = 4096
	maxSockets    = 256 // of AF_XDP
)

// The families of addresses.
const (
	family4 = 4
	family6 = 6
)

// entry is a prefix of sources and what holds there.
type entry struct {
	key  objectRuleKey
	rule objectRule
}

// compile turns a table into what the program looks up, under a generation.
// limited tells whether the program has the buckets of the table's limits.
func compile(t *access.Table, generation uint32, limited bool, keys *keysets) (entries []entry) {
	made := make(map[*access.Rule]objectRule)
	for _, fromNTP := range []bool{false, true} {
		for p, r := range t.All(fromNTP) {
			rule, there := made[r]
			if !there {
				rule = ruleOf(r, limited, keys)
				made[r] = rule
			}
			entries = append(entries, entry{keyOf(p, generation, fromNTP), rule})
		}
	}
	return entries
}

func keyOf(p netip.Prefix, generation uint32, fromNTP bool) objectRuleKey {
	k := objectRuleKey{Prefixlen: uint32(32 + p.Bits()), Class: generation<<8 | uint32(familyOf(p.Addr()))<<1, Addr: words(p.Addr())}
	if fromNTP {
		k.Class |= 1
	}
	return k
}

func familyOf(a netip.Addr) uint16 {
	if a.Is4() {
		return family4
	}
	return family6
}

// words is an address as it stands in packets; IPv4 in the first word.
func words(a netip.Addr) (w [4]uint32) {
	b := a.AsSlice()
	for i := range len(b) / 4 {
		w[i] = binary.NativeEndian.Uint32(b[4*i:])
	}
	return w
}

func ruleOf(r *access.Rule, limited bool, keys *keysets) objectRule {
	index := r.Index()
	o := objectRule{MinVersion: uint32(r.MinVersion), Hits: uint32(index + 1)}
	if r.Action != access.Allow || index >= maxRules || r.Rate != nil && !limited {
		return o
	}
	if r.Kinds.Has(ntp.KindNone) && r.Refuses(ntp.KindNone, 0) == nil {
		o.Allowed = 1
	}
	if r.Kinds.Has(ntp.KindSymmetric) {
		o.Keyed = keys.number(r)
	}
	if r.Rate != nil {
		o.Limited = 1
		o.Interval = uint64(r.Rate.Interval)
		o.Span = uint64(r.Rate.Interval) * uint64(r.Rate.Burst-1)
		o.Minimum = uint64(r.Rate.Minimum)
	}
	return o
}
