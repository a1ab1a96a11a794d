package convert

import (
	"fmt"
	"slices"
	"strings"
)

// decide asks about every line of which the daemon lost a word of security,
// and returns the lines to be read as they were meant.
func (c *conversion) decide() map[lineMark]string {
	fixes := make(map[lineMark]string)
	c.model.fixed = make(map[lineMark]string)
	c.model.running = make(map[lineMark]string)
	for _, q := range c.questions() {
		answer := LostStop
		if c.opt.Decide != nil {
			answer = c.opt.Decide(q.Question)
		}
		switch {
		case answer == LostIntended && q.Intended:
			fixes[q.mark] = q.fixed
			c.model.fixed[q.mark] = "as the operator decided, read as it was meant: " + show(q.fixed)
		case answer == LostRunning:
			c.model.running[q.mark] = q.Written
		default:
			c.report.Questions = append(c.report.Questions, q.Question)
		}
	}
	return fixes
}

// question is a Question with what it takes to answer it.
type question struct {
	Question
	mark  lineMark
	fixed string
}

// questions finds the lines whose running meaning is weaker than the written.
func (c *conversion) questions() []question {
	var list []question
	asked := make(map[lineMark]bool)
	for _, d := range c.parsed.Diagnostics {
		mark := lineMark{d.File, c.diagnosticLine(d)}
		if !d.Syntax || asked[mark] {
			continue
		}
		asked[mark] = true
		if q, ok := c.lostWords(mark); ok {
			list = append(list, q)
		}
	}
	for _, s := range c.all("restrict") {
		mark := lineMark{s.File, s.Line}
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
func (c *conversion) lostWords(mark lineMark) (question, bool) {
	line := c.lineText(mark)
	list := words(line)
	if len(list) == 0 {
		return question{}, false
	}
	var kept *Statement
	if on := c.statementsOn(mark); len(on) > 0 {
		kept = on[len(on)-1]
	}
	directive := meant(list[0], repairable)
	fixed, ok := repair(line)
	var intended *Statement
	if ok {
		intended = ParseNTP("", []byte(fixed+"\n"), NoFiles).Statements[0]
	}
	q := question{mark: mark, fixed: fixed}
	q.File, q.Line, q.Text, q.Intended = c.parsed.Files[mark.file].Name, mark.line, show(line), ok
	q.Running = "the whole line is ignored"
	if kept != nil {
		q.Running = describe(kept)
	}
	lost := false
	switch canonical(directive) {
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

func lostRemedy(q Question, fixed string) string {
	if q.Intended {
		return fmt.Sprintf("correct the line (probably: %s), or choose --lost intended for that, or --lost running for what the daemon does now", show(fixed))
	}
	return "correct or delete the line, or choose --lost running for what the daemon does now"
}

// restricting are the flags of restrict that take something away which matters
// to a server.
var restricting = strings.Fields("ignore noserve notrust noquery limited version")

// lostRestriction reports whether a restriction runs weaker than it was
// written.
func (c *conversion) lostRestriction(list []string, kept, intended *Statement) (bool, string) {
	if intended != nil {
		want := serviceOf(flagsOf(intended))
		var have service
		if kept != nil {
			have = serviceOf(flagsOf(kept))
		} else {
			have = serviceOf(c.defaultFlags())
		}
		return have.laxerThan(want), fmt.Sprintf("%v for %s", want, printable(intended.Address))
	}
	var lost []string
	for _, w := range list[1:] {
		if flag := meant(w, restricting); flag != "" && (kept == nil || !kept.flag(flag)) {
			lost = append(lost, flag)
		}
	}
	return len(lost) > 0, "restrict with " + strings.Join(lost, " ")
}

// defaultFlags returns what holds for an address without an entry of its own:
// the flags that both families' defaults have.
func (c *conversion) defaultFlags() restrictSet {
	var four, six restrictSet
	for _, s := range c.all("restrict") {
		if !s.Keyword || s.Address != "default" {
			continue
		}
		if s.Family != "-6" {
			four |= flagsOf(s)
		}
		if s.Family != "-4" {
			six |= flagsOf(s)
		}
	}
	return four&six | c.builtIn()
}

// lostAuthentication reports whether an association runs without the
// authentication that was written. An association that was lost as a whole is
// not weaker: there is none.
func lostAuthentication(list []string, kept *Statement) (bool, string) {
	if kept == nil {
		return false, ""
	}
	var lost []string
	for i, w := range list[1:] {
		word := meant(w, []string{"key", "autokey", "nts"})
		if word == "" || kept.flag(word) || i == 0 {
			continue
		}
		if word == "key" && i+2 < len(list) {
			word += " " + printable(list[i+2])
		}
		lost = append(lost, word)
	}
	authenticated := kept.flag("key") || kept.flag("autokey")
	return len(lost) > 0 && !authenticated, "a source with " + strings.Join(lost, " and ")
}

// lostAddress looks at a restriction that ntpd took and then ignored for its
// address.
func (c *conversion) lostAddress(s *Statement) (question, bool) {
	t := targetOf(s, c.resolve, c.dialect == "ntpsec")
	if len(t.addrs) > 0 {
		return question{}, false
	}
	want, have := serviceOf(flagsOf(s)), serviceOf(c.defaultFlags())
	if !have.laxerThan(want) {
		return question{}, false
	}
	mark := lineMark{s.File, s.Line}
	q := question{mark: mark}
	q.File, q.Line, q.Text = c.parsed.Files[s.File].Name, s.Line, show(c.text(s))
	q.Written = fmt.Sprintf("%v for %s", want, printable(s.Address))
	switch {
	case t.bad != "":
		q.Code, q.Running = "lost-restriction", t.bad
		fixed := "restrict " + strings.Join(repairRestrict(words(c.text(s)))[1:], " ")
		if p := ParseNTP("", []byte(fixed+"\n"), NoFiles); len(p.Statements) == 1 {
			if again := targetOf(p.Statements[0], c.resolve, false); len(again.addrs) > 0 {
				q.fixed, q.Intended = fixed, true
			}
		}
		q.Do = lostRemedy(q.Question, q.fixed)
	default:
		q.Code = "restricted-name"
		q.Running = "whatever the name stands for when ntpd starts"
		q.Do = fmt.Sprintf("say which addresses it has: --address %s=ADDRESS, or choose --lost running to go without", printable(s.Address))
	}
	return q, true
}

// resolve returns the addresses of a name, as far as they were given.
func (c *conversion) resolve(name string) (list addrs) {
	if a, ok := c.opt.Addresses[name]; ok {
		return a
	}
	if strings.EqualFold(name, "localhost") {
		return addrs{local4, local6}
	}
	return nil
}

// lostSecurity names the setting of a line whose loss is dangerous although
// nothing is asked, since what is written does not depend on it.
func lostSecurity(list []string) string {
	if len(list) == 0 {
		return ""
	}
	directive := canonical(meant(list[0], repairable))
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
		if m := meant(w, candidates); m != "" && slices.Contains(candidates, m) {
			return directive + " " + m
		}
	}
	return ""
}
