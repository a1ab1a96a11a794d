package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"

	"github.com/go-viper/mapstructure/v2"
	"github.com/spf13/viper"
	"go.yaml.in/yaml/v3"
)

// maxFileLen keeps a wrong file name (a disk, a log) from being read whole.
const maxFileLen = 4 << 20

// Load reads a configuration file. An error about its content is Problems,
// with everything that is wrong in it.
func Load(path string) (*Config, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFileLen+1))
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	if len(data) > maxFileLen {
		return nil, fmt.Errorf("configuration: %s is larger than %d octets; is it the right file?", path, maxFileLen)
	}
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	return Parse(path, dir, data)
}

// Parse reads the text of a configuration file. name is for messages; relative
// paths are taken from dir.
func Parse(name, dir string, data []byte) (*Config, error) {
	r := newReader(name)
	tree := r.read(data)
	c := Default()
	if err := unmarshal(tree, c); err != nil {
		// The reader has let pass what viper does not take: a mistake in here.
		r.fail(0, "", "%v", err)
		return nil, r.problems
	}
	c.normalise(dir)
	c.lines = r.lines
	c.validate(r)
	if len(r.problems) > 0 {
		return nil, r.problems.sorted()
	}
	return c, nil
}

// read returns the values of the first and only document.
func (r *reader) read(data []byte) map[string]any {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	if err := decoder.Decode(&doc); err != nil {
		if !errors.Is(err, io.EOF) {
			r.problems = append(r.problems, syntaxProblem(r.file, err))
		}
		return nil
	}
	var second yaml.Node
	if err := decoder.Decode(&second); err == nil {
		r.note(second.Line, "", "a second document begins here; delete the line ---")
	} else if !errors.Is(err, io.EOF) {
		r.problems = append(r.problems, syntaxProblem(r.file, err))
	}
	top := field{typ: reflect.TypeFor[Config]()}
	tree, _ := r.value(doc.Content[0], top)
	values, _ := tree.(map[string]any)
	return values
}

// unmarshal sets what the tree has over the defaults.
func unmarshal(tree map[string]any, c *Config) error {
	v := viper.New()
	if err := v.MergeConfigMap(tree); err != nil {
		return err
	}
	return v.UnmarshalExact(c, func(d *mapstructure.DecoderConfig) {
		d.WeaklyTypedInput = false
		d.ZeroFields = true // lists replace the default's, they do not overlay it
		d.DecodeHook = nil
	})
}

// normalise makes paths absolute and empty lists nil.
func (c *Config) normalise(dir string) {
	walk(reflect.ValueOf(c).Elem(), "", func(f field, v reflect.Value) {
		if f.typ.Kind() == reflect.Slice && v.Len() == 0 {
			v.SetZero()
		}
		if f.tag.Get("path") != "" && v.String() != "" && !filepath.IsAbs(v.String()) {
			v.SetString(filepath.Join(dir, v.String()))
		}
	})
}

// Line returns the line in which the option with this path stands, such as
// "nts.certificates[0].cert"; that of what holds it if it is not in the file;
// 0 if there is none.
func (c *Config) Line(path string) int {
	for path != "" {
		if line, ok := c.lines[path]; ok {
			return line
		}
		path = parent(path)
	}
	return 0
}

// parent cuts the last name or index off a path.
func parent(path string) string {
	for i := len(path) - 1; i >= 0; i-- {
		if path[i] == '.' || path[i] == '[' {
			return path[:i]
		}
	}
	return ""
}
