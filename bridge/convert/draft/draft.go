// Package draft makes a configuration of ntsbridge: it sets options of a
// config.Config, remembers for each from which lines of the input it comes, and
// writes the options that were set, with those lines above them.
//
// Options are named by pointers to them, so that there is no second list of
// their names: Set(d, &d.Config.Clock.Panic, v, line).
package draft

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/convert/syntax"
)

// Draft is a configuration in the making.
type Draft struct {
	Config *config.Config

	origins map[any]*Origin // by pointer to the option, section, list or item
	items   map[any]items   // by pointer to the list
}

// items are pointers to the items of a list, which stay where they are while
// the list grows.
type items struct {
	list     reflect.Value // the list itself
	pointers []reflect.Value
}

// Origin is where an option comes from.
type Origin struct {
	Lines   []*syntax.Statement
	Remarks []string
	quoted  []*syntax.Statement // lines for the comments only
}

// New returns a draft with the defaults of every option, none of them set.
func New() *Draft {
	return &Draft{Config: config.Default(), origins: make(map[any]*Origin), items: make(map[any]items)}
}

// From notes that an option, section, list or item comes from lines; nil ones
// are left out.
func (d *Draft) From(at any, lines ...*syntax.Statement) *Origin {
	o := d.origins[at]
	if o == nil {
		o = &Origin{}
		d.origins[at] = o
	}
	for _, s := range lines {
		if s != nil && !slices.Contains(o.Lines, s) {
			o.Lines = append(o.Lines, s)
		}
	}
	return o
}

// Remark adds a comment to what is written.
func (o *Origin) Remark(format string, args ...any) *Origin {
	if format != "" {
		o.Remarks = append(o.Remarks, fmt.Sprintf(format, args...))
	}
	return o
}

// Quote adds lines to the comments of which nothing comes here.
func (o *Origin) Quote(lines ...*syntax.Statement) *Origin {
	o.quoted = append(o.quoted, lines...)
	return o
}

// Set gives an option a value.
func Set[T any](d *Draft, option *T, value T, lines ...*syntax.Statement) *Origin {
	*option = value
	return d.From(option, lines...)
}

// Add adds an item to a list, and returns the place to set its options.
func Add[T any](d *Draft, list *[]T, item T, lines ...*syntax.Statement) *T {
	all := d.items[list]
	if len(all.pointers) == 0 {
		*list = nil // what a file has replaces the default's
	}
	all.list = reflect.ValueOf(list).Elem()
	p := &item
	all.pointers = append(all.pointers, reflect.ValueOf(p))
	d.items[list] = all
	d.From(p, lines...)
	return p
}

// Drop takes an option or section back to its default, and returns the lines
// that it came from.
func Drop[T any](d *Draft, option *T, standard T) (lines []*syntax.Statement) {
	d.walk(reflect.ValueOf(option), "", func(_ string, at reflect.Value) {
		if o := d.origins[at.Interface()]; o != nil {
			lines = append(lines, o.Lines...)
			delete(d.origins, at.Interface())
		}
	})
	*option = standard
	return lines
}

// IsSet reports whether an option was set.
func (d *Draft) IsSet(option any) bool { return d.origins[option] != nil }

// Finish puts the items into their lists. Nothing is set any more after it.
func (d *Draft) Finish() {
	for _, all := range d.items {
		list := reflect.MakeSlice(all.list.Type(), 0, len(all.pointers))
		for _, p := range all.pointers {
			list = reflect.Append(list, p.Elem())
		}
		all.list.Set(list)
	}
}

// Places calls visit for everything that lines were noted of, with its path.
func (d *Draft) Places(visit func(path string, lines []*syntax.Statement)) {
	d.walk(reflect.ValueOf(d.Config), "", func(path string, at reflect.Value) {
		if o := d.origins[at.Interface()]; o != nil && len(o.Lines) > 0 {
			visit(path, o.Lines)
		}
	})
}

// ByLine returns the paths of the options that come from each line: the line is
// theirs, or of a section or item around them. Items have no numbers.
func (d *Draft) ByLine() map[*syntax.Statement]map[string]bool {
	type around struct {
		path  string
		lines []*syntax.Statement
	}
	var stack []around
	found := make(map[*syntax.Statement]map[string]bool)
	d.walk(reflect.ValueOf(d.Config), "", func(path string, at reflect.Value) {
		for len(stack) > 0 && !inside(path, stack[len(stack)-1].path) {
			stack = stack[:len(stack)-1]
		}
		o := d.origins[at.Interface()]
		if o == nil {
			return
		}
		stack = append(stack, around{path, o.Lines})
		plain := itemNumber.ReplaceAllString(path, "[]")
		for _, a := range stack {
			for _, s := range a.lines {
				if found[s] == nil {
					found[s] = make(map[string]bool)
				}
				found[s][plain] = true
			}
		}
	})
	return found
}

var itemNumber = regexp.MustCompile(`\[\d+\]`)

// inside reports whether a path is that of an option of a section, list or item.
func inside(path, of string) bool {
	rest, ok := strings.CutPrefix(path, of)
	return ok && rest != "" && (of == "" || rest[0] == '.' || rest[0] == '[')
}

// walk calls visit for an option and all below it, sections first, with a
// pointer to each.
func (d *Draft) walk(at reflect.Value, path string, visit func(path string, at reflect.Value)) {
	visit(path, at)
	switch v := at.Elem(); {
	case isSection(v.Type()):
		for i := range v.NumField() {
			if name := v.Type().Field(i).Tag.Get("mapstructure"); name != "" {
				d.walk(v.Field(i).Addr(), join(path, name), visit)
			}
		}
	case v.Kind() == reflect.Slice:
		for i, p := range d.items[at.Interface()].pointers {
			d.walk(p, fmt.Sprintf("%s[%d]", path, i), visit)
		}
	}
}

// isSection reports whether a type has options of its own.
func isSection(t reflect.Type) bool {
	if t.Kind() != reflect.Struct {
		return false
	}
	for i := range t.NumField() {
		if t.Field(i).Tag.Get("mapstructure") != "" {
			return true
		}
	}
	return false
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
