package report

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/fleet/label"
	"ntsbridge/bridge/ntp"
)

// Filter says which clients are wanted. The zero value is all of them.
type Filter struct {
	Kinds      []string       // that it used
	Keys       []uint32       // symmetric keys
	Prefixes   []netip.Prefix // that it is in
	Labels     []string       // owner, site, or part of the note
	LegacyOnly bool           // it used something worse than NTS, within Since if that is set
	Since      time.Duration  // only what was seen in the last so long
	New        time.Duration  // only clients that were seen for the first time in the last so long
	SilentFor  time.Duration  // only what was not
	Address    netip.Addr     // only this one
	Sort       string         // one of Sorts; with - in front the other way round
	Limit      int            // 0: all
	Resolve    bool           // ask DNS for names
	Site       bool           // of all gateways of the site
	ByGateway  bool           // with a column for each; only with Site
}

// Sorts are the orders that Filter.Sort knows.
var Sorts = []string{"address", "last", "first", "packets", "refused", "poll", "label"}

// SortWords are all that Filter.Sort may be.
func SortWords() []string {
	list := slices.Clone(Sorts)
	for _, s := range Sorts {
		list = append(list, "-"+s)
	}
	return list
}

// kindsKnown are the words for Filter.Kinds.
var kindsKnown = []string{"none", "symmetric", "autokey", "nts"}

// Check returns what is wrong with a filter.
func (f *Filter) Check() error {
	for _, k := range f.Kinds {
		if !slices.Contains(kindsKnown, k) {
			return fmt.Errorf("kind %q is none of %s", k, strings.Join(kindsKnown, ", "))
		}
	}
	if f.Sort != "" && !slices.Contains(Sorts, strings.TrimPrefix(f.Sort, "-")) {
		return fmt.Errorf("order %q is none of %s (with - in front: the other way round)", f.Sort, strings.Join(Sorts, ", "))
	}
	if f.ByGateway && !f.Site {
		return fmt.Errorf("columns of gateways are for a list of the site")
	}
	if f.Since < 0 || f.New < 0 || f.SilentFor < 0 || f.Limit < 0 {
		return fmt.Errorf("a negative time or limit")
	}
	return nil
}

// Values returns a filter as the query of a URL.
func (f *Filter) Values() url.Values {
	v := url.Values{}
	for _, k := range f.Kinds {
		v.Add("kind", k)
	}
	for _, k := range f.Keys {
		v.Add("key", strconv.FormatUint(uint64(k), 10))
	}
	for _, p := range f.Prefixes {
		v.Add("prefix", p.String())
	}
	for _, l := range f.Labels {
		v.Add("label", l)
	}
	set := func(name, value string, is bool) {
		if is {
			v.Set(name, value)
		}
	}
	set("legacy_only", "1", f.LegacyOnly)
	set("since", f.Since.String(), f.Since > 0)
	set("first_within", f.New.String(), f.New > 0)
	set("silent_for", f.SilentFor.String(), f.SilentFor > 0)
	set("address", f.Address.String(), f.Address.IsValid())
	set("sort", f.Sort, f.Sort != "")
	set("limit", strconv.Itoa(f.Limit), f.Limit > 0)
	set("resolve", "1", f.Resolve)
	set("site", "1", f.Site)
	set("by_gateway", "1", f.ByGateway)
	return v
}

// ParseFilter reads what Values writes.
func ParseFilter(v url.Values) (*Filter, error) {
	f := &Filter{Kinds: v["kind"], Labels: v["label"], Sort: v.Get("sort"),
		LegacyOnly: v.Get("legacy_only") == "1", Resolve: v.Get("resolve") == "1",
		Site: v.Get("site") == "1", ByGateway: v.Get("by_gateway") == "1"}
	for _, s := range v["key"] {
		k, err := strconv.ParseUint(s, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("key %q is no key identifier", s)
		}
		f.Keys = append(f.Keys, uint32(k))
	}
	for _, s := range v["prefix"] {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return nil, fmt.Errorf("prefix %q is none", s)
		}
		f.Prefixes = append(f.Prefixes, p.Masked())
	}
	var err error
	for name, to := range map[string]*time.Duration{"since": &f.Since, "first_within": &f.New, "silent_for": &f.SilentFor} {
		if s := v.Get(name); s != "" && err == nil {
			if *to, err = time.ParseDuration(s); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	if s := v.Get("address"); s != "" {
		if f.Address, err = netip.ParseAddr(s); err != nil {
			return nil, err
		}
	}
	if s := v.Get("limit"); s != "" {
		if f.Limit, err = strconv.Atoi(s); err != nil {
			return nil, fmt.Errorf("limit %q is no number", s)
		}
	}
	return f, f.Check()
}

// Match tells whether a client is wanted. now is in seconds since 1970.
func (f *Filter) Match(c *inventory.Client, labels *label.Set, now uint32) bool {
	since := uint32(0)
	if f.Since > 0 {
		since = now - min(now, uint32(f.Since/time.Second))
	}
	switch {
	case c.Last < since:
		return false
	case f.New > 0 && uint64(c.First)+uint64(f.New/time.Second) < uint64(now):
		return false
	case f.SilentFor > 0 && uint64(c.Last)+uint64(f.SilentFor/time.Second) > uint64(now):
		return false
	case len(f.Prefixes) > 0 && !slices.ContainsFunc(f.Prefixes, func(p netip.Prefix) bool { return within(c.Prefix, p) }):
		return false
	case len(f.Kinds) > 0 && !slices.ContainsFunc(c.Means, func(m inventory.Means) bool {
		return m.Last >= since &&
			slices.Contains(f.Kinds, m.Kind.String())
	}):
		return false
	case len(f.Keys) > 0 && !slices.ContainsFunc(c.Means, func(m inventory.Means) bool {
		return m.Last >= since && m.Kind == ntp.KindSymmetric && slices.Contains(f.Keys, m.Key)
	}):
		return false
	case f.LegacyOnly && !legacy(c, since):
		return false
	}
	return len(f.Labels) == 0 || f.labelled(labels.Lookup(c.Prefix))
}

func legacy(c *inventory.Client, since uint32) bool {
	for i := range c.Means {
		if m := &c.Means[i]; m.Kind != ntp.KindNTS && m.Last >= since {
			return true
		}
	}
	return false
}

func within(p, in netip.Prefix) bool {
	return p.IsValid() && p.Bits() >= in.Bits() && in.Contains(p.Addr())
}

func (f *Filter) labelled(l *label.Label) bool {
	if l == nil {
		return false
	}
	return slices.ContainsFunc(f.Labels, func(want string) bool {
		return strings.EqualFold(want, l.Owner) || strings.EqualFold(want, l.Site) || strings.EqualFold(want, l.String()) ||
			l.Note != "" && strings.Contains(strings.ToLower(l.Note), strings.ToLower(want))
	})
}

// Order returns a number by which clients are sorted, the least first.
func (f *Filter) Order(c *inventory.Client, labels *label.Set) (order [2]uint64) {
	sort, reverse := strings.CutPrefix(f.Sort, "-")
	switch sort {
	case "last":
		order[0] = ^uint64(c.Last)
	case "first":
		order[0] = uint64(c.First)
	case "packets":
		order[0] = ^packets(c)
	case "refused":
		order[0] = ^refusals(c)
	case "poll":
		for i := range c.Means {
			order[0] = max(order[0], uint64(c.Means[i].Interval))
		}
	case "label":
		var b [16]byte
		copy(b[:], labels.Lookup(c.Prefix).String())
		order = [2]uint64{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
	default:
		order = [2]uint64{binary.BigEndian.Uint64(c.Key[:8]), binary.BigEndian.Uint64(c.Key[8:16])}
	}
	if reverse {
		order[0], order[1] = ^order[0], ^order[1]
	}
	return order
}

func refusals(c *inventory.Client) (n uint64) {
	for i := range c.Means {
		n += c.Means[i].Refusals()
	}
	return n
}

func packets(c *inventory.Client) uint64 {
	n := refusals(c)
	for i := range c.Means {
		n += uint64(c.Means[i].Answered)
	}
	return n
}
