package ntpd

import (
	"fmt"
	"net/netip"
	"strings"

	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/spell"
	"ntsbridge/bridge/convert/syntax"
)

// association is what ntpd tells associations apart by: a second line with the
// same is refused when it runs, whatever its options are; lines of two kinds for
// one address are two associations (testdata/oracle/duplicates.txt).
type association struct{ kind, address, family string }

func (c *reader) associationOf(s *syntax.Statement) association {
	a := association{s.Word, strings.ToLower(s.Address), ""}
	if a.kind == "peer" && c.Dialect == "ntpsec" {
		a.kind = "server"
	}
	if addr, err := netip.ParseAddr(s.Address); err == nil {
		a.address = addr.Unmap().String()
	} else if a.family = s.Family; a.family == "" {
		a.family = c.Start.Family
	}
	return a
}

// earlier returns the line that makes ntpd refuse another one: that with the same
// association, or, for a name, one that leaves open of which family its
// address is.
func earlier(seen map[association]*syntax.Statement, a association) *syntax.Statement {
	if s := seen[a]; s != nil {
		return s
	}
	if a.family != "" {
		return seen[association{a.kind, a.address, ""}]
	}
	for _, family := range []string{"-4", "-6"} {
		if s := seen[association{a.kind, a.address, family}]; s != nil {
			return s
		}
	}
	return nil
}

// associations are the directives that make them.
var associations = []string{"server", "pool", "peer", "broadcast", "manycastclient"}

// authentication says how a line is authenticated; empty: not at all.
func authentication(s *syntax.Statement) string {
	switch {
	case s.Flag("nts"):
		return "nts"
	case s.Flag("autokey"):
		return "autokey"
	case s.Flag("key"):
		return "key " + s.Value("key")
	}
	return ""
}

// lostDuplicates finds lines with authentication that ntpd refuses for one
// without.
func (c *reader) lostDuplicates() (list []question) {
	first := make(map[association]*syntax.Statement)
	for _, s := range c.All(associations...) {
		a := c.associationOf(s)
		kept := earlier(first, a)
		if kept == nil {
			first[a] = s
			continue
		}
		lost := authentication(s)
		if lost == "" || authentication(kept) != "" {
			continue
		}
		q := question{mark: s.Place(), fixed: c.Text(s), drop: kept.Place()}
		q.File, q.Line, q.Text, q.Code = c.Parsed.Files[s.File].Name, s.Line, spell.Show(c.Text(s)), "lost-authentication"
		q.Written = "a source with " + lost
		q.Running = fmt.Sprintf("line %d has the same address: this line is refused, and %s has no authentication", kept.Line,
			spell.Printable(s.Address))
		q.Do = fmt.Sprintf("delete line %d, or choose --lost intended for that, or --lost running for what the daemon does now", kept.Line)
		q.Intended = true
		list = append(list, q)
	}
	return list
}

// lostKeys finds sources with key 0, which is none.
func (c *reader) lostKeys() (list []question) {
	for _, s := range c.All(associations...) {
		o, ok := s.Last("key")
		if !ok || o.Int != 0 || s.Refclock() || s.Flag("autokey") || s.Flag("nts") {
			continue
		}
		q := question{mark: s.Place(), fixed: c.Text(s)}
		q.File, q.Line, q.Text, q.Code = c.Parsed.Files[s.File].Name, s.Line, spell.Show(c.Text(s)), "lost-authentication"
		q.Written = "a source with key 0"
		q.Running = fmt.Sprintf("0 is no key to %s: %s has no authentication", c.Daemon(), spell.Printable(s.Address))
		q.Do = "give the number of a key, or choose --lost running for what the daemon does now"
		list = append(list, q)
	}
	return list
}

// lostAuthenticate finds xntp3's switch that made every source need a key.
func (c *reader) lostAuthenticate(mark syntax.Place) (q question, ok bool) {
	list := spell.Words(c.LineText(mark))
	if list[0] != "authenticate" || len(list) > 1 && list[1] != "yes" {
		return q, false
	}
	for _, s := range c.All(associations...) {
		if !s.Refclock() && authentication(s) == "" {
			q.mark = mark
			q.File, q.Line, q.Text, q.Code = c.Parsed.Files[mark.File].Name, mark.Line, spell.Show(c.LineText(mark)), "lost-authentication"
			q.Written = "time from sources with a key only (xntp3)"
			q.Running = fmt.Sprintf("%s does not know the word, and follows %s without authentication", c.Daemon(),
				spell.Printable(s.Address))
			q.Do = "give every source a key and delete the line, or choose --lost running for what the daemon does now"
			return q, true
		}
	}
	return q, false
}

// smears finds leapsmearinterval, which the usual ntpd is built without.
func (c *reader) smears() (list []question) {
	lines := c.All("leapsmearinterval")
	if len(lines) == 0 || lines[len(lines)-1].Options[0].Int <= 0 {
		return nil
	}
	s := lines[len(lines)-1]
	q := question{mark: s.Place(), fixed: c.Text(s)}
	q.File, q.Line, q.Text, q.Code = c.Parsed.Files[s.File].Name, s.Line, spell.Show(c.Text(s)), "leap-smear"
	q.Written = fmt.Sprintf("leap seconds smeared over %d s", s.Options[0].Int)
	q.Running = "nothing, unless ntpd was built for it, which those of distributions are not: clients get the leap second as it is"
	q.Do = "delete the line, or choose --lost intended if the old server really smeared, or --lost running if not; never mix the two"
	q.Intended = true
	return []question{q}
}

// refused drops the lines that ntpd refuses for an earlier one; it reports
// whether s is one.
func (c *reader) refused(seen map[association]*syntax.Statement, s *syntax.Statement) bool {
	a := c.associationOf(s)
	first := earlier(seen, a)
	if first == nil {
		seen[a] = s
		return false
	}
	if seen[a] == nil {
		c.Record(s).Note(report.Changed, "duplicate-source", "give both lines a family: -4 for one, and -6 for the other",
			"line %d has the same name, and one of the two no family: %s refuses the second, if the name's first address is of the other's; here it is left out",
			first.Line, c.Daemon())
		return true
	}
	class, what := report.Folded, ""
	if authentication(first) != authentication(s) {
		class, what = report.Changed, ", whose authentication counts"
	}
	c.Record(s).Note(class, "duplicate-source", "delete one of the two",
		"line %d has the same address%s: %s refuses a second %s for it", first.Line, what, c.Daemon(), s.Word)
	return true
}
