package config

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

func itoa(i int) string { return strconv.Itoa(i) }

// scalar reads one word and checks it against the tags of its option.
func (r *reader) scalar(n *yaml.Node, f field) (any, bool) {
	if n.Kind != yaml.ScalarNode {
		hint := "write one value"
		if n.Kind == yaml.SequenceNode {
			hint += `; an address in brackets needs quotes: "[::]:123"`
		}
		r.fail(n.Line, f.path, "%s stands where one value should be; %s", describe(n), hint)
		return nil, false
	}
	if isNull(n) {
		r.fail(n.Line, f.path, "has no value; write one, or delete the line for the default")
		return nil, false
	}
	v, err := parseScalar(n, f)
	if err == nil {
		err = f.check(v)
	}
	if s, ok := v.(string); ok && s != "" && f.tag.Get("path") != "" && s != f.tag.Get("word") && !filepath.IsAbs(s) &&
		!strings.HasPrefix(s, Credentials) {
		v = filepath.Join(r.dir, s)
	}
	if err != nil {
		r.fail(n.Line, f.path, "%v", err)
		return nil, false
	}
	return v, true
}

func parseScalar(n *yaml.Node, f field) (any, error) {
	if parse, ok := parsers[f.typ]; ok {
		return parse(n.Value)
	}
	switch f.typ.Kind() {
	case reflect.String:
		return parseString(n)
	case reflect.Bool:
		var b bool
		if n.Tag != "!!bool" || n.Decode(&b) != nil {
			return nil, fmt.Errorf("%.60q is not true or false", n.Value)
		}
		return b, nil
	case reflect.Int:
		var i int
		if n.Tag != "!!int" || n.Decode(&i) != nil {
			return nil, fmt.Errorf("%.60q is not a whole number%s", n.Value, f.inRange())
		}
		return i, nil
	case reflect.Float64:
		var x float64
		if n.Tag != "!!int" && n.Tag != "!!float" || n.Decode(&x) != nil || math.IsNaN(x) || math.IsInf(x, 0) {
			return nil, fmt.Errorf("%.60q is not a number%s", n.Value, f.inRange())
		}
		return x, nil
	}
	panic("config: no parser for " + f.typ.String())
}

func parseString(n *yaml.Node) (any, error) {
	if n.Tag != "!!str" {
		return nil, fmt.Errorf(`%.60q would be read as a number, date or the like; write it in quotes`, n.Value)
	}
	if strings.ContainsFunc(n.Value, func(c rune) bool { return c < ' ' || c == 0x7f }) {
		return nil, errors.New("has a control character; write it in one line")
	}
	return n.Value, nil
}

// check compares a value with the range or the words of its option.
func (f field) check(v any) error {
	if s, ok := v.(string); ok && f.tag.Get("oneof") != "" && !slices.Contains(words(f.tag), s) {
		return fmt.Errorf("%.60q is not one of %s", s, strings.Join(words(f.tag), ", "))
	}
	low, high, ok := f.limits()
	if x := number(v); ok && (x < low || x > high) {
		return fmt.Errorf("%s is out of range%s", format(reflect.ValueOf(v)), f.inRange())
	}
	return nil
}

// inRange is the remedy for a number.
func (f field) inRange() string {
	low, high, ok := strings.Cut(f.tag.Get("range"), "..")
	if !ok {
		return ""
	}
	return fmt.Sprintf("; write %s to %s", low, high)
}

// limits returns the range of an option as numbers.
func (f field) limits() (low, high float64, ok bool) {
	l, h, ok := strings.Cut(f.tag.Get("range"), "..")
	if !ok {
		return 0, 0, false
	}
	return f.limit(l), f.limit(h), true
}

func (f field) limit(s string) float64 {
	if f.typ == reflect.TypeFor[time.Duration]() {
		d, err := parseDuration(s)
		if err != nil {
			panic("config: range of " + f.path + ": " + err.Error())
		}
		return float64(d)
	}
	x, err := strconv.ParseFloat(s, 64)
	if err != nil {
		panic("config: range of " + f.path + ": " + err.Error())
	}
	return x
}

func number(v any) float64 {
	switch v := v.(type) {
	case int:
		return float64(v)
	case float64:
		return v
	case time.Duration:
		return float64(v)
	}
	return 0
}

// format writes a value as it may stand in a file.
func format(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case time.Duration:
		return FormatDuration(x)
	case time.Time:
		if x.IsZero() {
			return ""
		}
		return x.Format(time.RFC3339)
	case string:
		return x
	case fmt.Stringer:
		return x.String()
	}
	if v.Kind() == reflect.Slice {
		items := make([]string, v.Len())
		for i := range items {
			items[i] = format(v.Index(i))
		}
		return "[" + strings.Join(items, ", ") + "]"
	}
	return fmt.Sprint(v.Interface())
}
