package config

import (
	"cmp"
	"net/netip"
	"slices"

	"ntsbridge/bridge/access"
	"ntsbridge/symkey"
)

var kisses = map[string]access.Kiss{"deny": access.KissDeny, "restrict": access.KissRestrict}

// AccessRules returns the rules of a valid configuration as access.NewTable
// takes them: the default for both families, unless a rule names the whole
// family itself, and one rule per prefix.
func (c *Config) AccessRules() []access.Rule {
	limits := c.Limits()
	all4, all6 := netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")
	var rules []access.Rule
	overridden := make(map[netip.Prefix]bool)
	for i := range c.Access.Rules {
		r := &c.Access.Rules[i]
		for _, p := range r.Prefixes {
			rules = append(rules, r.rule(p, limits))
			if !r.SourcePort123 {
				overridden[p] = true
			}
		}
	}
	for _, p := range []netip.Prefix{all6, all4} {
		if !overridden[p] {
			d := c.Access.Default.rule(p, limits)
			if d.Name == "" {
				d.Name = "default"
			}
			rules = slices.Insert(rules, 0, d)
		}
	}
	return rules
}

// AccessTable returns the table of AccessRules.
func (c *Config) AccessTable() (*access.Table, error) { return access.NewTable(c.AccessRules()) }

// Limits returns the rate limits by name.
func (c *Config) Limits() map[string]*access.RateLimit {
	limits := make(map[string]*access.RateLimit)
	for _, l := range c.RateLimit.Limits {
		limits[l.Name] = &access.RateLimit{
			Interval: l.Interval, Burst: l.Burst, Minimum: l.Minimum, Leak: l.Leak, Kiss: l.Kiss,
		}
	}
	return limits
}

// KELimit returns the limit on new NTS-KE connections of one client, for a
// Limiter of its own; nil if they are not limited.
func (c *Config) KELimit() *access.RateLimit {
	l := &c.NTS.Limits
	if l.Interval == 0 {
		return nil
	}
	return &access.RateLimit{Interval: l.Interval, Burst: l.Burst}
}

func (a *AccessRule) rule(p netip.Prefix, limits map[string]*access.RateLimit) access.Rule {
	action := access.Allow
	if a.Action == ActionDeny {
		action = access.Deny
	}
	keys := slices.Clone(a.Keys)
	slices.SortFunc(keys, func(x, y access.KeyRange) int { return cmp.Compare(x.Low, y.Low) })
	return access.Rule{
		Name: a.Name, Prefix: p, SourcePort123: a.SourcePort123,
		Action: action, Kiss: kisses[a.Kiss],
		Kinds: access.KindsOf(a.Kinds...), Keys: keys, MinVersion: uint8(a.MinVersion),
		Rate: limits[a.Rate], Query: a.Query, MSSNTP: a.MSSNTP,
	}
}

// SignsMSSNTP tells whether an access rule has answers signed by Samba.
func (c *Config) SignsMSSNTP() bool {
	return c.Access.Default.signs() || slices.ContainsFunc(c.Access.Rules, func(a AccessRule) bool { return a.signs() })
}

func (a *AccessRule) signs() bool { return a.MSSNTP && a.Action != ActionDeny }

// TrustedKeys returns keys.trusted as symkey has it.
func (c *Config) TrustedKeys() (symkey.TrustedSet, error) {
	var items []string
	for _, r := range c.Keys.Trusted {
		if r == access.AllKeys {
			return symkey.TrustAll, nil
		}
		items = append(items, r.String())
	}
	return symkey.ParseTrusted(items)
}
