// Package label gives prefixes and hosts an owner, a site and a note, read from
// files in CSV, JSON or YAML.
//
// CSV has a header line with the column prefix and any of owner, site, note; a
// line that begins with # is a comment. JSON and YAML have a list of objects with
// the same names:
//
//	prefix,owner,site,note
//	192.0.2.0/24,payments,fra,
//	2001:db8::7,storage,muc,move first
//
//	- prefix: 192.0.2.0/24
//	  owner: payments
//	  site: fra
//
// The longest prefix that an address is in labels it. Pure: bytes are arguments.
package label

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"

	"github.com/gaissmai/bart"
	"go.yaml.in/yaml/v3"
)

// Label is what is said of a prefix.
type Label struct {
	Prefix netip.Prefix
	Owner  string
	Site   string
	Note   string
}

// String returns a label as tables show it: owner and site.
func (l *Label) String() string {
	switch {
	case l == nil:
		return ""
	case l.Owner != "" && l.Site != "":
		return l.Owner + "/" + l.Site
	}
	return cmp.Or(l.Owner, l.Site, l.Note)
}

// Limits of a file.
const (
	maxLabels = 1 << 20
	maxText   = 256 // octets of one text
)

// Error is what is wrong with a file.
type Error struct {
	File string
	Line int // 0: not known
	Text string
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %s", e.File, e.Text)
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Text)
}

// raw is an entry before it is checked.
type raw struct {
	Prefix string `json:"prefix" yaml:"prefix"`
	Owner  string `json:"owner" yaml:"owner"`
	Site   string `json:"site" yaml:"site"`
	Note   string `json:"note" yaml:"note"`
	line   int
}

// Parse reads a file; its name tells the format: .csv, .json, .yaml or .yml.
func Parse(name string, text []byte) ([]Label, error) {
	var list []raw
	var err error
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")) // as Excel writes it
	switch lower := strings.ToLower(name); {
	case strings.HasSuffix(lower, ".csv"):
		list, err = parseCSV(name, text)
	case strings.HasSuffix(lower, ".json"):
		list, err = parseJSON(name, text)
	case strings.HasSuffix(lower, ".yaml"), strings.HasSuffix(lower, ".yml"):
		list, err = parseYAML(name, text)
	default:
		return nil, &Error{File: name, Text: "the name must end in .csv, .json, .yaml or .yml, which tells the format"}
	}
	if err != nil {
		return nil, err
	}
	return check(name, list)
}

var columns = []string{"prefix", "owner", "site", "note"}

func parseCSV(name string, text []byte) ([]raw, error) {
	r := csv.NewReader(bytes.NewReader(text))
	r.Comment, r.TrimLeadingSpace, r.FieldsPerRecord = '#', true, -1
	if first, _, _ := bytes.Cut(text, []byte("\n")); bytes.Count(first, []byte(";")) > bytes.Count(first, []byte(",")) {
		r.Comma = ';'
	}
	head, err := r.Read()
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err != nil {
		return nil, csvError(name, err)
	}
	at := make([]int, len(head))
	for i, h := range head {
		if at[i] = slices.Index(columns, strings.ToLower(strings.TrimSpace(h))); at[i] < 0 {
			return nil, &Error{name, 1, fmt.Sprintf("column %q is not known; the columns are %s", short(h), strings.Join(columns, ", "))}
		}
	}
	if !slices.Contains(at, 0) {
		return nil, &Error{name, 1, "the first line must name the columns, and the column prefix must be among them"}
	}
	var list []raw
	for len(list) <= maxLabels {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, csvError(name, err)
		}
		line, _ := r.FieldPos(0)
		if len(row) > len(head) {
			return nil, &Error{name, line, fmt.Sprintf("%d fields, but the first line has %d; put texts with a comma into quotes",
				len(row), len(head))}
		}
		e := raw{line: line}
		for i, v := range row {
			*[]*string{&e.Prefix, &e.Owner, &e.Site, &e.Note}[at[i]] = strings.TrimSpace(v)
		}
		list = append(list, e)
	}
	return list, nil
}

func csvError(name string, err error) error {
	var p *csv.ParseError
	if errors.As(err, &p) {
		return &Error{name, p.Line, p.Err.Error()}
	}
	return &Error{File: name, Text: err.Error()}
}

func parseJSON(name string, text []byte) ([]raw, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	at := func() int { return 1 + bytes.Count(text[:min(int(d.InputOffset()), len(text))], []byte("\n")) }
	var list []raw
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		return nil, &Error{name, at(), "not a list: the file must be [ {\"prefix\": ..., \"owner\": ...}, ... ]"}
	}
	for d.More() && len(list) <= maxLabels {
		e := raw{}
		if err := d.Decode(&e); err != nil {
			return nil, &Error{name, at(), err.Error()}
		}
		e.line = at()
		list = append(list, e)
	}
	if _, err := d.Token(); err != nil && len(list) <= maxLabels {
		return nil, &Error{name, at(), err.Error()}
	}
	return list, nil
}

func parseYAML(name string, text []byte) ([]raw, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, &Error{File: name, Text: strings.TrimPrefix(err.Error(), "yaml: ")}
	}
	if doc.Kind == 0 {
		return nil, nil
	}
	root := doc.Content[0]
	if root.Kind != yaml.SequenceNode {
		return nil, &Error{name, root.Line, "not a list: each entry begins with `- prefix: ...`"}
	}
	var list []raw
	for _, n := range root.Content {
		e := raw{line: n.Line}
		if n.Kind != yaml.MappingNode {
			return nil, &Error{name, n.Line, "an entry must have the names prefix, owner, site, note"}
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			k := slices.Index(columns, n.Content[i].Value)
			if k < 0 || n.Content[i+1].Kind != yaml.ScalarNode {
				return nil, &Error{name, n.Content[i].Line, fmt.Sprintf("%q is not known here; an entry has %s, each one text",
					short(n.Content[i].Value), strings.Join(columns, ", "))}
			}
			*[]*string{&e.Prefix, &e.Owner, &e.Site, &e.Note}[k] = n.Content[i+1].Value
		}
		list = append(list, e)
	}
	return list, nil
}

func check(name string, list []raw) ([]Label, error) {
	if len(list) > maxLabels {
		return nil, &Error{File: name, Text: fmt.Sprintf("more than %d labels", maxLabels)}
	}
	labels := make([]Label, 0, len(list))
	seen := make(map[netip.Prefix]int, len(list))
	for _, e := range list {
		p, err := parsePrefix(e.Prefix)
		if err != nil {
			return nil, &Error{name, e.line, err.Error()}
		}
		if first, twice := seen[p]; twice {
			return nil, &Error{name, e.line, fmt.Sprintf("%v was labelled in line %d already", p, first)}
		}
		seen[p] = e.line
		for _, t := range []string{e.Owner, e.Site, e.Note} {
			if len(t) > maxText || strings.ContainsFunc(t, func(r rune) bool { return r < ' ' || r == 0x7f }) {
				return nil, &Error{name, e.line, fmt.Sprintf("owner, site and note are texts of one line, at most %d octets", maxText)}
			}
		}
		labels = append(labels, Label{p, e.Owner, e.Site, e.Note})
	}
	return labels, nil
}

// parsePrefix reads an address or a prefix.
func parsePrefix(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		return netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		return p, fmt.Errorf("%q is no address and no prefix such as 192.0.2.0/24", short(s))
	case p != p.Masked():
		return p, fmt.Errorf("%v has bits set behind its length; %v may be meant", p, p.Masked())
	}
	return p, nil
}

func short(s string) string {
	if len(s) > 60 {
		return s[:60] + "..."
	}
	return s
}

// Set finds labels. The zero value has none. It is immutable.
type Set struct {
	table *bart.Table[*Label]
	all   []*Label
}

// NewSet makes a set. Of two labels for one prefix the later one counts.
func NewSet(labels []Label) *Set {
	s := &Set{table: new(bart.Table[*Label])}
	for i := range labels {
		s.table.Insert(labels[i].Prefix, &labels[i])
		s.all = append(s.all, &labels[i])
	}
	return s
}

// Lookup returns the label of a prefix: that of the longest one that it is in.
func (s *Set) Lookup(p netip.Prefix) *Label {
	if s == nil || s.table == nil || !p.IsValid() {
		return nil
	}
	_, l, ok := s.table.LookupPrefixLPM(p)
	if !ok {
		return nil
	}
	return l
}

// Len returns how many labels there are.
func (s *Set) Len() int {
	if s == nil {
		return 0
	}
	return len(s.all)
}

// All returns all labels, which must not be changed.
func (s *Set) All() []*Label {
	if s == nil {
		return nil
	}
	return s.all
}

// Matches tells whether a word is the label's owner or site, or one of the words
// of its note.
func (l *Label) Matches(word string) bool {
	return l != nil && (l.Owner == word || l.Site == word || slices.Contains(strings.Fields(l.Note), word))
}
