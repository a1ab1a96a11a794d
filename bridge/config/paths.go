package config

import "reflect"

// Paths returns what the configuration names of files and directories; some may
// be empty, or a word that stands for a file.
func (c *Config) Paths() []string {
	var list []string
	walk(reflect.ValueOf(c).Elem(), "", func(f field, v reflect.Value) {
		if f.tag.Get("path") == "" {
			return
		}
		if v.Kind() == reflect.String {
			list = append(list, v.String())
		}
		if names, ok := v.Interface().([]string); ok {
			list = append(list, names...)
		}
	})
	return list
}
