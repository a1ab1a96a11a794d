package draft

import (
	"bytes"
	"fmt"
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"ntsbridge/bridge/access"
	"ntsbridge/bridge/convert/syntax"
)

// writer writes what was set. quote returns the original lines of a statement.
type writer struct {
	*Draft
	quote func(*syntax.Statement) []string
}

// YAML returns the options that were set, each below the lines that it comes
// from, with a blank line between the sections. last are remarks below all.
func (d *Draft) YAML(quote func(*syntax.Statement) []string, last ...string) ([]byte, error) {
	w := &writer{d, quote}
	var out bytes.Buffer
	top := reflect.ValueOf(d.Config).Elem()
	for i := range top.NumField() {
		name := top.Type().Field(i).Tag.Get("mapstructure")
		if name == "" {
			continue
		}
		at := top.Field(i).Addr()
		n, ok := w.node(at)
		if !ok {
			if o := d.origins[at.Interface()]; o != nil {
				last = append(last, o.Remarks...)
			}
			continue
		}
		out.WriteByte('\n')
		for _, line := range w.comments(at) {
			out.WriteString(line + "\n")
		}
		encoder := yaml.NewEncoder(&out)
		encoder.SetIndent(2)
		if err := encoder.Encode(mapping(scalar(name), n)); err != nil {
			return nil, err
		}
	}
	for i, text := range last {
		if i == 0 {
			out.WriteByte('\n')
		}
		out.WriteString("# " + text + "\n")
	}
	return out.Bytes(), nil
}

// comments returns the comments of an option or section.
func (w *writer) comments(at reflect.Value) (list []string) {
	o := w.origins[at.Interface()]
	if o == nil {
		return nil
	}
	seen := make(map[string]bool)
	for _, s := range slices.Concat(o.Lines, o.quoted) {
		for _, text := range w.quote(s) {
			if !seen[text] {
				seen[text] = true
				list = append(list, "# "+text)
			}
		}
	}
	for _, text := range o.Remarks {
		list = append(list, "# "+text)
	}
	return list
}

// node returns what is written of an option; ok is false if neither it nor
// anything below it was set.
func (w *writer) node(at reflect.Value) (n *yaml.Node, ok bool) {
	v := at.Elem()
	if isSection(v.Type()) {
		return w.section(v)
	}
	if v.Kind() == reflect.Slice && isSection(v.Type().Elem()) {
		return w.list(at)
	}
	if w.origins[at.Interface()] == nil {
		return nil, false
	}
	if v.Kind() != reflect.Slice {
		return value(v), true
	}
	n = &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
	for i := range v.Len() {
		n.Content = append(n.Content, value(v.Index(i)))
	}
	return n, true
}

func (w *writer) section(v reflect.Value) (*yaml.Node, bool) {
	n := mapping()
	for i := range v.NumField() {
		name := v.Type().Field(i).Tag.Get("mapstructure")
		if name == "" {
			continue
		}
		at := v.Field(i).Addr()
		if child, ok := w.node(at); ok {
			key := scalar(name)
			key.HeadComment = strings.Join(w.comments(at), "\n")
			n.Content = append(n.Content, key, child)
		}
	}
	return n, len(n.Content) > 0
}

func (w *writer) list(at reflect.Value) (*yaml.Node, bool) {
	n := &yaml.Node{Kind: yaml.SequenceNode}
	for _, p := range w.items[at.Interface()].pointers {
		if item, ok := w.section(p.Elem()); ok {
			item.HeadComment = strings.Join(w.comments(p), "\n")
			n.Content = append(n.Content, item)
		}
	}
	return n, len(n.Content) > 0
}

func mapping(content ...*yaml.Node) *yaml.Node {
	return &yaml.Node{Kind: yaml.MappingNode, Content: content}
}

func scalar(text string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Value: text} }

// value writes one value so that the configuration's reader takes it for the
// same.
func value(v reflect.Value) *yaml.Node {
	switch x := v.Interface().(type) {
	case time.Duration:
		return scalar(strconv.FormatFloat(x.Seconds(), 'f', -1, 64) + "s")
	case time.Time:
		if x.Equal(x.Truncate(24 * time.Hour)) {
			return text(x.UTC().Format(time.DateOnly))
		}
		return text(x.Format(time.RFC3339))
	case netip.Prefix:
		if x.IsSingleIP() {
			return text(x.Addr().String())
		}
		return text(x.String())
	case access.KeyRange:
		return scalar(x.String())
	case fmt.Stringer:
		return text(x.String())
	}
	switch v.Kind() {
	case reflect.String:
		return text(v.String())
	case reflect.Float64:
		return scalar(strconv.FormatFloat(v.Float(), 'f', -1, 64))
	}
	return scalar(fmt.Sprint(v.Interface()))
}

// plain are strings that need no quotes in YAML.
var plain = regexp.MustCompile(`^[A-Za-z_/][A-Za-z0-9_./@-]*$`)

// text writes a string, in quotes where YAML would read it as something else.
func text(s string) *yaml.Node {
	n := scalar(s)
	switch strings.ToLower(s) {
	case "true", "false", "yes", "no", "on", "off", "null", "y", "n", "none":
		n.Style = yaml.DoubleQuotedStyle
	default:
		if !plain.MatchString(s) {
			n.Style = yaml.DoubleQuotedStyle
		}
	}
	return n
}
