package config

import (
	"reflect"
	"strings"
	"sync"
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
	found, ok = optionsByPath()[path]
	return found, ok
}

var optionsByPath = sync.OnceValue(func() map[string]field {
	options := make(map[string]field)
	walk(reflect.ValueOf(Config{}), "", func(f field, _ reflect.Value) { options[f.path] = f })
	return options
})

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
