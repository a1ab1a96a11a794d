package job

import (
	"cmp"
	"slices"
	"strings"

	"ntsbridge/bridge/convert/chronyconf"
	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/spell"
	"ntsbridge/bridge/convert/syntax"
)

// Ledger accounts for the words of lines: each becomes something in the output,
// is spoken of in the report, or says what holds anyway. What is none of these
// is lost, and said to be.
type Ledger struct {
	fates map[entry]string
	gone  map[*syntax.Statement]map[int]bool // options that a later one of the same name replaces
}

type entry struct {
	line *syntax.Statement
	word string
}

// Use notes that words of a line were used by what is written.
func (l *Ledger) Use(s *syntax.Statement, words ...string) { l.Tell(s, FateWritten, words...) }

// Tell notes what became of words of a line; the first account of a word stays.
func (l *Ledger) Tell(s *syntax.Statement, fate string, words ...string) {
	if l.fates == nil {
		l.fates = make(map[entry]string)
	}
	for _, w := range words {
		if at := (entry{s, w}); l.fates[at] == "" {
			l.fates[at] = fate
		}
	}
}

// What becomes of a word; an option of ntsbridge has its path.
const (
	FateWritten = "written"
	FateSaid    = "said: "  // with the code of a finding
	FateHolds   = "holds: " // with the reason
)

// Unused returns those of the words of a line that are not accounted for.
func (l *Ledger) Unused(s *syntax.Statement, words []string) (list []string) {
	for _, w := range words {
		if l.fates[entry{s, w}] == "" && !slices.Contains(list, w) {
			list = append(list, w)
		}
	}
	return list
}

// Lost says which of the words of a line are not carried over; it reports
// whether there are any.
func (c *Job) Lost(s *syntax.Statement, class report.Class, words []string, why string) bool {
	return c.lose(s, class, words, why, "")
}

func (c *Job) lose(s *syntax.Statement, class report.Class, words []string, why, do string) bool {
	unused := c.Ledger.Unused(s, words)
	if len(unused) == 0 {
		return false
	}
	shown := make([]string, len(unused))
	for i, w := range unused {
		shown[i] = spell.Printable(cmp.Or(w, "the value"))
	}
	verb := "is"
	if len(unused) > 1 {
		verb = "are"
	}
	c.Record(s).Note(class, "word-lost", do, "%s %s not carried over: %s", strings.Join(shown, ", "), verb, why)
	c.Ledger.Tell(s, FateSaid+"word-lost", unused...)
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

// Words are the names of the words of a line; what has no name of its own is
// the empty one.
func (c *Job) Words(s *syntax.Statement) (list []string) {
	if c.Dialect == "chrony" {
		list = chronyconf.Words(s)
	} else {
		for _, o := range s.Options {
			list = append(list, o.Name)
		}
		if s.Word == "statistics" || s.Word == "reset" {
			list = slices.Repeat([]string{""}, len(s.Options)) // names of files and counters
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// addsUp are the directives of ntp.conf of which each word counts as it was
// given last, on whatever line that is.
var addsUp = strings.Fields("tos tinker crypto mru discard limit rlimit")

// replaced finds the words that a later one of the same name replaces, and says
// so on their lines.
func (c *Job) replaced() {
	c.Ledger.gone = make(map[*syntax.Statement]map[int]bool)
	later := make(map[string]*syntax.Statement)
	for _, s := range slices.Backward(c.Parsed.Statements) {
		if c.Dialect == "chrony" {
			return
		}
		prefix := s.Word + " "
		switch {
		case slices.Contains(addsUp, s.Word):
		case slices.Contains(repeats, s.Word):
			continue
		default:
			later = make(map[string]*syntax.Statement) // within the line
		}
		for i, o := range slices.Backward(s.Options) {
			name := prefix + o.Name
			if other := sameKnob[name]; other != "" {
				name = other
			}
			by := later[name]
			switch {
			case o.Name == "":
				continue
			case by == nil:
				later[name] = s
				continue
			}
			c.replacedBy(s, i, by)
		}
	}
}

// sameKnob are words that set the same as another one, in other units.
var sameKnob = map[string]string{"mru maxmem": "mru maxdepth", "mru initmem": "mru initalloc", "mru incmem": "mru incalloc"}

// repeats are the directives whose words do not replace one another.
var repeats = strings.Fields("multicastclient manycastserver pollskewlist enable disable statistics reset restrict unrestrict")

func (c *Job) replacedBy(s *syntax.Statement, at int, by *syntax.Statement) {
	if c.Ledger.gone[s] == nil {
		c.Ledger.gone[s] = make(map[int]bool)
	}
	c.Ledger.gone[s][at] = true
	o := s.Options[at]
	text := spell.Printable(strings.TrimSpace(o.Name + " " + o.Text))
	if s.Word == "crypto" {
		text = o.Name // which may have a password
	}
	if by == s {
		again := slices.ContainsFunc(s.Options[at+1:], func(later syntax.Option) bool { return later.Name == o.Name })
		last, _ := s.Last(o.Name)
		if !again || last.Text != o.Text {
			c.Record(s).Note(report.Folded, "word-replaced", "delete it", "%s: the same is set behind it, and the last one counts", text)
		}
		if !again {
			c.Ledger.Tell(s, FateSaid+"word-replaced", o.Name)
		}
		return
	}
	c.Record(s).Note(report.Folded, "word-replaced", "delete it", "%s: line %d has it too, and the last one counts", text, by.Line)
	c.Ledger.Tell(s, FateSaid+"word-replaced", o.Name)
}

// Live returns the options of a line that no later one replaces.
func (c *Job) Live(s *syntax.Statement) (list []syntax.Option) {
	for i, o := range s.Options {
		if !c.Ledger.gone[s][i] {
			list = append(list, o)
		}
	}
	return list
}
