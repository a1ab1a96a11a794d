package job

import (
	"slices"
	"strings"

	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/spell"
	"ntsbridge/bridge/convert/syntax"
)

// Ledger accounts for the words of lines: each is used by what is written, or
// something is said of it. What is neither is lost, and said to be.
type Ledger struct {
	used map[entry]bool
}

type entry struct {
	line *syntax.Statement
	word string
}

// Use notes that words of a line were used, or spoken of.
func (l *Ledger) Use(s *syntax.Statement, words ...string) {
	if l.used == nil {
		l.used = make(map[entry]bool)
	}
	for _, w := range words {
		l.used[entry{s, w}] = true
	}
}

// Unused returns those of the words of a line that were not used.
func (l *Ledger) Unused(s *syntax.Statement, words []string) (list []string) {
	for _, w := range words {
		if !l.used[entry{s, w}] && !slices.Contains(list, w) {
			list = append(list, w)
		}
	}
	return list
}

// Lost says which of the words of a line are not carried over; it reports
// whether there are any.
func (c *Job) Lost(s *syntax.Statement, class report.Class, words []string, why string) bool {
	unused := c.Ledger.Unused(s, words)
	if len(unused) == 0 {
		return false
	}
	for i, w := range unused {
		unused[i] = spell.Printable(w)
	}
	verb := "is"
	if len(unused) > 1 {
		verb = "are"
	}
	c.Record(s).Note(class, "word-lost", "", "%s %s not carried over: %s", strings.Join(unused, ", "), verb, why)
	c.Ledger.Use(s, words...)
	return true
}

// NamedWords are the names of the options of a line of ntp.conf.
func NamedWords(s *syntax.Statement) (list []string) {
	for _, o := range s.Options {
		if o.Name != "" {
			list = append(list, o.Name)
		}
	}
	return list
}
