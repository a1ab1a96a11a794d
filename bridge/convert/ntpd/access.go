package ntpd

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/convert/job"
	"ntsbridge/bridge/convert/ntpconf"
	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/restrict"
	"ntsbridge/bridge/convert/spell"
	"ntsbridge/bridge/convert/syntax"
)

// build works out the effective configuration and accounts for every
// statement.
func (c *reader) build() {
	c.buildRunning()
	c.buildRestricts()
	c.buildLimits()
	c.buildListen()
	c.extraPort()
	c.buildKeys()
	c.buildAutokey()
	c.buildSources()
	c.buildOrphan()
	c.buildClock()
	c.buildOthers()
	c.traps()
}

// buildRunning notes the lines of which the weaker meaning is converted.
func (c *reader) buildRunning() {
	for mark, written := range c.running {
		c.Records[mark].Note(report.Dangerous, "running-meaning", "correct the line before it is taken for what it says",
			"as the operator decided, what %s does is converted, not what was written: %s", c.Daemon(), written)
	}
}

// buildRestricts makes ntpd's list.
func (c *reader) buildRestricts() {
	l := &restrict.List{}
	l.Add(restrict.Any4, restrict.Any4, c.builtIn(), nil)
	l.Add(restrict.Any6, restrict.Any6, c.builtIn(), nil)
	c.Model.Restricts = l
	for _, s := range c.All("restrict", "unrestrict") {
		r := c.Record(s)
		flags := restrict.FlagsOf(s)
		if s.Keyword && s.Address == "source" {
			c.restrictSource(l, s)
			continue
		}
		t := restrict.TargetOf(s, c.Resolve, c.Dialect == "ntpsec")
		if len(t.Addrs) == 0 {
			c.restrictNowhere(s, t)
			continue
		}
		if t.Lost != "" {
			r.Note(report.Changed, "restrict-length", "write a mask, or delete the length", "%s", t.Lost)
		}
		for i, a := range t.Addrs {
			if s.Word == "unrestrict" {
				if !l.Remove(a, t.Masks[i], s) {
					r.Note(report.Obsolete, "unrestrict", "delete the line", "there is no entry to take flags from")
				} else if flags != 0 {
					c.takenBack(s)
				}
				continue
			}
			l.Add(a, t.Masks[i], flags, s)
		}
		if s.Refclock() {
			r.Note(report.Obsolete, "restrict-refclock", "", "a restriction for a reference clock has no effect")
		}
		c.restrictFlags(s, flags)
	}
	c.sourceEntries(l)
	rules, left := restrict.Rules(l)
	c.Model.Rules = rules
	for _, e := range left {
		for _, s := range e.Lines {
			c.Record(s).Note(report.Dangerous, "mask", "write the networks one by one",
				"the mask %v has so many holes that it cannot be said with prefixes; the line is missing in the output", e.Mask)
			c.maskQuestion(s, e)
		}
	}
	for i := range rules {
		c.Model.Limited = c.Model.Limited || rules[i].Service.Limited && !rules[i].Service.Kod
		c.Model.Kod = c.Model.Kod || rules[i].Service.Kod
	}
	table, err := restrict.Table(rules, restrict.DefaultLimits())
	if err != nil {
		c.Report.Note(report.Error, "access", "", "the access rules do not make a table: %v", err)
		return
	}
	c.Report.Access = restrict.Compare(l, table)
	c.Differences()
}

// takenBack tells of the flags that unrestrict takes from an earlier line.
func (c *reader) takenBack(s *syntax.Statement) {
	words := job.NamedWords(s)
	taken := strings.Join(words, ", ")
	for _, from := range c.All("restrict") {
		if from.Address != s.Address || from.Mask != s.Mask || from.Line >= s.Line && from.File == s.File {
			continue
		}
		var lost []string
		for _, w := range words {
			if from.Flag(w) {
				lost = append(lost, w)
			}
		}
		if slices.Contains(lost, "limited") && from.Flag("kod") {
			lost = append(lost, "kod") // which does nothing alone
		}
		if len(lost) > 0 {
			c.Record(from).Note(report.Folded, "taken-back", "delete the words, and those of line "+fmt.Sprint(s.Line),
				"line %d takes %s back", s.Line, taken)
			c.Ledger.Tell(from, job.FateSaid+"taken-back", lost...)
		}
	}
	c.Record(s).Note(report.Folded, "unrestrict", "delete the words there, and the line",
		"it takes %s from what an earlier line gives", taken)
	c.Ledger.Tell(s, job.FateSaid+"unrestrict", words...)
}

// maskQuestion asks about a restriction that cannot be written, if going
// without it would give anybody more.
func (c *reader) maskQuestion(s *syntax.Statement, e *restrict.Entry) {
	want, have := restrict.ServiceOf(e.Flags), restrict.ServiceOf(c.defaultFlags())
	if !have.LaxerThan(want) {
		return
	}
	q := report.Question{
		File: c.Parsed.Files[s.File].Name, Line: s.Line, Text: spell.Show(c.Text(s)), Code: "mask",
		Written: want.String(), Running: "the same; but the output would have: " + have.String(),
		Do: "write the networks one by one, or choose --lost running to go without the line",
	}
	if c.Opt.Decide == nil || c.Opt.Decide(q) != job.LostRunning {
		c.Report.Questions = append(c.Report.Questions, q)
	}
}

// restrictSource notes the template for sources: a second one replaces the
// first.
func (c *reader) restrictSource(l *restrict.List, s *syntax.Statement) {
	r := c.Record(s)
	if l.Source != nil {
		c.Record(l.Source).Note(report.Folded, "overridden", "delete the line", "line %d replaces it: there is one template only", s.Line)
	}
	l.Source = s
	r.Note(report.Folded, "restrict-source", "", "what a time source sends is judged by the source itself here; for what it asks it has an access rule like any client")
	if !restrict.FlagsOf(s).Has(restrict.FlagNoQuery) && c.defaultFlags().Has(restrict.FlagNoQuery) {
		r.Note(report.Changed, "source-queries", "",
			"ntpd let every time source query it, since this line lacks noquery while the default has it; they may not any more")
	}
}

// restrictNowhere tells of a restriction without a known address.
func (c *reader) restrictNowhere(s *syntax.Statement, t restrict.Target) {
	r := c.Record(s)
	switch {
	case t.Bad != "":
		r.Did = "nothing"
		fixed, _ := ntpconf.Repair(c.Text(s))
		do := "delete the line"
		if fixed == strings.Join(spell.Words(c.Text(s)), " ") {
			fixed, do = "", "write a mask such as 255.255.255.0, or delete the line"
		}
		if fixed != "" && !strings.Contains(fixed, "/") {
			do = "if it should count, write: " + spell.Show(fixed)
		}
		r.Note(report.Error, "restrict-ignored", do, "%s", t.Bad)
	case c.isSource(s.Address):
		why := "it needs no access rule to be one"
		if f := restrict.FlagsOf(s); f.Has(restrict.FlagIgnore | restrict.FlagNoServe | restrict.FlagNoTrust) {
			why = "what it sends is judged by the source itself here, and requests from its address by the rules that are left"
		}
		r.Note(report.Folded, "restrict-server", "if this host asks us for time, write an access rule with its address",
			"%s is a time source: %s", spell.Printable(s.Address), why)
	default:
		r.Note(report.Dangerous, "restrict-name", "say which addresses it has: --address "+spell.Printable(s.Address)+"=ADDRESS",
			"no name server is asked: without the address of %s there is no rule for it, and it falls under the default",
			spell.Printable(s.Address))
	}
}

// isSource reports whether a name is one of an association's.
func (c *reader) isSource(name string) bool {
	if c.sourceNames == nil {
		c.sourceNames = make(map[string]bool)
		for _, s := range c.All("server", "pool", "peer") {
			c.sourceNames[s.Address] = true
		}
	}
	return c.sourceNames[name]
}

// restrictFlags tells what becomes of the flags.
func (c *reader) restrictFlags(s *syntax.Statement, f restrict.Set) {
	r := c.Record(s)
	if f.Has(restrict.FlagEPeer) {
		r.Note(report.Error, "epeer", "delete the word", "ntpd aborts when it applies the flag epeer")
	}
	if f.Has(restrict.FlagKod) && !f.Has(restrict.FlagLimited) {
		r.Note(report.Folded, "kod-alone", "add limited if a rate limit was meant",
			"kod without limited does nothing in ntpd: there was no rate limit")
	}
	if f.Has(restrict.FlagNoTrust) {
		r.Note(report.Changed, "notrust", "",
			"notrust makes authentication a must for requests from there (and NTS counts); before ntpd 4.2 it only meant not to use these hosts as sources")
	}
	switch {
	case !f.Has(restrict.FlagMSSNTP):
	case restrict.ServiceOf(f).MSSNTP:
		r.Note(report.Kept, "mssntp", "let the daemon's user into the group of the directory of Samba's socket",
			"Samba signs the answers to members of the domain, as before; meanwhile other clients are served")
	default:
		r.Note(report.Folded, "mssntp-alone", "", "mssntp does nothing here, since the other flags refuse requests without authentication")
	}
	if f.Has(restrict.FlagFlake | restrict.FlagFuzz) {
		r.Note(report.Changed, "restrict-odd", "", "flake and serverresponse fuzz are not offered: answers are complete")
	}
	if f.Has(restrict.FlagLimited) && c.Dialect == "ntp" {
		r.Note(report.Approximated, "limited", "", "the rate limit is a bucket of %d requests in place of ntpd's average",
			restrict.LimitBurst)
	}
	if !f.Has(restrict.FlagIgnore|restrict.FlagNoModify) && !f.Has(restrict.FlagNoQuery) && c.controlled() {
		r.Note(report.Changed, "modify", "",
			"without nomodify ntpd takes changes of its settings over the network, with the controlkey; here they are never taken")
	}
	if o, ok := s.Last("ippeerlimit"); ok {
		r.Note(report.Folded, "ippeerlimit", "", "ippeerlimit %s: strangers never make associations here", o.Text)
	}
}

// controlled reports whether the configuration names a key for changes over
// the network: without one, ntpd takes none.
func (c *reader) controlled() bool {
	list := c.All("controlkey")
	return len(list) > 0 && list[len(list)-1].Options[0].Int != 0
}

// buildLimits reads discard and mru.
func (c *reader) buildLimits() {
	m := &c.Model
	m.Limits = restrict.DefaultLimits()
	needed := m.Limited || m.Kod
	for _, s := range c.All("discard") {
		r := c.Record(s)
		for _, o := range c.Live(s) {
			switch o.Name {
			case "average":
				c.average(r, o.Int)
			case "minimum":
				m.Limits.Minimum = time.Duration(max(c.Bounded(s, "minimum", float64(o.Int), 0, 3601)-1, 0)) * time.Second
			case "monitor":
				r.Note(report.Obsolete, "discard-monitor", "", "discard monitor steered ntpd's list of clients")
			}
		}
		m.Limits.Lines = append(m.Limits.Lines, s)
		if !needed {
			r.Note(report.Obsolete, "discard-unused", "", "no restriction has limited, so that discard has no effect")
		}
	}
	for _, s := range c.All("mru") {
		c.buildMRU(s)
	}
	if c.Dialect == "ntpsec" {
		c.ntpsecLimits()
	}
}

func (c *reader) average(r *report.Record, log2 int64) {
	if log2 < 0 || log2 > 16 {
		r.Note(report.Error, "discard-average", "write 0 to 16",
			"discard average %d is a power of two in seconds out of every use; the default %d is written", log2, restrict.DefaultAverage)
		return
	}
	c.Model.Limits.Interval = time.Second << log2
}

// buildMRU turns the size of ntpd's list of clients into that of the limiter.
func (c *reader) buildMRU(s *syntax.Statement) {
	r := c.Record(s)
	for _, o := range c.Live(s) {
		entries := o.Int
		switch o.Name {
		case "maxmem":
			entries = o.Int * 1024 / 96 // about ntpd's size of an entry
		case "maxdepth":
		default:
			r.Note(report.Obsolete, "mru-other", "", "mru %s: the list of clients has a fixed size, and needs no other settings", o.Name)
			continue
		}
		c.Model.Clients = int(min(max(entries, 1<<12), 1<<24))
		c.Model.ClientSize = s
	}
	if c.Model.ClientSize == s {
		r.Note(report.Approximated, "mru", "", "the list of clients has room for %d addresses from the start on (%d at least), and never grows", c.Model.Clients, 1<<12)
	}
}

// buildListen turns interface rules into what the server listens on.
func (c *reader) buildListen() {
	list := c.All("interface")
	m := &c.Model
	if len(list) > 0 {
		l := restrict.NewInterfaces(list, c.Opt.Addresses)
		addresses, unknown, everything := l.Listen()
		for _, s := range list {
			if why := unknown[s]; why != "" {
				c.interfaceQuestion(s, why)
			}
		}
		if !everything {
			m.Listen.Addresses, m.Listen.Lines, m.Listen.Unsure = addresses, list, len(unknown) > 0
		} else {
			for _, s := range list {
				c.Record(s).Note(report.Folded, "interface-all", "delete the line", "every address is used, as without the line")
			}
		}
		c.twoKindsOfRules(list)
		if !everything && len(addresses) == 0 && len(unknown) == 0 {
			c.interfaceQuestion(list[len(list)-1], "no address of this host is used at all: nobody is served, and no source is asked")
		}
	}
	if c.Start.Family == "" {
		return
	}
	family := map[string]string{"-4": config.FamilyIPv4, "-6": config.FamilyIPv6}[c.Start.Family]
	m.Listen.Addresses = restrict.OnlyFamily(m.Listen.Addresses, family)
	c.Report.Note(report.Folded, "one-family", "", "ntpd %s: %s only, for what is listened on and for sources that have a name",
		c.Start.Family, family)
}

// twoKindsOfRules asks about rules of the command line beside those of the file.
func (c *reader) twoKindsOfRules(list []*syntax.Statement) {
	first := c.Parsed.Files[list[0].File]
	if list[0].File > 0 && first.By < 0 && c.Parsed.Files[list[len(list)-1].File].Name != first.Name {
		c.interfaceQuestion(list[0], "ntpd exits when it is started with this and the file has rules about interfaces too")
	}
}

// interfaceQuestion asks about a rule that cannot be said without the host's
// addresses.
func (c *reader) interfaceQuestion(s *syntax.Statement, why string) {
	name := spell.Printable(s.Address)
	do := fmt.Sprintf("say which addresses it has: --address %s=ADDRESS[,ADDRESS]", name)
	if s.Keyword {
		do = "name the addresses that are used: interface ignore all, and an interface listen ADDRESS for each"
	}
	c.Record(s).Note(report.Dangerous, "interface-name", do, "%s", why)
	c.Report.Questions = append(c.Report.Questions, report.Question{
		File: c.Parsed.Files[s.File].Name, Line: s.Line, Text: spell.Show(c.Text(s)), Code: "interface",
		Written: "network interfaces that are not used", Running: why, Do: do,
	})
}

// buildOrphan reads tos orphan.
func (c *reader) buildOrphan() {
	for _, s := range c.All("tos") {
		if o, ok := s.Last("orphan"); ok {
			c.Model.Orphan, c.Model.OrphanValue = s, int(o.Int)
		}
	}
}
