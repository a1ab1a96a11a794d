package config

import (
	"reflect"

	"github.com/go-viper/mapstructure/v2"
)

// Parse reads the text of one configuration file. name is for messages;
// relative paths are taken from dir. An error about the content is Problems,
// with everything that is wrong in it.
func Parse(name, dir string, data []byte) (*Config, error) {
	t := Read(name, dir, data)
	return Assemble(t.Values, t)
}

// Assemble makes a configuration of values, which go before the defaults. The
// trees are those that the values come from, in the order in which they were
// merged: of two with the same option the later one counts.
func Assemble(values map[string]any, trees ...*Tree) (*Config, error) {
	j := newJudge(trees)
	c := Default()
	if err := unmarshal(values, c); err != nil {
		// The reader has let pass what cannot be taken: a mistake in here.
		j.note("", "%v", err)
		return nil, j.problems
	}
	c.emptyLists()
	c.origins = j.origins
	c.validate(j)
	if len(j.problems) > 0 {
		return nil, j.problems.sorted()
	}
	return c, nil
}

// Validate checks a configuration that no text was read for: the range or the
// words of each option, and what goes beyond one option.
func (c *Config) Validate() error {
	j := newJudge(nil)
	walk(reflect.ValueOf(c).Elem(), "", func(f field, v reflect.Value) {
		if isScalar(f.typ) && !(f.typ.Kind() == reflect.String && v.Len() == 0) {
			if err := f.check(v.Interface()); err != nil {
				j.bad[f.path] = true
				j.note(f.path, "%v", err)
			}
		}
	})
	c.validate(j)
	if len(j.problems) > 0 {
		return j.problems
	}
	return nil
}

// unmarshal sets what the tree has over the defaults.
func unmarshal(values map[string]any, c *Config) error {
	d, err := mapstructure.NewDecoder(&mapstructure.DecoderConfig{
		Result: c, ErrorUnused: true,
		ZeroFields: true, // lists replace the default's, they do not overlay it
	})
	if err != nil {
		return err
	}
	return d.Decode(values)
}

// emptyLists makes them nil.
func (c *Config) emptyLists() {
	walk(reflect.ValueOf(c).Elem(), "", func(f field, v reflect.Value) {
		if f.typ.Kind() == reflect.Slice && v.Len() == 0 {
			v.SetZero()
		}
	})
}

// Origin returns where the option with this path stands, such as
// "nts.certificates[0].cert"; or what holds it, if it is in no file.
func (c *Config) Origin(path string) Origin { return c.origins.of(path) }

// Line returns the line of Origin; 0 if there is none.
func (c *Config) Line(path string) int { return c.Origin(path).Line }

// Has reports whether a file, a variable or a flag sets the option.
func (c *Config) Has(path string) bool {
	_, ok := c.origins[path]
	return ok
}
