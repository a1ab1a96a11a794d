package config

import (
	"net/netip"
	"reflect"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"ntsbridge/bridge/access"
	"ntsbridge/bridge/ntp"
)

// field is one option: a field of a configuration struct, or an item of a list.
type field struct {
	name   string // in the file
	path   string // from the top of the file
	typ    reflect.Type
	tag    reflect.StructTag
	index  int
	inList bool
}

// fieldsOf returns the options of a configuration struct, in their order.
func fieldsOf(t reflect.Type, path string) []field {
	var fields []field
	for i := range t.NumField() {
		f := t.Field(i)
		if name := f.Tag.Get("mapstructure"); name != "" {
			fields = append(fields, field{name: name, path: join(path, name), typ: f.Type, tag: f.Tag, index: i})
		}
	}
	return fields
}

func find(fields []field, key *yaml.Node) (field, bool) {
	for _, f := range fields {
		if key.Kind == yaml.ScalarNode && key.Value == f.name {
			return f, true
		}
	}
	return field{}, false
}

// parsers are the types that have a syntax of their own.
var parsers = map[reflect.Type]func(string) (any, error){
	reflect.TypeFor[time.Duration]():   parser(parseDuration),
	reflect.TypeFor[time.Time]():       parser(parseDate),
	reflect.TypeFor[netip.Prefix]():    parser(access.ParsePrefix),
	reflect.TypeFor[netip.AddrPort]():  parser(parseListen),
	reflect.TypeFor[Listen]():          parser(func(s string) (l Listen, err error) { return l, l.UnmarshalText([]byte(s)) }),
	reflect.TypeFor[netip.Addr]():      parser(parseAddress),
	reflect.TypeFor[access.KeyRange](): parser(access.ParseKeyRange),
	reflect.TypeFor[ntp.Kind]():        parser(parseKind),
	reflect.TypeFor[RefID]():           parser(func(s string) (r RefID, err error) { return r, r.UnmarshalText([]byte(s)) }),
	reflect.TypeFor[AEAD]():            parser(func(s string) (a AEAD, err error) { return a, a.UnmarshalText([]byte(s)) }),
}

func parser[T any](parse func(string) (T, error)) func(string) (any, error) {
	return func(s string) (any, error) { return parse(s) }
}

// isScalar reports whether a value of this type is one word in the file.
func isScalar(t reflect.Type) bool {
	if _, ok := parsers[t]; ok {
		return true
	}
	return t.Kind() != reflect.Struct && t.Kind() != reflect.Slice
}

// elementDefaults returns what a section has where it says nothing, for those
// that may occur several times; nil for the others, whose defaults are in
// Default.
func elementDefaults(t reflect.Type) map[string]any {
	var defaults any
	switch t {
	case reflect.TypeFor[AccessRule]():
		defaults = defaultRule()
	case reflect.TypeFor[Limit]():
		defaults = defaultLimit("")
	case reflect.TypeFor[Source]():
		defaults = defaultSource()
	case reflect.TypeFor[ReferenceClock]():
		defaults = defaultReferenceClock()
	case reflect.TypeFor[Broadcast]():
		defaults = defaultBroadcast()
	case reflect.TypeFor[KeyFile]():
		defaults = KeyFile{Format: formatAuto}
	default:
		return nil
	}
	values := make(map[string]any)
	for _, f := range fieldsOf(t, "") {
		if v := reflect.ValueOf(defaults).Field(f.index); !v.IsZero() {
			values[f.name] = v.Interface()
		}
	}
	return values
}

// walk calls visit for every option below v, with its value; lists are visited
// and then their items.
func walk(v reflect.Value, path string, visit func(field, reflect.Value)) {
	for _, f := range fieldsOf(v.Type(), path) {
		walkField(f, v.Field(f.index), visit)
	}
}

func walkField(f field, v reflect.Value, visit func(field, reflect.Value)) {
	switch {
	case isScalar(f.typ):
		visit(f, v)
	case f.typ.Kind() == reflect.Struct:
		walk(v, f.path, visit)
	default:
		visit(f, v)
		if isScalar(f.typ.Elem()) {
			return
		}
		for i := range v.Len() {
			walk(v.Index(i), f.path+"["+itoa(i)+"]", visit)
		}
	}
}

// words splits the value of a oneof tag.
func words(tag reflect.StructTag) []string { return strings.Fields(tag.Get("oneof")) }
