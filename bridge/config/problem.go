package config

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// ErrInvalid is what every error about the content of a file wraps.
var ErrInvalid = errors.New("invalid configuration")

// Problem is one thing that is wrong in a configuration file, and the remedy.
type Problem struct {
	File string `json:"file"`
	Line int    `json:"line"`           // from 1; 0 if it belongs to no line
	Path string `json:"path,omitempty"` // option, such as access.rules[2].prefixes
	Text string `json:"text"`
}

// String returns "file:line: path: text".
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d", p.Line)
	}
	b.WriteString(": ")
	if p.Path != "" {
		b.WriteString(p.Path + ": ")
	}
	b.WriteString(p.Text)
	return b.String()
}

// Problems is everything that is wrong in a file, in the order of its lines.
type Problems []Problem

// Error returns one line per problem.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i := range p {
		lines[i] = p[i].String()
	}
	return strings.Join(lines, "\n")
}

// Unwrap makes errors.Is find ErrInvalid.
func (p Problems) Unwrap() error { return ErrInvalid }

// sorted returns the problems by line, those without a line last.
func (p Problems) sorted() Problems {
	slices.SortStableFunc(p, func(a, b Problem) int {
		if (a.Line == 0) != (b.Line == 0) {
			return cmp.Compare(b.Line, a.Line)
		}
		return cmp.Compare(a.Line, b.Line)
	})
	return p
}

var yamlLine = regexp.MustCompile(`^(?:yaml: )?(?:line (\d+): )?`)

// syntaxProblem turns an error of the YAML library into a problem.
func syntaxProblem(file string, err error) Problem {
	text := err.Error()
	m := yamlLine.FindStringSubmatch(text)
	line, _ := strconv.Atoi(m[1])
	return Problem{File: file, Line: line, Text: fmt.Sprintf("not YAML: %.200s; look at indentation, colons "+
		"and quotes in this line and the one before", text[len(m[0]):])}
}
