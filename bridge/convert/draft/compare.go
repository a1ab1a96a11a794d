package draft

import (
	"fmt"
	"reflect"

	"ntsbridge/bridge/config"
)

// Difference returns the path of the first option in which two configurations
// differ; empty: in none.
func Difference(a, b *config.Config) string {
	return difference(reflect.ValueOf(a).Elem(), reflect.ValueOf(b).Elem(), "")
}

func difference(a, b reflect.Value, path string) string {
	switch {
	case isSection(a.Type()):
		for i := range a.NumField() {
			name := a.Type().Field(i).Tag.Get("mapstructure")
			if name == "" {
				continue
			}
			if found := difference(a.Field(i), b.Field(i), join(path, name)); found != "" {
				return found
			}
		}
		return ""
	case a.Kind() == reflect.Slice && isSection(a.Type().Elem()):
		for i := range min(a.Len(), b.Len()) {
			if found := difference(a.Index(i), b.Index(i), fmt.Sprintf("%s[%d]", path, i)); found != "" {
				return found
			}
		}
		if a.Len() != b.Len() {
			return path
		}
		return ""
	case a.Kind() == reflect.Slice && a.Len() == 0 && b.Len() == 0:
		return ""
	case !reflect.DeepEqual(a.Interface(), b.Interface()):
		return path
	}
	return ""
}
