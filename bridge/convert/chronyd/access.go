package chronyd

import (
	"cmp"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/convert/chronyconf"
	"ntsbridge/bridge/convert/draft"
	"ntsbridge/bridge/convert/job"
	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/restrict"
	"ntsbridge/bridge/convert/spell"
	"ntsbridge/bridge/convert/syntax"
)

// access turns allow and deny into a list like ntpd's, whose default is
// to refuse.
func (c *reader) access() {
	l := c.Model.Restricts
	l.Add(restrict.Any4, restrict.Any4, restrict.FlagIgnore, nil)
	l.Add(restrict.Any6, restrict.Any6, restrict.FlagIgnore, nil)
	off := false
	if s := c.LastOf("port"); s != nil {
		switch off = c.port(s) == 0; {
		case off:
			c.Record(s).Note(report.Folded, "port-0", "", "port 0: chronyd serves nobody")
		case c.port(s) == 123:
			c.Record(s).Note(report.Folded, "port-default", "", "that is the port without the line")
		}
	}
	served := false
	for _, s := range c.All("allow", "deny") {
		args := slices.Clone(s.Options)
		everything := len(args) > 0 && spell.AsciiLower(args[0].Text) == "all"
		if everything {
			args = args[1:]
		}
		prefixes, problem := c.subnet(args)
		if problem != "" {
			c.Record(s).Note(report.Dangerous, "allow-name", "say which addresses it has: --address NAME=ADDRESS", "%s", problem)
			if s.Word == "deny" {
				c.Report.Questions = append(c.Report.Questions, report.Question{
					File: c.Parsed.Files[s.File].Name, Line: s.Line, Text: spell.Show(c.Text(s)), Code: "restricted-name",
					Written: "no time for these addresses", Running: "whatever the name stands for when chronyd starts",
					Do: "say which addresses it has: --address NAME=ADDRESS",
				})
			}
			continue
		}
		flags := restrict.FlagIgnore
		switch {
		case off:
			c.Record(s).Note(report.Folded, "port-0", "", "with port 0 chronyd serves nobody")
		case s.Word == "allow":
			flags, served = restrict.FlagNoQuery|c.limited()|c.signing(), true
		}
		for _, p := range prefixes {
			if everything {
				l.RemoveBelow(p)
			}
			l.Put(p.Addr(), restrict.PrefixMask(p.Addr(), p.Bits()), flags, s)
		}
	}
	rules, _ := restrict.Rules(l)
	c.Model.Rules = rules
	for _, rule := range rules {
		c.Model.Kod = c.Model.Kod || rule.Service.Kod
		c.Model.Limited = c.Model.Limited || rule.Service.Limited && !rule.Service.Kod
	}
	switch {
	case served:
	case off:
		c.Report.Note(report.Folded, "client-only", "write access rules, if it is to serve",
			"chronyd serves nobody with port 0: neither does the output")
	default:
		c.Report.Note(report.Folded, "client-only", "add allow lines, or access rules, for the clients",
			"chronyd serves nobody without allow: neither does the output")
	}
	if table, err := restrict.Table(rules, restrict.DefaultLimits()); err == nil {
		c.Report.Access = restrict.Compare(l, table)
		c.Differences()
	}
	c.listen(off)
}

// subnet reads what allow and deny are for: nothing is everything.
func (c *reader) subnet(args []syntax.Option) (list []netip.Prefix, problem string) {
	if len(args) == 0 {
		return []netip.Prefix{restrict.All4, restrict.All6}, ""
	}
	text := args[0].Text
	p, isName, _ := chronyconf.Subnet(text)
	if !isName {
		return []netip.Prefix{p}, ""
	}
	if a, ok := spell.IPv4(text); ok { // for a name, which getaddrinfo takes for numbers
		return []netip.Prefix{netip.PrefixFrom(a, 32)}, ""
	}
	for _, a := range c.Resolve(text) {
		list = append(list, netip.PrefixFrom(a, a.BitLen()))
	}
	if len(list) == 0 {
		return nil, fmt.Sprintf("no name server is asked: the addresses of %s are not known", spell.Printable(text))
	}
	return list, ""
}

// signing returns the flag of ntpsigndsocket, which holds for everybody.
func (c *reader) signing() restrict.Set {
	if s := c.LastOf("ntpsigndsocket"); s != nil && spell.PlainPath(s.Argument()) {
		return restrict.FlagMSSNTP
	}
	return 0
}

// limited returns the flags of ratelimit, which holds for everybody.
func (c *reader) limited() (f restrict.Set) {
	for _, s := range c.All("ratelimit") {
		f |= restrict.FlagLimited
		for i, o := range s.Options {
			if spell.AsciiLower(o.Text) != "kod" || i+1 >= len(s.Options) {
				continue
			}
			f &^= restrict.FlagKod
			if rate, _ := chronyconf.Number('i', s.Options[i+1].Text); rate != 0 {
				f |= restrict.FlagKod
				c.Record(s).Note(report.Approximated, "ratelimit-kod", "",
					"kod %g: kiss codes go to each client once in an interval and second at most, and not to one refused request in %g",
					rate, math.Exp2(rate))
			}
		}
	}
	return f
}

// listen turns port and bindaddress into addresses: chronyd 4.6 takes one of each
// family, the last, and listens everywhere in a family that has none.
func (c *reader) listen(off bool) {
	port := 123
	if s := c.LastOf("port"); s != nil && !off {
		port = int(c.port(s))
	}
	m := &c.Model
	for _, s := range c.All("bindaddress") {
		a, _ := netip.ParseAddr(s.Argument())
		at := config.Listen{AddrPort: netip.AddrPortFrom(a, uint16(port))}
		if i := slices.IndexFunc(m.Listen.Addresses, func(l config.Listen) bool { return l.Addr().Is4() == a.Is4() }); i >= 0 {
			c.Record(m.Listen.Lines[i]).Note(report.Folded, "overridden", "delete the line",
				"line %d is for the same family, and the last one counts", s.Line)
			m.Listen.Addresses[i], m.Listen.Lines[i] = at, s
			continue
		}
		m.Listen.Addresses, m.Listen.Lines = append(m.Listen.Addresses, at), append(m.Listen.Lines, s)
	}
	if len(m.Listen.Addresses) == 1 && c.Start.Family == "" {
		other := restrict.Any4
		if m.Listen.Addresses[0].Addr().Is4() {
			other = restrict.Any6
		}
		m.Listen.Addresses = append(m.Listen.Addresses, config.Listen{AddrPort: netip.AddrPortFrom(other, uint16(port))})
	}
	if port == 123 {
		return
	}
	if len(m.Listen.Addresses) == 0 {
		m.Listen.Addresses = config.ListenOn(job.Everywhere(uint16(port))...)
	}
	m.Listen.Lines = append(m.Listen.Lines, c.All("port")...)
}

// port reads a number of a port, of which chronyd takes 16 bits.
func (c *reader) port(s *syntax.Statement) uint16 {
	v, _ := chronyconf.Prefix('i', s.Argument())
	if port := uint16(int64(v)); float64(port) != v {
		c.Record(s).Note(report.Dangerous, "port-range", "write 0 to 65535", "chronyd reads %s as port %d",
			spell.Printable(s.Argument()), port)
	}
	return uint16(int64(v))
}

// rates reads ratelimit. What a line does not name stays as a line above it has
// set it; by are the lines of the words.
func (c *reader) rates() (values map[string]int, by map[string]*syntax.Statement) {
	values, by = map[string]int{"interval": 3, "burst": 8, "leak": 2}, make(map[string]*syntax.Statement)
	lines := c.All("ratelimit")
	for _, s := range lines {
		for i := 0; i+1 < len(s.Options); i += 2 {
			word := spell.AsciiLower(s.Options[i].Text)
			if other := by[word]; other != nil && other != s {
				c.Record(other).Note(report.Folded, "word-replaced", "delete it",
					"%s: line %d has it too, and the last one counts", word, s.Line)
				c.Ledger.Tell(other, job.FateSaid+"word-replaced", word)
			}
			by[word] = s
			values[word], _ = strconv.Atoi(s.Options[i+1].Text)
		}
	}
	if len(lines) > 0 {
		c.Model.Limits = restrict.Limits{Interval: interval(values["interval"]), Burst: values["burst"], Lines: lines}
	}
	return values, by
}

// interval returns a power of two of a second.
func interval(exponent int) time.Duration {
	if exponent = min(max(exponent, -19), 12); exponent < 0 {
		return time.Microsecond * (1000000 >> -exponent)
	}
	return time.Second << exponent
}

// setLimit writes ratelimit: powers of two.
func (c *reader) setLimit() {
	m, section := &c.Model, &c.Draft.Config.RateLimit
	lines := c.All("ratelimit")
	if len(lines) == 0 {
		return
	}
	values, by := c.rates()
	s := lines[len(lines)-1]
	c.Draft.From(&section.Limits, lines...)
	to := draft.Add(c.Draft, &section.Limits, config.DefaultLimit(""))
	draft.Set(c.Draft, &to.Name, job.LimitName(m.Kod))
	for _, v := range []struct {
		name     string
		from, to float64
	}{{"interval", -19, 12}, {"burst", 1, 255}, {"leak", 1, 4}} {
		values[v.name] = int(c.Bounded(cmp.Or(by[v.name], s), v.name, float64(values[v.name]), v.from, v.to))
	}
	draft.Set(c.Draft, &to.Interval, interval(values["interval"]))
	draft.Set(c.Draft, &to.Burst, values["burst"])
	draft.Set(c.Draft, &to.Leak, 1/float64(int(1)<<values["leak"]))
	draft.Set(c.Draft, &to.Kiss, m.Kod)
	if !m.Limited && !m.Kod {
		c.Record(s).Note(report.Obsolete, "ratelimit-unused", "", "nobody is served")
	}
}

// setNTS writes the NTS server.
func (c *reader) setNTS() {
	certs, keys := c.All("ntsservercert"), c.All("ntsserverkey")
	if len(certs) == 0 && len(keys) == 0 || c.Opt.NTSCert != "" || c.Opt.NTSSelfSigned {
		for _, s := range append(certs, keys...) {
			c.Record(s).Note(report.Changed, "nts-replaced", "", "another certificate was asked for")
		}
		return
	}
	pairs := c.certificates(certs, keys)
	if len(pairs) == 0 {
		return
	}
	section := &c.Draft.Config.NTS
	draft.Set(c.Draft, &section.Enabled, true)
	if s := c.LastOf("ntsport"); s != nil {
		if port, err := strconv.ParseUint(s.Argument(), 10, 16); err == nil && port > 0 {
			draft.Set(c.Draft, &section.Listen, job.Everywhere(uint16(port)), s)
		}
	}
	for _, pair := range pairs {
		to := draft.Add(c.Draft, &section.Certificates, config.Certificate{}, pair[0], pair[1])
		draft.Set(c.Draft, &to.Cert, job.Absolute(pair[0].Argument()))
		draft.Set(c.Draft, &to.Key, job.Absolute(pair[1].Argument()))
	}
	draft.Set(c.Draft, &section.Generate, false)
	if s := c.LastOf("ntsntpserver"); s != nil && spell.PlainName(s.Argument()) {
		draft.Set(c.Draft, &section.Server, s.Argument(), s)
	}
	if s := c.LastOf("ntsrotate"); s != nil {
		c.emitRotation(s)
	}
	if s := c.LastOf("maxntsconnections"); s != nil {
		if v, err := strconv.Atoi(s.Argument()); err == nil && v > 0 {
			draft.Set(c.Draft, &section.Limits.Connections, int(c.Bounded(s, "the number", float64(v), 1, 65536)), s)
		}
	}
	if s := c.LastOf("ntsaeads"); s != nil {
		var names []string
		for _, o := range s.Options {
			names = append(names, o.Text)
		}
		if list := c.Aeads(c.Record(s), names...); len(list) > 0 {
			draft.Set(c.Draft, &section.AEADs, list, s)
		}
	}
}

// certificates puts certificates and their keys together.
func (c *reader) certificates(certs, keys []*syntax.Statement) (pairs [][2]*syntax.Statement) {
	for i, s := range certs {
		switch {
		case i >= len(keys):
			c.Record(s).Note(report.Error, "nts-pair", "add ntsserverkey", "the certificate has no key")
		case !spell.PlainPath(s.Argument()) || !spell.PlainPath(keys[i].Argument()):
			c.Record(s).Note(report.Error, "file-name", "give a name", "that is no name of a file")
		default:
			pairs = append(pairs, [2]*syntax.Statement{s, keys[i]})
		}
	}
	for _, s := range keys[min(len(certs), len(keys)):] {
		c.Record(s).Note(report.Error, "nts-pair", "add ntsservercert", "the key has no certificate")
	}
	return pairs
}

func (c *reader) emitRotation(s *syntax.Statement) {
	v, err := strconv.Atoi(s.Argument())
	if err != nil || v < 60 {
		c.Record(s).Note(report.Approximated, "nts-rotation", "", "keys are always changed, at the latest after a year")
		return
	}
	draft.Set(c.Draft, &c.Draft.Config.NTS.Cookies.Rotation, c.BoundedSeconds(s, "ntsrotate", float64(v), 60, 8760*3600), s)
}
