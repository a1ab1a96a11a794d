// Package report is the account of a conversion: what became of every line, what
// has to be decided, and how the result compares with the input; for one
// configuration and for many.
package report

import (
	"cmp"
	"fmt"
	"slices"

	"ntsbridge/bridge/convert/spell"
)

// Class says what became of a line.
type Class string

// The classes, from harmless to grave.
const (
	Comment      Class = "comment"      // blank lines and comments
	Kept         Class = "kept"         // means the same in the output
	Folded       Class = "folded"       // part of another setting
	Obsolete     Class = "obsolete"     // not needed any more; nothing is lost
	Changed      Class = "changed"      // works differently, and not less safely
	Approximated Class = "approximated" // as near as the output can say it
	Unsupported  Class = "unsupported"  // has no counterpart: something is lost
	Dangerous    Class = "dangerous"    // security or behaviour is at stake
	Error        Class = "error"        // not understood, or not by the daemon that read it
)

var classes = []Class{Comment, Kept, Folded, Obsolete, Changed, Approximated, Unsupported, Dangerous, Error}

// Rank orders classes by gravity.
func (c Class) Rank() int { return slices.Index(classes, c) }

// Finding is one remark: what it is, why, and what to do.
type Finding struct {
	Class Class  `json:"class"`
	Code  string `json:"code"` // short and stable, for counting over a fleet
	Text  string `json:"text"`
	Do    string `json:"do,omitempty"`
}

// Record is the account of one physical line.
type Record struct {
	File  string `json:"file"`
	Line  int    `json:"line"` // from 1
	Text  string `json:"text"` // as written, secrets masked
	Class Class  `json:"class"`
	// Became is the place in the output, such as access.rules[2].
	Became []string `json:"became,omitempty"`
	// Did is what the daemon made of the line where that is not what it says.
	Did      string    `json:"did,omitempty"`
	Findings []Finding `json:"findings,omitempty"`

	Index int    `json:"-"` // of the file
	Words []Word `json:"-"` // what became of each
}

// Word is what became of a word of a line.
type Word struct {
	Name string // empty: it stands in its place
	// Fate is the path of the option that it became, or written, or begins with
	// said: and a code of the record's findings, or holds: and why.
	Fate string
}

// Note adds a finding; the gravest one is the record's class.
func (r *Record) Note(class Class, code, do, text string, args ...any) {
	f := Finding{class, code, fmt.Sprintf(text, args...), do}
	if !slices.Contains(r.Findings, f) {
		r.Findings = append(r.Findings, f)
	}
	r.Raise(class)
}

// Raise makes a class the record's, if it is graver.
func (r *Record) Raise(class Class) {
	if class.Rank() > r.Class.Rank() {
		r.Class = class
	}
}

// Into notes a place in the output.
func (r *Record) Into(place string) {
	if !slices.Contains(r.Became, place) {
		r.Became = append(r.Became, place)
	}
}

// Question is something that the operator has to decide before anything is
// written: the output would be weaker than what was written.
type Question struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Text    string `json:"text"` // the line, secrets masked
	Code    string `json:"code"`
	Written string `json:"written"` // what was meant
	Running string `json:"running"` // what the daemon did
	Do      string `json:"do"`
	// Intended reports whether LostIntended has an answer.
	Intended bool `json:"intended"`
}

// Report is the account of a conversion.
type Report struct {
	Input   string `json:"input"`
	Dialect string `json:"dialect"`
	Output  string `json:"output"` // format
	// First is what an operator must know before anything else.
	First []string `json:"first,omitempty"`
	// Lines has every physical line of every file once, in the order of reading.
	Lines []*Record `json:"lines"`
	// Findings belong to no line: what is missing, and what follows from
	// several lines together.
	Findings []Finding `json:"findings"`
	// Questions are open: nothing was written because of them.
	Questions []Question `json:"questions,omitempty"`
	// Access is the result of the comparison of the restrict lists with the
	// access rules.
	Access *Comparison `json:"access,omitempty"`
	// Sources is the account of the sources of time.
	Sources *SourceComparison `json:"sources,omitempty"`
	// Host is what a migration has to know of the host; nil if nothing of it
	// could be read.
	Host *Host `json:"host,omitempty"`
	// Counts are the numbers of lines by class.
	Counts map[Class]int `json:"counts"`
	// Written reports whether there is an output.
	Written bool `json:"written"`
}

// Note adds a finding without a line.
func (r *Report) Note(class Class, code, do, text string, args ...any) {
	f := Finding{class, code, fmt.Sprintf(text, args...), do}
	if !slices.Contains(r.Findings, f) {
		r.Findings = append(r.Findings, f)
	}
}

// Failed is the report on an input of which nothing could be made, since
// it could not be read.
func Failed(input string, err error) *Report {
	r := &Report{Input: input, Lines: []*Record{}, Findings: []Finding{}}
	r.Note(Error, "failed", "", "%s", spell.Printable(err.Error()))
	r.Finish()
	return r
}

// Finish sorts and counts.
func (r *Report) Finish() {
	r.Counts = make(map[Class]int)
	for _, line := range r.Lines {
		r.Counts[line.Class]++
		slices.SortStableFunc(line.Findings, func(a, b Finding) int { return cmp.Compare(b.Class.Rank(), a.Class.Rank()) })
	}
	slices.SortStableFunc(r.Findings, func(a, b Finding) int { return cmp.Compare(b.Class.Rank(), a.Class.Rank()) })
}

// Has reports whether any line or finding is of the class.
func (r *Report) Has(c Class) bool {
	return slices.ContainsFunc(r.Lines, func(l *Record) bool { return l.Class == c }) ||
		slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Class == c })
}

// Outcome is the verdict on a conversion in one word.
type Outcome string

// The outcomes, from best to worst.
const (
	Clean    Outcome = "clean"    // nothing but what is kept, folded, obsolete or no setting
	Noted    Outcome = "noted"    // changes that are not less safe, approximations
	Lossy    Outcome = "lossy"    // something unsupported, dangerous or not understood
	Blocked  Outcome = "blocked"  // questions are open, nothing was written
	Rejected Outcome = "rejected" // the input is not a configuration that can be converted
)

// Outcome returns the verdict.
func (r *Report) Outcome() Outcome {
	switch {
	case len(r.Questions) > 0:
		return Blocked
	case !r.Written:
		return Rejected
	case r.Has(Unsupported) || r.Has(Dangerous) || r.Has(Error):
		return Lossy
	case r.Has(Changed) || r.Has(Approximated):
		return Noted
	}
	return Clean
}

// MaxDifferences bounds what a comparison lists.
const MaxDifferences = 100

// Comparison is the proof that access rules mean what restrict lines meant:
// both were asked about the first and last address of every prefix of either,
// and about their neighbours, from port 123 and from another one.
type Comparison struct {
	Prefixes    int          `json:"prefixes"`
	Probes      int          `json:"probes"`
	Equal       bool         `json:"equal"`
	Differences []Difference `json:"differences,omitempty"`
	// Names are sources whose addresses have other rules than they had, and are
	// not known.
	Names []string `json:"names,omitempty"`
}

// Difference is an address for which the two differ.
type Difference struct {
	Address string `json:"address"`
	FromNTP bool   `json:"source_port_123"`
	Old     string `json:"old"` // what ntpd gave, and by which flags
	New     string `json:"new"`
	// Laxer marks an address that may have something which it could not.
	Laxer bool `json:"laxer"`
}

// LeftOut is a source that is not in the output.
type LeftOut struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Source string `json:"source"`
	Why    string `json:"why"`
}

// SourceComparison is the account of the sources: each that the daemon was
// told of is followed, or left out for a reason.
type SourceComparison struct {
	Configured int       `json:"configured"` // lines, but those of the local clock
	Written    int       `json:"written"`
	Followed   int       `json:"followed"` // of those written, what the clock may follow
	LeftOut    []LeftOut `json:"left_out,omitempty"`
}

// verdict says the result in words.
func (s *SourceComparison) verdict() string {
	text := fmt.Sprintf("%d of %d are in the output, %d can be followed", s.Written, s.Configured, s.Followed)
	if len(s.LeftOut) > 0 {
		return text + ": read why others are left out"
	}
	return text
}
