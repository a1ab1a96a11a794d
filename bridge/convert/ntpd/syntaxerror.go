package ntpd

import (
	"strings"

	"ntsbridge/bridge/convert/dialect"
	"ntsbridge/bridge/convert/ntpconf"
	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/spell"
	"ntsbridge/bridge/convert/syntax"
)

// syntaxError tells of a line that was not understood, or in part.
func (c *reader) syntaxError(r *report.Record, d syntax.Diagnostic) {
	mark := syntax.Place{File: d.File, Line: r.Line}
	kept := c.StatementsOn(mark)
	remedy := "correct the line"
	if lost := lostSecurity(spell.Words(c.LineText(mark))); lost != "" && (len(kept) == 0 || !kept[0].Flag(strings.Fields(lost)[1])) {
		r.Note(report.Dangerous, "lost-setting", remedy, "%s does not do what this line says about %s", c.Daemon(), lost)
	}
	if fixed, ok := ntpconf.Repair(c.LineText(mark)); ok && fixed == strings.Join(spell.Words(c.LineText(mark)), " ") {
		remedy = "delete what " + c.Daemon() + " does not know" // it is right in another daemon
	} else if ok {
		remedy = "if it means this, write: " + spell.Show(fixed)
	}
	if len(kept) == 0 {
		r.Did = "nothing: the whole line is ignored"
		code, why := dialect.ForeignWord(c.LineText(mark))
		if why != "" {
			remedy = "delete the line"
			r.Note(report.Error, code, remedy, "%s ignores this line: %s", c.Daemon(), why)
			return
		}
		r.Note(report.Error, "line-lost", remedy, "%s ignores this line for a syntax error (column %d, %s)", c.Daemon(), d.Column+1,
			strings.TrimPrefix(d.Text, "syntax error, "))
		return
	}
	var did []string
	for _, s := range kept {
		did = append(did, ntpconf.Describe(s))
	}
	r.Did = strings.Join(did, "; ")
	r.Note(report.Error, "words-lost", remedy, "%s ignores the end of this line, from column %d on; it does: %s", c.Daemon(), d.Column+1,
		r.Did)
}
