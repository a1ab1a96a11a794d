package convert

import (
	"fmt"
	"ntsbridge/bridge/convert/spell"
	"ntsbridge/bridge/convert/syntax"
	"regexp"
	"strconv"
	"strings"
)

// node is an entry of a YAML map, or an item of a list if it has no key.
type node struct {
	key      string
	value    string // ready to be written; empty with children
	children []*node
	list     bool // children are items
	lines    []*syntax.Statement
	remarks  []string
}

// from notes the lines that an entry comes from.
func (n *node) from(lines ...*syntax.Statement) *node {
	n.lines = append(n.lines, lines...)
	return n
}

// remark adds a comment.
func (n *node) remark(format string, args ...any) *node {
	n.remarks = append(n.remarks, fmt.Sprintf(format, args...))
	return n
}

// set adds an entry with a value.
func (n *node) set(key, value string) *node {
	child := &node{key: key, value: value}
	n.children = append(n.children, child)
	return child
}

// section returns the child of a key, making it.
func (n *node) section(key string) *node {
	for _, c := range n.children {
		if c.key == key {
			return c
		}
	}
	child := &node{key: key}
	n.children = append(n.children, child)
	return child
}

// item adds an item to a list.
func (n *node) item() *node {
	n.list = true
	child := &node{}
	n.children = append(n.children, child)
	return child
}

// writer renders nodes.
type yamlWriter struct {
	strings.Builder
	quote func(*syntax.Statement) []string // the original lines of a statement
}

func (w *yamlWriter) comments(n *node, indent string) {
	seen := make(map[string]bool)
	for _, s := range n.lines {
		for _, text := range w.quote(s) {
			if !seen[text] {
				seen[text] = true
				w.WriteString(indent + "# " + text + "\n")
			}
		}
	}
	for _, text := range n.remarks {
		w.WriteString(indent + "# " + text + "\n")
	}
}

// node writes an entry; first takes the place of the indentation in its first
// line, for items of a list.
func (w *yamlWriter) node(n *node, indent, first string) {
	if n.key != "" {
		w.WriteString(first + n.key + ":")
		if n.value != "" {
			w.WriteString(" " + n.value + "\n")
			return
		}
		w.WriteString("\n")
		indent += "  "
		first = indent
	} else if n.value != "" {
		w.WriteString(first + n.value + "\n")
		return
	}
	for i, c := range n.children {
		lead := indent
		if i == 0 && n.key == "" {
			lead = first
		} else {
			w.comments(c, indent)
		}
		if n.list {
			w.node(c, indent+"  ", lead+"- ")
			continue
		}
		w.node(c, indent, lead)
	}
}

// document writes the entries of the top with a blank line between them.
func (w *yamlWriter) document(top *node) {
	for _, c := range top.children {
		w.WriteString("\n")
		w.comments(c, "")
		w.node(c, "", "")
	}
	if len(top.remarks) > 0 {
		w.WriteString("\n")
		w.comments(top, "")
	}
}

var plainYAML = regexp.MustCompile(`^[A-Za-z_/][A-Za-z0-9_./@-]*$`)

// yamlString writes a string so that YAML reads it as one.
func yamlString(s string) string {
	if plainYAML.MatchString(s) {
		switch spell.AsciiLower(s) {
		case "true", "false", "yes", "no", "on", "off", "null", "y", "n", "none":
		default:
			return s
		}
	}
	return strconv.QuoteToASCII(s)
}

// yamlList writes a list in one line.
func yamlList[T any](items []T, format func(T) string) string {
	list := make([]string, len(items))
	for i, item := range items {
		list[i] = format(item)
	}
	return "[" + strings.Join(list, ", ") + "]"
}
