package convert

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"ntsbridge/bridge/access"
	"ntsbridge/bridge/ntp"
)

// maxExpanded is how many prefixes a mask with holes may become.
const maxExpanded = 256

// service is what an address may have of a time server: ntpd's flags as far as
// they matter to clients, and an access rule as far as ntpd can say it.
type service struct {
	Serve   bool // time
	Auth    bool // only with authentication
	Version uint8
	Limited bool
	Kod     bool
	Query   bool // mode 6
}

// String says it in words.
func (s service) String() string {
	words := []string{"time"}
	switch {
	case !s.Serve:
		words[0] = "no time"
	case s.Auth:
		words[0] = "time with authentication only"
	}
	if s.Serve && s.Version > 1 {
		words = append(words, fmt.Sprintf("version %d only", s.Version))
	}
	if s.Serve && s.Limited {
		words = append(words, "rate limited")
		if s.Kod {
			words = append(words, "with kiss codes")
		}
	}
	if s.Query {
		return strings.Join(append(words, "queries"), ", ")
	}
	return strings.Join(append(words, "no queries"), ", ")
}

// serviceOf is what ntpd gives an address whose entry has the flags.
func serviceOf(f restrictSet) service {
	s := service{
		Serve: !f.has(flagIgnore | flagNoServe),
		Query: !f.has(flagIgnore | flagNoQuery),
	}
	if !s.Serve {
		return s
	}
	s.Auth, s.Limited = f.has(flagNoTrust), f.has(flagLimited)
	s.Kod = s.Limited && f.has(flagKod)
	s.Version = 1
	if f.has(flagVersion) {
		s.Version = 4
	}
	return s
}

// serviceOfRule is the same of an access rule.
func serviceOfRule(r *access.Rule) service {
	// A rule that denies answers no queries either.
	s := service{Serve: r.Action == access.Allow && r.Kinds != 0, Query: r.Action == access.Allow && r.Query}
	if !s.Serve {
		return s
	}
	s.Auth, s.Version = !r.Kinds.Has(ntp.KindNone), max(r.MinVersion, 1)
	s.Limited = r.Rate != nil
	s.Kod = s.Limited && r.Rate.Kiss
	return s
}

// accessRule is a rule of the output: a restriction, or the default.
type accessRule struct {
	prefixes []netip.Prefix // none: the default
	fromNTP  bool
	service  service
	lines    []*Statement
}

// accessRules returns ntpd's list as rules for the longest prefix. The first
// one is the default. Entries that cannot be said so are in left.
//
// Prefixes are nested or apart, and no entry begins inside a prefix without
// being a prefix of the list itself; so one entry decides for all of a prefix
// but what longer ones take away.
func accessRules(l *restrictList) (rules []accessRule, left []*restriction) {
	type item struct {
		netip.Prefix
		fromNTP bool
	}
	seen := make(map[item]bool)
	var prefixes []item
	add := func(i item) {
		if !seen[i] {
			seen[i] = true
			prefixes = append(prefixes, i)
		}
	}
	for _, e := range l.entries {
		list, ok := expand(e)
		if !ok {
			left = append(left, e)
			continue
		}
		for _, p := range list {
			add(item{p, e.flags.has(flagSourcePort)})
		}
	}
	l = l.without(left)
	for _, p := range slices.Clone(prefixes) {
		// With masks that have holes, an entry for port 123 may win for a part
		// of its network only.
		if l.winner(p.Prefix, true).flags.has(flagSourcePort) {
			add(item{p.Prefix, true})
		}
	}
	merge := make(map[*restriction]*accessRule)
	var order []*restriction
	for _, p := range prefixes {
		e := l.winner(p.Prefix, p.fromNTP)
		if p.fromNTP && !e.flags.has(flagSourcePort) {
			continue
		}
		r := merge[e]
		if r == nil {
			r = &accessRule{fromNTP: e.flags.has(flagSourcePort), service: serviceOf(e.flags), lines: e.lines}
			merge[e] = r
			order = append(order, e)
		}
		r.prefixes = append(r.prefixes, p.Prefix)
	}
	for _, e := range order {
		rules = append(rules, *merge[e])
	}
	return withDefault(rules), left
}

// withDefault puts the entries for all addresses of both families together in
// front, if they say the same; otherwise IPv4's is the default.
func withDefault(rules []accessRule) []accessRule {
	all4, all6 := netip.PrefixFrom(any4, 0), netip.PrefixFrom(any6, 0)
	find := func(p netip.Prefix) int {
		return slices.IndexFunc(rules, func(r accessRule) bool { return !r.fromNTP && len(r.prefixes) == 1 && r.prefixes[0] == p })
	}
	i4, i6 := find(all4), find(all6)
	first := rules[i4]
	first.prefixes = nil
	var rest []accessRule
	for i, r := range rules {
		if i == i4 || i == i6 && r.service == first.service {
			continue
		}
		rest = append(rest, r)
	}
	if i6 >= 0 && rules[i6].service == first.service {
		for _, s := range rules[i6].lines {
			if !slices.Contains(first.lines, s) {
				first.lines = append(slices.Clone(first.lines), s)
			}
		}
	}
	slices.SortStableFunc(rest, func(a, b accessRule) int { return firstLine(a) - firstLine(b) })
	return append([]accessRule{first}, rest...)
}

func firstLine(r accessRule) int {
	if len(r.lines) == 0 {
		return 0
	}
	return r.lines[0].File<<20 | r.lines[0].Line
}

// expand returns the prefixes of an entry; ok is false if a mask with holes
// has too many.
func expand(e *restriction) (list []netip.Prefix, ok bool) {
	last, ones := highestBit(e.mask)
	if last-ones > 8 {
		return nil, false
	}
	list = []netip.Prefix{netip.PrefixFrom(e.addr, last)}
	mask := e.mask.AsSlice()
	for i := range last {
		if mask[i/8]>>(7-i%8)&1 != 0 {
			continue
		}
		for _, p := range list {
			raw := p.Addr().AsSlice()
			raw[i/8] |= 1 << (7 - i%8)
			a, _ := netip.AddrFromSlice(raw)
			list = append(list, netip.PrefixFrom(a, last))
		}
	}
	return list, len(list) <= maxExpanded
}

// rateLimits are the limits that ntpd's discard stands for.
type rateLimits struct {
	interval, minimum time.Duration
	burst             int
	lines             []*Statement
}

// accessTable returns the rules as the server would have them, to be compared.
func accessTable(rules []accessRule, limits rateLimits) (*access.Table, error) {
	var out []access.Rule
	for i, r := range rules {
		rule := access.Rule{SourcePort123: r.fromNTP, Action: access.Deny, Kinds: access.AllKinds, MinVersion: max(r.service.Version, 1), Query: r.service.Query}
		if r.service.Serve {
			rule.Action = access.Allow
		}
		if r.service.Auth {
			rule.Kinds = access.KindsOf(ntp.KindSymmetric, ntp.KindAutokey, ntp.KindNTS)
		}
		if r.service.Limited {
			rule.Rate = &access.RateLimit{Interval: limits.interval, Burst: limits.burst, Minimum: limits.minimum, Kiss: r.service.Kod}
		}
		prefixes := r.prefixes
		if i == 0 {
			prefixes = []netip.Prefix{netip.PrefixFrom(any4, 0), netip.PrefixFrom(any6, 0)}
			prefixes = slices.DeleteFunc(prefixes, func(p netip.Prefix) bool {
				return slices.ContainsFunc(rules[1:], func(r accessRule) bool { return !r.fromNTP && slices.Contains(r.prefixes, p) })
			})
		}
		for _, p := range prefixes {
			rule.Prefix = p
			out = append(out, rule)
		}
	}
	return access.NewTable(out)
}

// limitBurst is how many packets may come at once under limited: ntpd counts
// eight intervals.
const limitBurst = 8

var (
	all4 = netip.PrefixFrom(any4, 0)
	all6 = netip.PrefixFrom(any6, 0)
)

// Defaults of ntpd's discard.
const (
	defaultAverage = 3 // log2 s
	defaultMinimum = 2 // s
)

// defaultLimits are ntpd's without a discard line.
func defaultLimits() rateLimits {
	return rateLimits{burst: limitBurst, interval: time.Second << defaultAverage, minimum: (defaultMinimum - 1) * time.Second}
}
