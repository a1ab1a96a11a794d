package config

import (
	"path"
	"reflect"
	"strings"
)

// Credentials begins the name of a file that a service manager hands over
// (systemd.exec(5), LoadCredential).
const Credentials = "$CREDENTIALS_DIRECTORY/"

// findCredentials names the files in the directory of credentials in full. Without
// a directory they keep their names, which no file has.
func (c *Config) findCredentials(dir string) {
	if dir == "" {
		return
	}
	walk(reflect.ValueOf(c).Elem(), "", func(f field, v reflect.Value) {
		if f.tag.Get("path") == "" {
			return
		}
		if v.Kind() == reflect.String {
			v.SetString(inCredentials(dir, v.String()))
		}
		if names, ok := v.Interface().([]string); ok {
			for i, name := range names {
				names[i] = inCredentials(dir, name)
			}
		}
	})
}

func inCredentials(dir, name string) string {
	if file, ok := strings.CutPrefix(name, Credentials); ok {
		return path.Join(dir, file)
	}
	return name
}

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
