// Package syntax has what the readers of all dialects keep of a configuration:
// its files, its statements with their place, and what was not understood. The
// readers are bridge/convert/ntpconf and bridge/convert/chronyconf.
package syntax

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// Statement is one command as the parser kept it.
type Statement struct {
	// Word is the directive: server, restrict, and so on; unconfig is unpeer,
	// nic is interface.
	Word string
	File int // index of the file it stands in
	Line int // from 1
	End  int // last line of a simulator's block; 0: Line
	// Family is "-4", "-6" or empty, where the grammar has it.
	Family string
	// Address is the address or name of an association, of restrict (also
	// "default" and "source", if Keyword is set), fudge, unpeer and trap, or the
	// class, name or address of interface.
	Address string
	// Keyword tells a keyword in Address from a string that reads the same.
	Keyword bool
	Mask    string // of restrict; empty: none
	// Options are words with or without values, in file order. Lists of numbers
	// and strings are options without a name.
	Options []Option
	// Lost is what ntpd did not read of the line: everything from the first
	// word that it could not place. Empty: nothing.
	Lost string
}

// valueKind is the type of an option's value.
type valueKind uint8

const (
	ValueNone   valueKind = iota
	ValueInt              // Int
	ValueDouble           // Double
	ValueString           // Text
	ValueRange            // Int to High
)

// Option is a word of a command with its value, as ntpd computed it.
type Option struct {
	Name   string
	Kind   valueKind
	Int    int64
	High   int64
	Double float64
	Text   string // as written, for numbers too
}

// Number returns the value of an Int or Double.
func (o Option) Number() float64 {
	if o.Kind == ValueDouble {
		return o.Double
	}
	return float64(o.Int)
}

// Flag reports whether an option of that name is there.
func (s *Statement) Flag(name string) bool {
	_, ok := s.Last(name)
	return ok
}

// Last returns the last option of a name, the one that counts.
func (s *Statement) Last(name string) (Option, bool) {
	for i := len(s.Options) - 1; i >= 0; i-- {
		if s.Options[i].Name == name {
			return s.Options[i], true
		}
	}
	return Option{}, false
}

// Value returns the text of the last option of a name, or nothing.
func (s *Statement) Value(name string) string {
	o, _ := s.Last(name)
	return o.Text
}

// Argument returns the first value without a name, or nothing.
func (s *Statement) Argument() string {
	for _, o := range s.Options {
		if o.Name == "" {
			return o.Text
		}
	}
	return ""
}

// Names returns the options' names joined by blanks.
func (s *Statement) Names() string {
	var list []string
	for _, o := range s.Options {
		list = append(list, o.Name)
	}
	return strings.Join(list, " ")
}

// Refclock reports whether the address is one of a reference clock: ntpd looks
// at the first eight characters.
func (s *Statement) Refclock() bool { return strings.HasPrefix(s.Address, "127.127.") }

// Limits that keep hostile input from costing more than it should.
const (
	MaxIncludeDepth = 5       // files below the main one, as in ntpd
	MaxInputLen     = 4 << 20 // octets of all files together, repeated includes counted
	MaxInputLines   = 1 << 16 // lines of all files together
	MaxFiles        = 1024    // included files, repeated ones counted
)

// Reader returns the content of a file that a configuration names. An error
// that is fs.ErrNotExist means that there is no such file; fs.ErrPermission
// that it may not be read.
type Reader func(name string) ([]byte, error)

// File is a configuration file as it was read.
type File struct {
	Name string // as named
	// By is the file and line that included it; -1 and 0 for the main file.
	By     int
	ByLine int
	Lines  []string // without line ends
}

// Diagnostic is one message of ntpd's parser.
type Diagnostic struct {
	File   int
	Line   int // from 1
	Column int // from 0, in octets
	Text   string
	// At is the line that it is about; Line may be the line of an earlier error.
	At int
	// Syntax marks a syntax error, of which the rest of the line is lost; the
	// others are remarks about values.
	Syntax bool
	// Repeat marks a syntax error for which ntpd gives an old position.
	Repeat bool
}

// Parsed is what ntpd keeps of a configuration.
type Parsed struct {
	Files       []File
	Statements  []*Statement
	Diagnostics []Diagnostic
	// Ends is where ntpd stopped reading before the end, if it did.
	Ends *End
	// Fatal is the reason why ntpd would exit while reading, if it would.
	Fatal string
	// Unread are the files that are named but could not be read.
	Unread []Missing
}

// End is a place where ntpd stops reading.
type End struct {
	File, Line int
	Text       string // why
}

// Missing is an included file that is not there.
type Missing struct {
	Name       string
	File, Line int // that names it
	Err        error
	TooDeep    bool
}

// Place is where a command begins.
type Place struct{ File, Line int }

// ErrTooLong is wrapped by the error about input beyond the limits.
var ErrTooLong = errors.New("too long for a configuration")

// CheckLength reports input that is not read at all.
func CheckLength(data []byte) error {
	if len(data) > MaxInputLen || bytes.Count(data, []byte{'\n'}) >= MaxInputLines {
		return fmt.Errorf("%w: more than %d octets or %d lines; is it the right file?", ErrTooLong, MaxInputLen, MaxInputLines)
	}
	return nil
}

// SplitLines returns the physical lines without line feeds.
func SplitLines(data []byte) []string {
	text := string(data)
	if text == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}

// NoFiles is a Reader that has no files.
func NoFiles(string) ([]byte, error) { return nil, fs.ErrNotExist }

// ErrUnknownHost says that nothing is known of the host's files.
var ErrUnknownHost = errors.New("the files of that host are not at hand")

// Place returns where the statement begins.
func (s *Statement) Place() Place { return Place{s.File, s.Line} }
