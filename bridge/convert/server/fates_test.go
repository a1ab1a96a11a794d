package server

import (
	"reflect"
	"testing"

	"ntsbridge/bridge/config"
)

// options adds the paths of the options below a type, items of lists as [].
func options(t reflect.Type, path string, known map[string]bool) {
	for i := range t.NumField() {
		f := t.Field(i)
		name := f.Tag.Get("mapstructure")
		if name == "" {
			continue
		}
		if path != "" {
			name = path + "." + name
		}
		known[name] = true
		switch element := f.Type; {
		case element.Kind() == reflect.Struct:
			options(element, name, known)
		case element.Kind() == reflect.Slice && element.Elem().Kind() == reflect.Struct:
			options(element.Elem(), name+"[]", known)
		}
	}
}

// TestFates wants the options of the tables to be ones.
func TestFates(t *testing.T) {
	known := make(map[string]bool)
	options(reflect.TypeFor[config.Config](), "", known)
	for directive, words := range fates {
		for word, fate := range words {
			for _, path := range fate.Options {
				if !known[path] {
					t.Errorf("%s %s becomes %s, which is no option", directive, word, path)
				}
			}
			if len(fate.Options) == 0 && len(fate.Said) == 0 && fate.Holds == "" {
				t.Errorf("%s %s has no fate", directive, word)
			}
		}
	}
}
