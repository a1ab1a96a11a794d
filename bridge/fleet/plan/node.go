package plan

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"ntsbridge/bridge/config"
)

// Grade says how bad a finding is.
type Grade uint8

// The grades.
const (
	Wrong   Grade = iota // the plan cannot be applied
	Warning              // it can, but
)

// Finding is what is to be said of a plan.
type Finding struct {
	config.Problem
	Grade Grade
}

// Findings are in the order of their lines.
type Findings []Finding

// Err returns an error of those that are wrong, nil if there are none.
func (f Findings) Err() error {
	var list config.Problems
	for _, e := range f {
		if e.Grade == Wrong {
			list = append(list, e.Problem)
		}
	}
	if len(list) == 0 {
		return nil
	}
	return list
}

func (f Findings) sorted() Findings {
	slices.SortStableFunc(f, func(a, b Finding) int { return a.Line - b.Line })
	return f
}

// reader reads nodes and collects what is wrong with them.
type reader struct {
	file     string
	findings Findings
}

func (r *reader) fail(line int, path, format string, args ...any) {
	r.add(Wrong, line, path, format, args...)
}

func (r *reader) warn(line int, path, format string, args ...any) {
	r.add(Warning, line, path, format, args...)
}

func (r *reader) add(g Grade, line int, path, format string, args ...any) {
	r.findings = append(r.findings, Finding{config.Problem{File: r.file, Line: line, Path: path, Text: fmt.Sprintf(format, args...)}, g})
}

// place is a node and where it is.
type place struct {
	*yaml.Node
	path string
}

// under returns a place in another one.
func (p place) under(n *yaml.Node, name string) place {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if p.path != "" && name[0] != '[' {
		name = "." + name
	}
	return place{n, p.path + name}
}

func (p place) isNull() bool { return p.Kind == yaml.ScalarNode && p.Tag == "!!null" }

// options are how the keys of a mapping are read.
type options map[string]func(place)

// mapping reads each key of a mapping by its function.
func (r *reader) mapping(p place, known options) bool {
	if p.Kind != yaml.MappingNode {
		r.fail(p.Line, p.path, "must be a mapping with any of %s", list(known))
		return false
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(p.Content); i += 2 {
		key, value := p.Content[i], p.Content[i+1]
		if first, twice := seen[key.Value]; twice {
			r.fail(key.Line, p.path, "%q stands here twice, first in line %d", short(key.Value), first)
			continue
		}
		seen[key.Value] = key.Line
		read := known[key.Value]
		if read == nil {
			r.fail(key.Line, p.path, "%q is not known here; there are %s", short(key.Value), list(known))
			continue
		}
		if v := p.under(value, key.Value); !v.isNull() || slices.Contains(selecting, key.Value) {
			read(v)
		}
	}
	return true
}

// selecting are the options whose absence means more than an empty list would.
var selecting = []string{"prefixes", "labels", "keys", "autokey_groups"}

func list(known options) string {
	names := make([]string, 0, len(known))
	for n := range known {
		names = append(names, n)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// sequence reads each element; a single value stands for a list of one.
func (r *reader) sequence(p place, read func(place)) {
	if p.Kind != yaml.SequenceNode {
		read(p)
		return
	}
	for i, n := range p.Content {
		read(p.under(n, fmt.Sprintf("[%d]", i)))
	}
}

// text reads a short text.
func (r *reader) text(p place) string {
	if p.Kind != yaml.ScalarNode {
		r.fail(p.Line, p.path, "must be one text")
		return ""
	}
	if len(p.Value) > maxText || strings.ContainsFunc(p.Value, func(c rune) bool { return c < ' ' || c == 0x7f }) {
		r.fail(p.Line, p.path, "must be a text of one line with at most %d octets", maxText)
		return ""
	}
	return p.Value
}

// maxText is how long a name or a note may be, octets.
const maxText = 256

func (r *reader) choice(p place, of ...string) int {
	i := slices.Index(of, r.text(p))
	if i < 0 {
		r.fail(p.Line, p.path, "%q is none of %s", short(p.Value), strings.Join(of, ", "))
	}
	return i
}

func (r *reader) boolean(p place) bool {
	switch p.Value {
	case "true", "yes":
		return true
	case "false", "no":
		return false
	}
	r.fail(p.Line, p.path, "must be true or false")
	return false
}

// number reads a whole number in a range.
func (r *reader) number(p place, least, most int) int {
	n, err := strconv.Atoi(r.text(p))
	if err != nil || n < least || n > most {
		r.fail(p.Line, p.path, "must be a whole number of %d to %d", least, most)
		return least
	}
	return n
}

// factor reads a number.
func (r *reader) factor(p place, least, most float64) float64 {
	n, err := strconv.ParseFloat(r.text(p), 64)
	if err != nil || !(n >= least && n <= most) {
		r.fail(p.Line, p.path, "must be a number of %v to %v", least, most)
		return least
	}
	return n
}

// share reads a part such as 5% or 0.05.
func (r *reader) share(p place, least, most float64) float64 {
	text, percent := strings.CutSuffix(strings.TrimSpace(r.text(p)), "%")
	n, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if percent {
		n /= 100
	}
	if err != nil || !(n >= least && n <= most) {
		r.fail(p.Line, p.path, "must be a share of %g%% to %g%%, such as 5%%", least*100, most*100)
		return most
	}
	return n
}

// duration reads a time such as 30m, 4h or 2d.
func (r *reader) duration(p place, least, most time.Duration) time.Duration {
	d, ok := parseTime(r.text(p))
	if !ok || d < least || d > most {
		r.fail(p.Line, p.path, "must be a time of %v to %v, such as 30m, 4h or 2d", least, most)
		return least
	}
	return d
}

func parseTime(s string) (time.Duration, bool) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseFloat(days, 64)
		return time.Duration(n * 24 * float64(time.Hour)), err == nil && n >= 0 && n < 1e5
	}
	d, err := time.ParseDuration(s)
	return d, err == nil
}

func short(s string) string {
	if len(s) > 60 {
		s = s[:60] + "..."
	}
	return strings.ToValidUTF8(s, "?")
}
