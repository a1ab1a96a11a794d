package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"

	"ntsbridge/bridge/convert/spell"
)

// reader walks the YAML nodes of a file along the types of Config. It gathers
// the problems and makes the tree of values that is then unmarshalled: what
// has a problem is left out of it, so that everything else can be looked at.
type reader struct {
	file     string
	problems Problems
	dir      string          // relative paths are taken from it
	origins  origins         // of each option that is in the file
	bad      map[string]bool // paths with a problem
}

func newReader(file, dir string) *reader {
	return &reader{file: file, dir: dir, origins: make(origins), bad: make(map[string]bool)}
}

// fail notes a problem and that the option at path has no usable value.
func (r *reader) fail(line int, path, format string, args ...any) {
	r.bad[path] = true
	r.note(line, path, format, args...)
}

// note notes a problem beside which the rest can be looked at.
func (r *reader) note(line int, path, format string, args ...any) {
	r.problems = append(r.problems, Problem{r.file, line, path, fmt.Sprintf(format, args...)})
}

// value returns the value of a node for a field of type t; ok is false if it
// had a problem or says nothing.
func (r *reader) value(n *yaml.Node, f field) (v any, ok bool) {
	r.origins[f.path] = Origin{r.file, n.Line}
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		r.fail(n.Line, f.path, "anchors and aliases are not supported; write the value out")
	case n.Style&yaml.TaggedStyle != 0:
		r.fail(n.Line, f.path, "tags such as %.40s are not supported; write the plain value", n.Tag)
	case isScalar(f.typ):
		return r.scalar(n, f)
	case f.typ.Kind() == reflect.Slice:
		return r.list(n, f)
	default:
		return r.section(n, f)
	}
	return nil, false
}

// section reads a mapping into a map with the names of t's options.
func (r *reader) section(n *yaml.Node, f field) (any, bool) {
	values := elementDefaults(f.typ)
	if isNull(n) && !f.inList {
		return values, values != nil // a section with all its options commented out
	}
	if n.Kind != yaml.MappingNode {
		r.fail(n.Line, f.path, "%s is not a section; write options below it, such as \"%s: ...\"",
			describe(n), fieldsOf(f.typ, "")[0].name)
		return nil, false
	}
	if values == nil {
		values = make(map[string]any)
	}
	seen := make(map[string]int)
	fields := fieldsOf(f.typ, f.path)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, node := n.Content[i], n.Content[i+1]
		path := join(f.path, printable(key.Value))
		if line, again := seen[key.Value]; again {
			r.note(key.Line, path, "is already set in line %d; delete one of the two", line)
			continue
		}
		seen[key.Value] = key.Line
		option, known := find(fields, key)
		if !known {
			r.note(key.Line, path, "unknown option; %s", remedyForKey(key.Value, fields))
			continue
		}
		v, ok := r.value(node, option)
		r.origins[option.path] = Origin{r.file, key.Line}
		if ok {
			values[option.name] = v
		}
	}
	return values, true
}

func (r *reader) list(n *yaml.Node, f field) (any, bool) {
	if n.Kind == yaml.ScalarNode && f.tag.Get("single") != "" && !isNull(n) {
		n = &yaml.Node{Kind: yaml.SequenceNode, Line: n.Line, Content: []*yaml.Node{n}}
	}
	if n.Kind != yaml.SequenceNode {
		r.fail(n.Line, f.path, "%s is not a list; write [...] or one \"- \" line per item", describe(n))
		return nil, false
	}
	items := make([]any, 0, len(n.Content))
	for i, node := range n.Content {
		item := field{path: fmt.Sprintf("%s[%d]", f.path, i), typ: f.typ.Elem(), tag: f.tag, inList: true}
		if v, ok := r.value(node, item); ok {
			items = append(items, v)
			continue
		}
		// An item keeps its place, so that later messages name the right one.
		items = append(items, reflect.Zero(item.typ).Interface())
		r.bad[item.path] = true
	}
	return items, true
}

// isNull reports whether a node has no value.
func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// describe says in a few words what a node is.
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a section"
	case yaml.SequenceNode:
		return "a list"
	}
	if isNull(n) {
		return "an empty value"
	}
	return fmt.Sprintf("%.60q", n.Value)
}

// remedyForKey says what to write for an option that is not known.
func remedyForKey(key string, fields []field) string {
	plain := strings.ReplaceAll(strings.ToLower(key), "-", "_")
	switch plain {
	case "password", "pw", "secret", "passphrase":
		return "secrets are never in this file; write them to a file of their own and name that one"
	}
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.name
	}
	if best := spell.Meant(plain, names); best != "" {
		return "did you mean " + best + "?"
	}
	return "known here: " + strings.Join(names, ", ")
}

// printable keeps outside bytes out of messages.
func printable(key string) string {
	if len(key) > 40 {
		key = key[:40] + "..."
	}
	return spell.Printable(key)
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// parse returns the first and only document; nil if there is none.
func (r *reader) parse(data []byte) *yaml.Node {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	if err := decoder.Decode(&doc); err != nil {
		if !errors.Is(err, io.EOF) {
			r.problems = append(r.problems, syntaxProblem(r.file, err))
		}
		return nil
	}
	if err := decoder.Decode(&second); err == nil {
		r.note(second.Line, "", "a second document begins here; delete the line ---")
	} else if !errors.Is(err, io.EOF) {
		r.problems = append(r.problems, syntaxProblem(r.file, err))
	}
	return doc.Content[0]
}
