package config

import (
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Tree is what one text says: a file, a variable of the environment or a flag.
type Tree struct {
	// Values are by the names of options, of the types that Config has.
	Values map[string]any

	name     string
	origins  origins
	bad      map[string]bool // paths with a problem
	problems Problems
}

// Err returns what is wrong in the text by itself.
func (t *Tree) Err() error {
	if len(t.problems) == 0 {
		return nil
	}
	return t.problems
}

// Read reads the text of a configuration file. name is for messages; relative
// paths are taken from dir. What has a problem is left out of the values:
// Assemble tells of it, with all others.
func Read(name, dir string, data []byte) *Tree {
	r := newReader(name, dir)
	node := r.parse(data)
	t := &Tree{name: name, origins: r.origins, bad: r.bad}
	if node != nil {
		tree, _ := r.value(node, field{typ: reflect.TypeFor[Config]()})
		t.Values, _ = tree.(map[string]any)
	}
	t.problems = r.problems
	return t
}

// ReadOption reads the value of one option from a variable or a flag, which
// name is the name of. A list is written as in a file, or with commas. The
// second value is what stands at path in Values.
func ReadOption(name, dir, path, text string) (*Tree, any) {
	r := newReader(name, dir)
	r.origins[path] = Origin{File: name}
	t := &Tree{name: name, origins: r.origins, bad: r.bad}
	f, ok := optionAt(path)
	if !ok {
		r.note(0, path, "unknown option")
	} else if v, ok := r.value(nodeOf(f, text), f); ok {
		t.Values = nest(path, v)
		t.problems = r.problems
		r.origins.at(name)
		return t, v
	}
	r.origins.at(name)
	t.problems = r.problems
	for i := range t.problems {
		t.problems[i].Line = 0
	}
	return t, nil
}

// nodeOf makes the YAML node of an option that stands by itself.
func nodeOf(f field, text string) *yaml.Node {
	var doc yaml.Node
	plain := yaml.Unmarshal([]byte(text), &doc) == nil && len(doc.Content) == 1
	switch {
	case isScalar(f.typ):
		tag := "!!str"
		if plain && doc.Content[0].Kind == yaml.ScalarNode && f.typ.Kind() != reflect.String {
			tag = doc.Content[0].Tag
		}
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: text}
	case plain && doc.Content[0].Kind != yaml.ScalarNode:
		return doc.Content[0]
	}
	list := &yaml.Node{Kind: yaml.SequenceNode}
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			list.Content = append(list.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: item})
		}
	}
	return list
}

// nest puts a value where its path says.
func nest(path string, v any) map[string]any {
	name, rest, deeper := strings.Cut(path, ".")
	if deeper {
		v = nest(rest, v)
	}
	return map[string]any{name: v}
}
