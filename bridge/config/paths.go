package config

import "reflect"

// Paths returns every file and directory that the configuration names.
func (c *Config) Paths() []string {
	var list []string
	walk(reflect.ValueOf(c).Elem(), "", func(f field, v reflect.Value) {
		if f.tag.Get("path") != "" && v.String() != "" {
			list = append(list, v.String())
		}
	})
	return list
}
