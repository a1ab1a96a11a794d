package material

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"ntsbridge/bridge/config"
)

// Grade is how bad a Finding is.
type Grade string

// The grades. A Note is no finding in the sense of --strict.
const (
	Note      Grade = "note"       // worth knowing
	Warning   Grade = "warning"    // works, but not safely, not for long or not as it seems
	NotServed Grade = "not served" // serve starts, and this is not served or not followed
	NoStart   Grade = "error"      // serve would not start
)

// Finding is something that a load has to say.
type Finding struct {
	Grade Grade `json:"severity"`
	Dated bool  `json:"-"` // it is so by the passing of time
	config.Problem
}

// String returns "grade: file:line: path: text".
func (f Finding) String() string { return string(f.Grade) + ": " + f.Problem.String() }

// Findings are in the order in which things were looked at.
type Findings []Finding

// Count returns the number of findings of a grade.
func (l Findings) Count(g Grade) int {
	n := 0
	for _, f := range l {
		if f.Grade == g {
			n++
		}
	}
	return n
}

// Err returns why serve would not start, nil if it would.
func (l Findings) Err() error {
	var errs []error
	for _, f := range l {
		if f.Grade == NoStart {
			errs = append(errs, errors.New(f.Problem.String()))
		}
	}
	return errors.Join(errs...)
}

// Write writes those of the given grades, one per line.
func (l Findings) Write(w io.Writer, grades ...Grade) error {
	for _, g := range grades {
		for _, f := range l {
			if f.Grade != g {
				continue
			}
			if _, err := fmt.Fprintln(w, f); err != nil {
				return err
			}
		}
	}
	return nil
}

// finder gathers findings about a configuration.
type finder struct {
	config   *config.Config
	Findings Findings
	Facts    []string // what was loaded, "name: text"
}

// Find adds an error as a finding about an option.
func (k *finder) Find(g Grade, path string, err error) {
	k.Findings = append(k.Findings, k.Finding(g, path, err))
}

// Finding makes a finding about an option of an error.
func (k *finder) Finding(g Grade, path string, err error) Finding {
	at := k.config.Origin(path)
	if at.File == "" {
		at.File = "configuration"
	}
	return Finding{Grade: g, Problem: config.Problem{File: at.File, Line: at.Line, Path: path, Text: oneLine(err)}}
}

// findDated adds a finding that comes by the passing of time.
func (k *finder) findDated(g Grade, path, text string, args ...any) {
	k.find(g, path, text, args...)
	k.Findings[len(k.Findings)-1].Dated = true
}

// find adds a finding about an option.
func (k *finder) find(g Grade, path, text string, args ...any) {
	k.Find(g, path, fmt.Errorf(text, args...))
}

// findIn adds a finding about a file that an option names.
func (k *finder) findIn(g Grade, file string, line int, text string) {
	k.Findings = append(k.Findings, Finding{Grade: g, Problem: config.Problem{File: file, Line: line, Text: text}})
}

func (k *finder) fact(name, text string, args ...any) {
	k.Facts = append(k.Facts, name+": "+fmt.Sprintf(text, args...))
}

// oneLine makes an error of several lines one.
func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
