package ntpd

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"ntsbridge/bridge/convert/chronyconf"
	"ntsbridge/bridge/convert/job"
	"ntsbridge/bridge/convert/ntpconf"
	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/restrict"
	"ntsbridge/bridge/convert/spell"
	"ntsbridge/bridge/convert/syntax"
)

// decide asks about every line of which the daemon lost a word of security,
// and returns the lines to be read as they were meant.
func (c *reader) decide() map[syntax.Place]string {
	fixes := make(map[syntax.Place]string)
	c.fixed = make(map[syntax.Place]string)
	c.running = make(map[syntax.Place]string)
	for _, q := range c.questions() {
		answer := job.LostStop
		if c.Opt.Decide != nil {
			answer = c.Opt.Decide(q.Question)
		}
		switch {
		case answer == job.LostIntended && q.Intended:
			fixes[q.mark] = q.fixed
			if q.drop.Line > 0 {
				fixes[q.drop] = ""
				c.fixed[q.drop] = fmt.Sprintf("as the operator decided, left out: line %d counts", q.Line)
			}
			c.fixed[q.mark] = "as the operator decided, read as it was meant: " + spell.Show(q.fixed)
		case answer == job.LostRunning:
			c.running[q.mark] = q.Written
		default:
			c.Report.Questions = append(c.Report.Questions, q.Question)
		}
	}
	return fixes
}

// question is a Question with what it takes to answer it.
type question struct {
	report.Question
	mark  syntax.Place
	fixed string       // what is read in its place, as it was meant
	drop  syntax.Place // a line that is left out then; Line 0: none
}

// questions finds the lines whose running meaning is weaker than the written.
func (c *reader) questions() []question {
	var list []question
	asked := make(map[syntax.Place]bool)
	for _, d := range c.Parsed.Diagnostics {
		mark := syntax.Place{File: d.File, Line: c.DiagnosticLine(d)}
		if !d.Syntax || asked[mark] {
			continue
		}
		asked[mark] = true
		if q, ok := c.lostWords(mark); ok {
			list = append(list, q)
		}
	}
	for _, q := range slices.Concat(c.lostDuplicates(), c.lostKeys(), c.smears()) {
		if !asked[q.mark] {
			asked[q.mark] = true
			list = append(list, q)
		}
	}
	for _, s := range c.All("restrict") {
		mark := s.Place()
		if asked[mark] {
			continue
		}
		if q, ok := c.lostAddress(s); ok {
			asked[mark] = true
			list = append(list, q)
		}
	}
	return list
}

// lostWords looks at a line with a syntax error.
func (c *reader) lostWords(mark syntax.Place) (question, bool) {
	line := c.LineText(mark)
	list := spell.Words(line)
	if len(list) == 0 {
		return question{}, false
	}
	if q, ok := c.lostAuthenticate(mark); ok {
		return q, ok
	}
	var kept *syntax.Statement
	if on := c.StatementsOn(mark); len(on) > 0 {
		kept = on[len(on)-1]
	}
	directive := spell.Meant(list[0], ntpconf.Repairable)
	fixed, ok := ntpconf.Repair(line)
	var intended *syntax.Statement
	if ok {
		intended = ntpconf.Parse("", []byte(fixed+"\n"), syntax.NoFiles).Statements[0]
	}
	q := question{mark: mark, fixed: fixed}
	q.File, q.Line, q.Text, q.Intended = c.Parsed.Files[mark.File].Name, mark.Line, spell.Show(line), ok
	q.Running = "the whole line is ignored"
	if kept != nil {
		q.Running = ntpconf.Describe(kept)
	}
	lost := false
	switch ntpconf.Canonical(directive) {
	case "restrict":
		q.Code = "lost-restriction"
		lost, q.Written = c.lostRestriction(list, kept, intended)
	case "server":
		q.Code = "lost-authentication"
		lost, q.Written = lostAuthentication(list, kept)
	case "interface":
		q.Code = "lost-interface-rule"
		lost, q.Written = true, "a rule about the network interfaces that are used"
	}
	if !lost {
		return q, false
	}
	q.Do = lostRemedy(q.Question, fixed)
	return q, true
}

func lostRemedy(q report.Question, fixed string) string {
	if q.Intended {
		return fmt.Sprintf("correct the line (probably: %s), or choose --lost intended for that, or --lost running for what the daemon does now",
			spell.Show(fixed))
	}
	return "correct or delete the line, or choose --lost running for what the daemon does now"
}

// restricting are the flags of restrict that take something away which matters
// to a server.
var restricting = strings.Fields("ignore noserve notrust noquery limited version")

// lostRestriction reports whether a restriction runs weaker than it was
// written.
func (c *reader) lostRestriction(list []string, kept, intended *syntax.Statement) (bool, string) {
	if intended != nil {
		want := restrict.ServiceOf(restrict.FlagsOf(intended))
		var have restrict.Service
		if kept != nil {
			have = restrict.ServiceOf(restrict.FlagsOf(kept))
		} else {
			have = restrict.ServiceOf(c.defaultFlags())
		}
		return have.LaxerThan(want), fmt.Sprintf("%v for %s", want, spell.Printable(intended.Address))
	}
	var lost []string
	for _, w := range list[1:] {
		if flag := spell.Meant(w, restricting); flag != "" && (kept == nil || !kept.Flag(flag)) {
			lost = append(lost, flag)
		}
	}
	return len(lost) > 0, "restrict with " + strings.Join(lost, " ")
}

// lostAuthentication reports whether an association runs without the
// authentication that was written. An association that was lost as a whole is
// not weaker: there is none.
func lostAuthentication(list []string, kept *syntax.Statement) (bool, string) {
	if kept == nil {
		return false, ""
	}
	var lost []string
	for i, w := range list[1:] {
		word := spell.Meant(w, []string{"key", "autokey", "nts"})
		if word == "" || kept.Flag(word) || i == 0 {
			continue
		}
		if word == "key" && i+2 < len(list) {
			word += " " + spell.Printable(list[i+2])
		}
		lost = append(lost, word)
	}
	authenticated := kept.Flag("key") || kept.Flag("autokey")
	return len(lost) > 0 && !authenticated, "a source with " + strings.Join(lost, " and ")
}

// lostAddress looks at a restriction that ntpd took and then ignored for its
// address.
func (c *reader) lostAddress(s *syntax.Statement) (question, bool) {
	t := restrict.TargetOf(s, c.Resolve, c.Dialect == "ntpsec")
	short := c.shortNetwork(s)
	if len(t.Addrs) > 0 && t.Lost == "" && short == "" {
		return question{}, false
	}
	want, have := restrict.ServiceOf(restrict.FlagsOf(s)), restrict.ServiceOf(c.defaultFlags())
	if !have.LaxerThan(want) {
		return question{}, false
	}
	if slices.ContainsFunc(c.All("pool"), func(p *syntax.Statement) bool { return p.Address == s.Address }) {
		return question{}, false // nobody can say which addresses a pool has
	}
	mark := s.Place()
	q := question{mark: mark}
	q.File, q.Line, q.Text = c.Parsed.Files[s.File].Name, s.Line, spell.Show(c.Text(s))
	q.Written = fmt.Sprintf("%v for %s", want, spell.Printable(s.Address))
	switch {
	case t.Lost != "" || short != "":
		q.Code, q.Running = "lost-restriction", t.Lost
		if short != "" {
			q.Running = fmt.Sprintf("the number is read as an address: it is about %s", spell.Printable(s.Address))
		}
		if network := cmp.Or(short, s.Address); ntpsecNetwork(network) != "" {
			q.fixed, q.Intended = strings.Replace(c.Text(s), cmp.Or(c.written(s), s.Address), ntpsecNetwork(network), 1), true
		}
		q.Do = lostRemedy(q.Question, q.fixed)
	case t.Bad != "":
		q.Code, q.Running = "lost-restriction", t.Bad
		fixed := "restrict " + strings.Join(ntpconf.RepairRestrict(spell.Words(c.Text(s)))[1:], " ")
		if p := ntpconf.Parse("", []byte(fixed+"\n"), syntax.NoFiles); len(p.Statements) == 1 {
			if again := restrict.TargetOf(p.Statements[0], c.Resolve, false); len(again.Addrs) > 0 {
				q.fixed, q.Intended = fixed, true
			}
		}
		q.Do = lostRemedy(q.Question, q.fixed)
	default:
		q.Code = "restricted-name"
		q.Running = "whatever the name stands for when ntpd starts"
		q.Do = fmt.Sprintf("say which addresses it has: --address %s=ADDRESS, or choose --lost running to go without",
			spell.Printable(s.Address))
	}
	return q, true
}

// written returns the network of a restriction as it was written, if ntpsec
// reads its number as another one; empty: it does not.
func (c *reader) written(s *syntax.Statement) string {
	_, length, hasLength := strings.Cut(s.Address, "/")
	if host := c.numbers[s]; host != "" && hasLength {
		return host + "/" + length
	}
	return ""
}

// shortNetwork returns a network that was cut short, such as 10.1/16, which
// ntpsec reads as another one: 10.0.0.1/16.
func (c *reader) shortNetwork(s *syntax.Statement) string {
	p, isName, ok := chronyconf.Subnet(c.written(s))
	if !ok || isName || p.String() == s.Address {
		return ""
	}
	if read, err := netip.ParsePrefix(s.Address); err == nil && read.Masked() == p {
		return ""
	}
	return c.written(s)
}

// ntpsecNetwork spells a network so that ntpsec reads it; empty: it is none.
func ntpsecNetwork(text string) string {
	p, isName, ok := chronyconf.Subnet(text)
	switch {
	case !ok || isName:
		return ""
	case p.Bits() > 0:
		return p.String()
	}
	return fmt.Sprintf("%s mask %s", p.Addr(), restrict.PrefixMask(p.Addr(), 0))
}

// lostSecurity names the setting of a line whose loss is dangerous although
// nothing is asked, since what is written does not depend on it.
func lostSecurity(list []string) string {
	if len(list) == 0 {
		return ""
	}
	directive := ntpconf.Canonical(spell.Meant(list[0], ntpconf.Repairable))
	var candidates []string
	switch directive {
	case "tos":
		candidates = []string{"minsane"}
	case "tinker":
		candidates = []string{"panic"}
	case "disable":
		candidates = []string{"ntp"}
	default:
		return ""
	}
	for _, w := range list[1:] {
		if m := spell.Meant(w, candidates); m != "" && slices.Contains(candidates, m) {
			return directive + " " + m
		}
	}
	return ""
}
