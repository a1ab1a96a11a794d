package restrict

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"ntsbridge/bridge/access"
	"ntsbridge/bridge/convert/syntax"
	"ntsbridge/bridge/ntp"
)

// maxExpanded is how many prefixes a mask with holes may become.
const maxExpanded = 256

// Service is what an address may have of a time server: ntpd's flags as far as
// they matter to clients, and an access rule as far as ntpd can say it.
type Service struct {
	Serve   bool // time
	Auth    bool // only with authentication
	Version uint8
	Limited bool
	Kod     bool
	Query   bool // mode 6
	MSSNTP  bool // answers to members of an Active Directory domain are signed
}

// String says it in words.
func (s Service) String() string {
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
	if s.MSSNTP {
		words = append(words, "signed for domain members")
	}
	if s.Query {
		return strings.Join(append(words, "queries"), ", ")
	}
	return strings.Join(append(words, "no queries"), ", ")
}

// ServiceOf is what ntpd gives an address whose entry has the flags.
func ServiceOf(f Set) Service {
	s := Service{
		Serve: !f.Has(FlagIgnore | FlagNoServe),
		Query: !f.Has(FlagIgnore | FlagNoQuery),
	}
	if !s.Serve {
		return s
	}
	s.Auth, s.Limited = f.Has(FlagNoTrust), f.Has(FlagLimited)
	s.Kod = s.Limited && f.Has(FlagKod)
	s.MSSNTP = f.Has(FlagMSSNTP) && !s.Auth // such requests are not authenticated
	s.Version = 1
	if f.Has(flagVersion) {
		s.Version = 4
	}
	return s
}

// ServiceOfRule is the same of an access rule.
func ServiceOfRule(r *access.Rule) Service {
	// A rule that denies answers no queries either.
	s := Service{Serve: r.Action == access.Allow && r.Kinds != 0, Query: r.Action == access.Allow && r.Query}
	if !s.Serve {
		return s
	}
	s.Auth, s.Version = !r.Kinds.Has(ntp.KindNone), max(r.MinVersion, 1)
	s.Limited = r.Rate != nil
	s.Kod = s.Limited && r.Rate.Kiss
	s.MSSNTP = r.MSSNTP && !s.Auth
	return s
}

// Rule is a rule of the output: a restriction, or the default.
type Rule struct {
	Prefixes []netip.Prefix // none: the default
	FromNTP  bool
	Service  Service
	Lines    []*syntax.Statement
}

// Rules returns ntpd's list as rules for the longest prefix. The first
// one is the default. Entries that cannot be said so are in left.
//
// Prefixes are nested or apart, and no entry begins inside a prefix without
// being a prefix of the list itself; so one entry decides for all of a prefix
// but what longer ones take away.
func Rules(l *List) (rules []Rule, left []*Entry) {
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
	for _, e := range l.Entries {
		list, ok := expand(e)
		if !ok {
			left = append(left, e)
			continue
		}
		for _, p := range list {
			add(item{p, e.Flags.Has(FlagSourcePort)})
		}
	}
	l = l.without(left)
	for _, p := range slices.Clone(prefixes) {
		// With masks that have holes, an entry for port 123 may win for a part
		// of its network only.
		if l.Winner(p.Prefix, true).Flags.Has(FlagSourcePort) {
			add(item{p.Prefix, true})
		}
	}
	merge := make(map[*Entry]*Rule)
	var order []*Entry
	for _, p := range prefixes {
		e := l.Winner(p.Prefix, p.fromNTP)
		if p.fromNTP && !e.Flags.Has(FlagSourcePort) {
			continue
		}
		r := merge[e]
		if r == nil {
			r = &Rule{FromNTP: e.Flags.Has(FlagSourcePort), Service: ServiceOf(e.Flags), Lines: e.Lines}
			merge[e] = r
			order = append(order, e)
		}
		r.Prefixes = append(r.Prefixes, p.Prefix)
	}
	for _, e := range order {
		rules = append(rules, *merge[e])
	}
	return withDefault(rules), left
}

// withDefault puts the entries for all addresses of both families together in
// front, if they say the same; otherwise IPv4's is the default.
func withDefault(rules []Rule) []Rule {
	all4, all6 := netip.PrefixFrom(Any4, 0), netip.PrefixFrom(Any6, 0)
	find := func(p netip.Prefix) int {
		return slices.IndexFunc(rules, func(r Rule) bool { return !r.FromNTP && len(r.Prefixes) == 1 && r.Prefixes[0] == p })
	}
	i4, i6 := find(all4), find(all6)
	first := rules[i4]
	first.Prefixes = nil
	var rest []Rule
	for i, r := range rules {
		if i == i4 || i == i6 && r.Service == first.Service {
			continue
		}
		rest = append(rest, r)
	}
	if i6 >= 0 && rules[i6].Service == first.Service {
		for _, s := range rules[i6].Lines {
			if !slices.Contains(first.Lines, s) {
				first.Lines = append(slices.Clone(first.Lines), s)
			}
		}
	}
	slices.SortStableFunc(rest, func(a, b Rule) int { return firstLine(a) - firstLine(b) })
	return append([]Rule{first}, rest...)
}

func firstLine(r Rule) int {
	if len(r.Lines) == 0 {
		return 0
	}
	return r.Lines[0].File<<20 | r.Lines[0].Line
}

// expand returns the prefixes of an entry; ok is false if a mask with holes
// has too many.
func expand(e *Entry) (list []netip.Prefix, ok bool) {
	last, ones := highestBit(e.Mask)
	if last-ones > 8 {
		return nil, false
	}
	list = []netip.Prefix{netip.PrefixFrom(e.Addr, last)}
	mask := e.Mask.AsSlice()
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

// Limits are the limits that ntpd's discard stands for.
type Limits struct {
	Interval, Minimum time.Duration
	Burst             int
	Lines             []*syntax.Statement
}

// Table returns the rules as the server would have them, to be compared.
func Table(rules []Rule, limits Limits) (*access.Table, error) {
	var out []access.Rule
	for i, r := range rules {
		rule := access.Rule{SourcePort123: r.FromNTP, Action: access.Deny, Kinds: access.AllKinds, MinVersion: max(r.Service.Version, 1),
			Query: r.Service.Query, MSSNTP: r.Service.MSSNTP}
		if r.Service.Serve {
			rule.Action = access.Allow
		}
		if r.Service.Auth {
			rule.Kinds = access.KindsOf(ntp.KindSymmetric, ntp.KindAutokey, ntp.KindNTS)
		}
		if r.Service.Limited {
			rule.Rate = &access.RateLimit{Interval: limits.Interval, Burst: limits.Burst, Minimum: limits.Minimum, Kiss: r.Service.Kod}
		}
		prefixes := r.Prefixes
		if i == 0 {
			prefixes = []netip.Prefix{netip.PrefixFrom(Any4, 0), netip.PrefixFrom(Any6, 0)}
			prefixes = slices.DeleteFunc(prefixes, func(p netip.Prefix) bool {
				return slices.ContainsFunc(rules[1:], func(r Rule) bool { return !r.FromNTP && slices.Contains(r.Prefixes, p) })
			})
		}
		for _, p := range prefixes {
			rule.Prefix = p
			out = append(out, rule)
		}
	}
	return access.NewTable(out)
}

// LimitBurst is how many packets may come at once under limited: ntpd counts
// eight intervals.
const LimitBurst = 8

var (
	All4 = netip.PrefixFrom(Any4, 0)
	All6 = netip.PrefixFrom(Any6, 0)
)

// Defaults of ntpd's discard.
const (
	DefaultAverage = 3 // log2 s
	defaultMinimum = 2 // s
)

// DefaultLimits are ntpd's without a discard line.
func DefaultLimits() Limits {
	return Limits{Burst: LimitBurst, Interval: time.Second << DefaultAverage, Minimum: (defaultMinimum - 1) * time.Second}
}
