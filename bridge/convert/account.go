package convert

import (
	"errors"
	"io/fs"
	"ntsbridge/bridge/convert/ntpconf"
	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/spell"
	"ntsbridge/bridge/convert/syntax"
	"strings"
)

// account makes a record of every line, and tells what ntpd's parser said.
func (c *conversion) account() {
	c.records = make(map[syntax.Place]*report.Record)
	for i, f := range c.parsed.Files {
		for j, text := range f.Lines {
			r := &report.Record{File: f.Name, Line: j + 1, Text: spell.Show(text), Class: report.Comment, Index: i}
			c.report.Lines = append(c.report.Lines, r)
			c.records[syntax.Place{File: i, Line: j + 1}] = r
		}
	}
	for _, d := range c.parsed.Diagnostics {
		if r := c.records[syntax.Place{File: d.File, Line: c.diagnosticLine(d)}]; r != nil {
			if d.Syntax {
				c.syntaxError(r, d)
			} else {
				r.Note(report.Changed, "value", "correct the value", "%s says: %s", c.daemon(), d.Text)
			}
		}
	}
	for _, m := range c.parsed.Unread {
		c.unread(m)
	}
	c.unreadLines()
}

// daemon names the program whose configuration it is.
func (c *conversion) daemon() string {
	switch c.dialect {
	case "ntpsec":
		return "ntpsec's ntpd"
	case "chrony":
		return "chronyd"
	}
	return "ntpd 4.2.8"
}

// diagnosticLine returns the line that an error is on: ntpd's own number is an
// old one if it repeats itself.
func (c *conversion) diagnosticLine(d syntax.Diagnostic) int {
	if d.At > 0 {
		return d.At
	}
	return d.Line
}

// syntaxError tells of a line that was not understood, or in part.
func (c *conversion) syntaxError(r *report.Record, d syntax.Diagnostic) {
	mark := syntax.Place{File: d.File, Line: r.Line}
	kept := c.statementsOn(mark)
	remedy := "correct the line"
	if c.dialect == "chrony" {
		r.Note(report.Error, "unknown-directive", "delete or correct the line", "chronyd does not know this directive, and does not start with it")
		return
	}
	if lost := lostSecurity(spell.Words(c.lineText(mark))); lost != "" && (len(kept) == 0 || !kept[0].Flag(strings.Fields(lost)[1])) {
		r.Note(report.Dangerous, "lost-setting", remedy, "%s does not do what this line says about %s", c.daemon(), lost)
	}
	if fixed, ok := ntpconf.Repair(c.lineText(mark)); ok {
		remedy = "if it means this, write: " + spell.Show(fixed)
	}
	if len(kept) == 0 {
		r.Did = "nothing: the whole line is ignored"
		code, why := foreignWord(c.lineText(mark))
		if why != "" {
			remedy = "delete the line"
			r.Note(report.Error, code, remedy, "%s ignores this line: %s", c.daemon(), why)
			return
		}
		r.Note(report.Error, "line-lost", remedy, "%s ignores this line for a syntax error (column %d, %s)", c.daemon(), d.Column+1, strings.TrimPrefix(d.Text, "syntax error, "))
		return
	}
	var did []string
	for _, s := range kept {
		did = append(did, ntpconf.Describe(s))
	}
	r.Did = strings.Join(did, "; ")
	r.Note(report.Error, "words-lost", remedy, "%s ignores the end of this line, from column %d on; it does: %s", c.daemon(), d.Column+1, r.Did)
}

func (c *conversion) statementsOn(m syntax.Place) []*syntax.Statement { return c.byLine[m] }

// index makes statements easy to find: hostile files have many.
func (c *conversion) index() {
	c.byWord, c.byLine = make(map[string][]*syntax.Statement), make(map[syntax.Place][]*syntax.Statement)
	for _, s := range c.parsed.Statements {
		c.byWord[s.Word] = append(c.byWord[s.Word], s)
		mark := s.Place()
		c.byLine[mark] = append(c.byLine[mark], s)
	}
}

// unread tells of an included file that was not read.
func (c *conversion) unread(m syntax.Missing) {
	r := c.records[syntax.Place{File: m.File, Line: m.Line}]
	name := spell.Printable(m.Name)
	switch {
	case m.TooDeep:
		r.Note(report.Error, "include-depth", "put the content into the file itself", "%s is not read: ntpd does not include files more than %d deep", name, syntax.MaxIncludeDepth)
	case errors.Is(m.Err, syntax.ErrUnknownHost):
		r.Note(report.Dangerous, "include-unknown", "give the host's root directory with --root", "%s is not at hand: what it sets is missing here", name)
	case errors.Is(m.Err, fs.ErrNotExist):
		r.Note(report.Changed, "include-missing", "delete the line", "%s is not there; ntpd goes on without it", name)
	default:
		r.Note(report.Dangerous, "include-unread", "make the file readable, and convert again", "%s is not read: %v", name, m.Err)
	}
}

// unreadLines marks lines that ntpd never reads.
func (c *conversion) unreadLines() {
	end := c.parsed.Ends
	if end == nil || c.parsed.Fatal != "" && end.Line == 0 {
		return
	}
	n := 0
	for _, r := range c.report.Lines {
		behind := r.Index == end.File && r.Line > end.Line
		for f := end.File; f > 0 && !behind; f = c.parsed.Files[f].By {
			behind = r.Index == c.parsed.Files[f].By && r.Line > c.parsed.Files[f].ByLine
		}
		if !behind || spell.IsComment(c.parsed.Files[r.Index].Lines[r.Line-1]) || len(c.statementsOn(syntax.Place{File: r.Index, Line: r.Line})) > 0 {
			continue
		}
		n++
		r.Note(report.Dangerous, "never-read", "delete what stops ntpd, if these lines are meant to count", "ntpd never reads this line: see %s:%d", c.parsed.Files[end.File].Name, end.Line)
		r.Did = "nothing"
	}
	if r := c.records[syntax.Place{File: end.File, Line: end.Line}]; r != nil && n > 0 {
		r.Note(report.Dangerous, "reading-ends", "delete it", "%s (%d lines)", end.Text, n)
	}
}
