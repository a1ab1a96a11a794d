package config

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"

	"go.yaml.in/yaml/v3"
)

// Set changes options by their names, as a file would say them. On an error
// nothing is changed.
func (s *Source) Set(options map[string]any) error {
	item := map[string]any{"server": s.Server, "minpoll": s.MinPoll, "maxpoll": s.MaxPoll}
	for name, value := range options {
		item[name] = value
	}
	text, err := yaml.Marshal(map[string]any{"sources": []any{item}})
	if err != nil {
		return err
	}
	read, err := Parse("command", "/", text)
	if err != nil {
		return err
	}
	return copyOptions(s, &read.Sources[0], options)
}

// copyOptions copies those that are named.
func copyOptions(to, from *Source, options map[string]any) error {
	left := len(options)
	next := *to
	eachOption(&next, from, func(name string, copy func()) {
		if _, ok := options[name]; ok {
			copy()
			left--
		}
	})
	if left > 0 {
		return fmt.Errorf("an option of %v is none of a source", options)
	}
	*to = next
	return nil
}

// With returns rules by which a network is allowed or denied, and with all set
// also every network within it that has a rule of its own. The zero prefix is
// everybody. What else holds for it, such as kinds and rate, stays.
func (a Access) With(network netip.Prefix, action string, all bool) Access {
	a.Rules = slices.Clone(a.Rules)
	if !network.IsValid() {
		a.Default.Action = action
		if all {
			for i := range a.Rules {
				a.Rules[i].Action = action
			}
		}
		return a
	}
	var rules []AccessRule
	found := false
	for _, r := range a.Rules {
		kept, changed := r, r
		kept.Prefixes, changed.Prefixes = nil, nil
		for _, p := range r.Prefixes {
			within := p == network || all && p.Bits() >= network.Bits() && network.Contains(p.Addr())
			found = found || p == network && !r.SourcePort123
			if within {
				changed.Prefixes = append(changed.Prefixes, p)
			} else {
				kept.Prefixes = append(kept.Prefixes, p)
			}
		}
		changed.Action = action
		for _, part := range []AccessRule{kept, changed} {
			if len(part.Prefixes) > 0 {
				rules = append(rules, part)
			}
		}
	}
	if !found {
		r := a.around(network)
		r.Prefixes = []netip.Prefix{network}
		r.Action = action
		rules = append(rules, r)
	}
	a.Rules = rules
	return a
}

// around returns the rule that holds for a network.
func (a *Access) around(network netip.Prefix) AccessRule {
	best, bits := a.Default, -1
	for _, r := range a.Rules {
		for _, p := range r.Prefixes {
			if !r.SourcePort123 && p.Bits() <= network.Bits() && p.Contains(network.Addr()) && p.Bits() > bits {
				best, bits = r, p.Bits()
			}
		}
	}
	best.Name = ""
	return best
}

// eachOption visits the options of a source with what copies one.
func eachOption(to, from *Source, visit func(name string, copy func())) {
	t, f := reflect.ValueOf(to).Elem(), reflect.ValueOf(from).Elem()
	for _, field := range fieldsOf(t.Type(), "") {
		visit(field.name, func() { t.Field(field.index).Set(f.Field(field.index)) })
	}
}
