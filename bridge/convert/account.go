package convert

import (
	"errors"
	"io/fs"
	"strings"
)

// account makes a record of every line, and tells what ntpd's parser said.
func (c *conversion) account() {
	c.records = make(map[lineMark]*Record)
	for i, f := range c.parsed.Files {
		for j, text := range f.Lines {
			r := &Record{File: f.Name, Line: j + 1, Text: show(text), Class: Comment, file: i}
			c.report.Lines = append(c.report.Lines, r)
			c.records[lineMark{i, j + 1}] = r
		}
	}
	for _, d := range c.parsed.Diagnostics {
		if r := c.records[lineMark{d.File, c.diagnosticLine(d)}]; r != nil {
			if d.Syntax {
				c.syntaxError(r, d)
			} else {
				r.note(Changed, "value", "correct the value", "%s says: %s", c.daemon(), d.Text)
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
func (c *conversion) diagnosticLine(d Diagnostic) int {
	if d.At > 0 {
		return d.At
	}
	return d.Line
}

// syntaxError tells of a line that was not understood, or in part.
func (c *conversion) syntaxError(r *Record, d Diagnostic) {
	mark := lineMark{d.File, r.Line}
	kept := c.statementsOn(mark)
	remedy := "correct the line"
	if c.dialect == "chrony" {
		r.note(Error, "unknown-directive", "delete or correct the line", "chronyd does not know this directive, and does not start with it")
		return
	}
	if lost := lostSecurity(words(c.lineText(mark))); lost != "" && (len(kept) == 0 || !kept[0].flag(strings.Fields(lost)[1])) {
		r.note(Dangerous, "lost-setting", remedy, "%s does not do what this line says about %s", c.daemon(), lost)
	}
	if fixed, ok := repair(c.lineText(mark)); ok {
		remedy = "if it means this, write: " + show(fixed)
	}
	if len(kept) == 0 {
		r.Did = "nothing: the whole line is ignored"
		code, why := foreignWord(c.lineText(mark))
		if why != "" {
			remedy = "delete the line"
			r.note(Error, code, remedy, "%s ignores this line: %s", c.daemon(), why)
			return
		}
		r.note(Error, "line-lost", remedy, "%s ignores this line for a syntax error (column %d, %s)", c.daemon(), d.Column+1, strings.TrimPrefix(d.Text, "syntax error, "))
		return
	}
	var did []string
	for _, s := range kept {
		did = append(did, describe(s))
	}
	r.Did = strings.Join(did, "; ")
	r.note(Error, "words-lost", remedy, "%s ignores the end of this line, from column %d on; it does: %s", c.daemon(), d.Column+1, r.Did)
}

func (c *conversion) statementsOn(m lineMark) []*Statement { return c.byLine[m] }

// index makes statements easy to find: hostile files have many.
func (c *conversion) index() {
	c.byWord, c.byLine = make(map[string][]*Statement), make(map[lineMark][]*Statement)
	for _, s := range c.parsed.Statements {
		c.byWord[s.Word] = append(c.byWord[s.Word], s)
		mark := lineMark{s.File, s.Line}
		c.byLine[mark] = append(c.byLine[mark], s)
	}
}

// unread tells of an included file that was not read.
func (c *conversion) unread(m Missing) {
	r := c.records[lineMark{m.File, m.Line}]
	name := printable(m.Name)
	switch {
	case m.TooDeep:
		r.note(Error, "include-depth", "put the content into the file itself", "%s is not read: ntpd does not include files more than %d deep", name, maxIncludeDepth)
	case errors.Is(m.Err, errUnknownHost):
		r.note(Dangerous, "include-unknown", "give the host's root directory with --root", "%s is not at hand: what it sets is missing here", name)
	case errors.Is(m.Err, fs.ErrNotExist):
		r.note(Changed, "include-missing", "delete the line", "%s is not there; ntpd goes on without it", name)
	default:
		r.note(Dangerous, "include-unread", "make the file readable, and convert again", "%s is not read: %v", name, m.Err)
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
		behind := r.file == end.File && r.Line > end.Line
		for f := end.File; f > 0 && !behind; f = c.parsed.Files[f].By {
			behind = r.file == c.parsed.Files[f].By && r.Line > c.parsed.Files[f].ByLine
		}
		if !behind || isComment(c.parsed.Files[r.file].Lines[r.Line-1]) || len(c.statementsOn(lineMark{r.file, r.Line})) > 0 {
			continue
		}
		n++
		r.note(Dangerous, "never-read", "delete what stops ntpd, if these lines are meant to count", "ntpd never reads this line: see %s:%d", c.parsed.Files[end.File].Name, end.Line)
		r.Did = "nothing"
	}
	if r := c.records[lineMark{end.File, end.Line}]; r != nil && n > 0 {
		r.note(Dangerous, "reading-ends", "delete it", "%s (%d lines)", end.Text, n)
	}
}
