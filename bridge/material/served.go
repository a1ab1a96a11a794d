package material

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"ntsbridge/bridge/access"
	"ntsbridge/bridge/config"
)

// access writes the table of who is served, and finds rules that cannot do
// what they say.
func (k *loader) servedRules() {
	d := k.config.Access.Default
	d.Prefixes = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}
	if d.Name == "" {
		d.Name = "default"
	}
	overridden := make(map[netip.Prefix]bool)
	for i := range k.config.Access.Rules {
		r := &k.config.Access.Rules[i]
		for _, p := range r.Prefixes {
			overridden[p] = overridden[p] || !r.SourcePort123
		}
	}
	k.rule("access.default", &d, overridden)
	for i := range k.config.Access.Rules {
		k.rule(fmt.Sprintf("access.rules[%d]", i), &k.config.Access.Rules[i], nil)
	}
}

func (k *loader) rule(path string, a *config.AccessRule, skip map[netip.Prefix]bool) {
	kinds := k.kinds(a)
	for _, p := range a.Prefixes {
		if !skip[p] {
			k.Served = append(k.Served, k.served(a, p, kinds))
		}
	}
	if a.Kiss != "none" {
		k.find(Note, path+".kiss",
			"ntpd-rs and the like stop asking for good at a kiss code, until somebody restarts them, and OpenNTPD waits "+
				"for an hour; write none while a client there may be wanted back")
	}
	if a.Action == config.ActionDeny {
		return
	}
	k.usable(path, a, kinds)
}

func (k *loader) served(a *config.AccessRule, p netip.Prefix, kinds []string) Served {
	s := Served{
		Name: a.Name, Network: p.String(), FromNTP: a.SourcePort123, Kinds: kinds,
		MinVersion: a.MinVersion, Refused: "nothing", Rate: k.rate(a.Rate), Query: a.Query,
	}
	if s.Kinds == nil {
		s.Kinds, s.Rate = []string{}, "-"
	}
	switch a.Kiss {
	case "deny":
		s.Refused = "DENY"
	case "restrict":
		s.Refused = "RSTR"
	}
	if strings.Contains(strings.Join(kinds, " "), "symmetric") {
		s.Keys = "all trusted"
		if len(a.Keys) > 0 {
			s.Keys = keyRanges(a.Keys)
		}
	}
	return s
}

func keyRanges(keys []access.KeyRange) string {
	list := make([]string, len(keys))
	for i, r := range keys {
		list[i] = r.String()
	}
	return strings.Join(list, " ")
}

// rate says a limit in words.
func (k *loader) rate(name string) string {
	for _, l := range k.config.RateLimit.Limits {
		if l.Name == name {
			text := fmt.Sprintf("1 in %s, burst %d", config.FormatDuration(l.Interval), l.Burst)
			if l.Minimum > 0 {
				text += ", " + config.FormatDuration(l.Minimum) + " apart"
			}
			if l.Kiss {
				text += ", RATE"
			}
			return text
		}
	}
	return config.RateNone
}

// usable finds kinds and keys that a rule names in vain.
func (k *loader) usable(path string, a *config.AccessRule, kinds []string) {
	if len(kinds) == 0 {
		k.find(Warning, path+".kinds", "nobody is answered, as none of these kinds is enabled; enable one, or write action: deny")
		return
	}
	if k.config.Has(path + ".kinds") {
		for i, kind := range a.Kinds {
			if !strings.Contains(strings.Join(kinds, " "), kind.String()) {
				k.find(Note, fmt.Sprintf("%s.kinds[%d]", path, i), "%v is not enabled and has no effect here", kind)
			}
		}
	}
	for i, r := range a.Keys {
		if r != access.AllKeys && !k.anyKey(r) {
			k.find(Warning, fmt.Sprintf("%s.keys[%d]", path, i), "no usable key has the identifier %v; "+
				"it must be in keys.trusted and in a file of keys.files", r)
		}
	}
}

// kinds returns those of a rule's kinds that the configuration can answer.
func (k *loader) kinds(a *config.AccessRule) []string {
	c := k.config
	var kinds []string
	if a.Action == config.ActionDeny {
		return nil
	}
	enabled := map[string]bool{
		"none": true, "symmetric": k.Keys.Len() > 0,
		"autokey": k.Autokey != nil, "nts": c.NTS.Enabled,
	}
	for _, kind := range a.Kinds {
		if enabled[kind.String()] {
			kinds = append(kinds, kind.String())
		}
	}
	return slices.Sorted(slices.Values(kinds))
}
