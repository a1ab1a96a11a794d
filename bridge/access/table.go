package access

import (
	"fmt"
	"iter"
	"net/netip"
	"time"

	"github.com/gaissmai/bart"
)

// sourcePortNTP is the source port that SourcePort123 asks for.
const sourcePortNTP = 123

// Table finds the rule of an address by the longest matching prefix. It is
// immutable: a new configuration is a new Table, swapped by the caller.
type Table struct {
	other   bart.Table[*Rule] // rules for requests from any port
	fromNTP bart.Table[*Rule] // the same, overlaid with those for port 123
	rules   []Rule
	nobody  Rule // for addresses without any rule: denied
}

// NewTable returns the table of the given rules. Two rules may not have the
// same prefix unless one of them is for source port 123; then that one is the
// more specific one. An address without any rule is denied.
func NewTable(rules []Rule) (*Table, error) {
	t := &Table{rules: append([]Rule(nil), rules...)}
	seen := make(map[entry]int)
	for i := range t.rules {
		r := &t.rules[i]
		r.index = i + 1
		if err := r.validate(); err != nil {
			return nil, fmt.Errorf("access rule %d: %w", i+1, err)
		}
		key := entry{r.Prefix, r.SourcePort123}
		if j, ok := seen[key]; ok {
			return nil, fmt.Errorf("access rule %d: prefix %v is already in rule %d", i+1, r.Prefix, j+1)
		}
		seen[key] = i
		t.insert(r, seen)
	}
	return t, nil
}

// entry is what must be unique in a table.
type entry struct {
	prefix  netip.Prefix
	fromNTP bool
}

func (t *Table) insert(r *Rule, seen map[entry]int) {
	if r.SourcePort123 {
		t.fromNTP.Insert(r.Prefix, r)
		return
	}
	t.other.Insert(r.Prefix, r)
	if _, ok := seen[entry{r.Prefix, true}]; !ok {
		t.fromNTP.Insert(r.Prefix, r)
	}
}

// Lookup returns the rule for requests from the given address; never nil.
func (t *Table) Lookup(from netip.AddrPort) *Rule {
	table := &t.other
	if from.Port() == sourcePortNTP {
		table = &t.fromNTP
	}
	if r, ok := table.Lookup(from.Addr().Unmap().WithZone("")); ok {
		return r
	}
	return &t.nobody
}

// All returns each prefix of the table with its rule, for requests from port
// 123 or from the others.
func (t *Table) All(fromNTP bool) iter.Seq2[netip.Prefix, *Rule] {
	if fromNTP {
		return t.fromNTP.All()
	}
	return t.other.All()
}

// Rules returns the rules of the table, which must not be changed.
func (t *Table) Rules() []Rule { return t.rules }

// validate reports what makes no sense in a rule.
func (r *Rule) validate() error {
	switch {
	case !r.Prefix.IsValid():
		return fmt.Errorf("prefix is missing")
	case r.Prefix != r.Prefix.Masked():
		return fmt.Errorf("prefix %v has host bits; write %v", r.Prefix, r.Prefix.Masked())
	case r.Prefix.Addr().Is4In6():
		return fmt.Errorf("prefix %v is an IPv4 address inside IPv6; write it as IPv4", r.Prefix)
	case r.Kinds&^AllKinds != 0:
		return fmt.Errorf("unknown kind of authentication")
	case r.MinVersion > 4:
		return fmt.Errorf("version %d: must be 1 to 4", r.MinVersion)
	}
	for _, k := range r.Keys {
		if k.Low == 0 || k.Low > k.High {
			return fmt.Errorf("key range %d-%d is empty or begins with 0", k.Low, k.High)
		}
	}
	if r.Rate == nil {
		return nil
	}
	return r.Rate.Validate()
}

// maxInterval keeps the arithmetic of the limiter within 63 bits.
const maxInterval = 8760 * time.Hour

// Validate reports what a Limiter cannot work with.
func (l *RateLimit) Validate() error {
	switch {
	case l.Interval <= 0 || l.Interval > maxInterval:
		return fmt.Errorf("rate limit: interval %v: must be above 0 and at most %v", l.Interval, maxInterval)
	case l.Burst < 1 || l.Burst > 255:
		return fmt.Errorf("rate limit: burst %d: must be 1 to 255", l.Burst)
	case l.Minimum < 0:
		return fmt.Errorf("rate limit: minimum %v: must not be negative", l.Minimum)
	case !(l.Leak >= 0 && l.Leak <= 1):
		return fmt.Errorf("rate limit: leak %v: must be 0 to 1", l.Leak)
	}
	return nil
}
