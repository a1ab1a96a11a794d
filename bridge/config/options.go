package config

import (
	"reflect"
	"strings"
)

// Options returns the paths of the options that a variable or a flag can set:
// all but those inside lists.
func Options() []string {
	var paths []string
	walk(reflect.ValueOf(Config{}), "", func(f field, _ reflect.Value) { paths = append(paths, f.path) })
	return paths
}

// optionAt finds the option at a path of Options.
func optionAt(path string) (found field, ok bool) {
	walk(reflect.ValueOf(Config{}), "", func(f field, _ reflect.Value) {
		if f.path == path {
			found, ok = f, true
		}
	})
	return found, ok
}

// Range is what an option may be.
type Range struct {
	Path      string // with [] for any item of a list
	Low, High string // as a file says it
}

// Ranges returns the ranges of all options that have one.
func Ranges() []Range {
	c := Default()
	c.Access.Rules, c.RateLimit.Limits = []AccessRule{defaultRule()}, []Limit{defaultLimit("")}
	c.Sources, c.ReferenceClocks = []Source{defaultSource()}, []ReferenceClock{defaultReferenceClock()}
	c.Broadcast = []Broadcast{defaultBroadcast()}
	var all []Range
	walk(reflect.ValueOf(c).Elem(), "", func(f field, _ reflect.Value) {
		if low, high, ok := strings.Cut(f.tag.Get("range"), ".."); ok {
			all = append(all, Range{strings.ReplaceAll(f.path, "[0]", "[]"), low, high})
		}
	})
	return all
}
