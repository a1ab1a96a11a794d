package job

import (
	"errors"
	"io/fs"

	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/spell"
	"ntsbridge/bridge/convert/syntax"
)

// Account makes a record of every line, and tells what the daemon's parser said;
// syntaxError does that for a line which was not understood.
func (c *Job) Account(syntaxError func(*report.Record, syntax.Diagnostic)) {
	c.Records = make(map[syntax.Place]*report.Record)
	for i, f := range c.Parsed.Files {
		for j, text := range f.Lines {
			r := &report.Record{File: f.Name, Line: j + 1, Text: spell.Show(text), Class: report.Comment, Index: i}
			c.Report.Lines = append(c.Report.Lines, r)
			c.Records[syntax.Place{File: i, Line: j + 1}] = r
		}
	}
	for _, d := range c.Parsed.Diagnostics {
		if r := c.Records[syntax.Place{File: d.File, Line: c.DiagnosticLine(d)}]; r != nil {
			if d.Syntax {
				syntaxError(r, d)
			} else {
				r.Note(report.Changed, "value", "correct the value", "%s says: %s", c.Daemon(), d.Text)
			}
		}
	}
	for _, m := range c.Parsed.Unread {
		c.unread(m)
	}
	c.unreadLines()
	c.replaced()
}

// Quietly does work of which nothing is said: it is about what the daemon did,
// and not about what is written.
func (c *Job) Quietly(work func()) {
	about, records, decide := c.Report, c.Records, c.Opt.Decide
	c.Opt.Decide = nil
	c.Report, c.Records = &report.Report{}, make(map[syntax.Place]*report.Record, len(records))
	for at := range records {
		c.Records[at] = &report.Record{}
	}
	work()
	c.Report, c.Records, c.Opt.Decide = about, records, decide
}

// DiagnosticLine returns the line that an error is on: ntpd's own number is an
// old one if it repeats itself.
func (c *Job) DiagnosticLine(d syntax.Diagnostic) int {
	if d.At > 0 {
		return d.At
	}
	return d.Line
}

// unread tells of an included file that was not read.
func (c *Job) unread(m syntax.Missing) {
	r := c.Records[syntax.Place{File: m.File, Line: m.Line}]
	name := spell.Printable(m.Name)
	switch {
	case m.TooDeep:
		r.Note(report.Error, "include-depth", "put the content into the file itself",
			"%s is not read: ntpd does not include files more than %d deep", name, syntax.MaxIncludeDepth)
	case errors.Is(m.Err, syntax.ErrUnknownHost):
		r.Note(report.Dangerous, "include-unknown", "give the host's root directory with --root",
			"%s is not at hand: what it sets is missing here", name)
	case errors.Is(m.Err, fs.ErrNotExist):
		r.Note(report.Changed, "include-missing", "delete the line", "%s is not there; ntpd goes on without it", name)
	default:
		r.Note(report.Dangerous, "include-unread", "make the file readable, and convert again", "%s is not read: %v", name, m.Err)
	}
}

// unreadLines marks lines that ntpd never reads.
func (c *Job) unreadLines() {
	end := c.Parsed.Ends
	if end == nil || c.Parsed.Fatal != "" && end.Line == 0 {
		return
	}
	n := 0
	for _, r := range c.Report.Lines {
		behind := r.Index == end.File && r.Line > end.Line
		for f := end.File; f > 0 && !behind; f = c.Parsed.Files[f].By {
			behind = r.Index == c.Parsed.Files[f].By && r.Line > c.Parsed.Files[f].ByLine
		}
		if !behind || spell.IsComment(c.Parsed.Files[r.Index].Lines[r.Line-1]) ||
			len(c.StatementsOn(syntax.Place{File: r.Index, Line: r.Line})) > 0 {
			continue
		}
		n++
		r.Note(report.Dangerous, "never-read", "delete what stops ntpd, if these lines are meant to count",
			"ntpd never reads this line: see %s:%d", c.Parsed.Files[end.File].Name, end.Line)
		r.Did = "nothing"
	}
	if r := c.Records[syntax.Place{File: end.File, Line: end.Line}]; r != nil && n > 0 {
		r.Note(report.Dangerous, "reading-ends", "delete it", "%s (%d lines)", end.Text, n)
	}
}
