package convert

import (
	"fmt"
	"net/netip"
	"ntsbridge/bridge/config"
	"ntsbridge/bridge/convert/draft"
	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/restrict"
	"ntsbridge/bridge/convert/spell"
	"ntsbridge/bridge/convert/syntax"
	"slices"
	"strconv"
	"strings"
	"time"
)

// chronyAccess turns allow and deny into a list like ntpd's, whose default is
// to refuse.
func (c *conversion) chronyAccess() {
	l := c.model.restricts
	l.Add(restrict.Any4, restrict.Any4, restrict.FlagIgnore, nil)
	l.Add(restrict.Any6, restrict.Any6, restrict.FlagIgnore, nil)
	off := false
	if s := c.lastOf("port"); s != nil {
		off = s.Argument() == "0"
		c.record(s).Into("server.listen")
		if off {
			c.record(s).Note(report.Kept, "port-0", "", "port 0: chronyd serves nobody")
		}
	}
	served := false
	for _, s := range c.all("allow", "deny") {
		args := slices.Clone(s.Options)
		everything := len(args) > 0 && spell.AsciiLower(args[0].Text) == "all"
		if everything {
			args = args[1:]
		}
		prefixes, problem := c.chronySubnet(args)
		if problem != "" {
			c.record(s).Note(report.Dangerous, "allow-name", "say which addresses it has: --address NAME=ADDRESS", "%s", problem)
			if s.Word == "deny" {
				c.report.Questions = append(c.report.Questions, report.Question{
					File: c.parsed.Files[s.File].Name, Line: s.Line, Text: spell.Show(c.text(s)), Code: "restricted-name",
					Written: "no time for these addresses", Running: "whatever the name stands for when chronyd starts",
					Do: "say which addresses it has: --address NAME=ADDRESS",
				})
			}
			continue
		}
		flags := restrict.FlagIgnore
		if s.Word == "allow" && !off {
			flags, served = restrict.FlagNoQuery|c.chronyLimited(), true
		}
		for _, p := range prefixes {
			if everything {
				l.RemoveBelow(p)
			}
			l.Put(p.Addr(), restrict.PrefixMask(p.Addr(), p.Bits()), flags, s)
		}
	}
	rules, _ := restrict.Rules(l)
	c.model.rules = rules
	for _, rule := range rules {
		c.model.kod = c.model.kod || rule.Service.Kod
		c.model.limited = c.model.limited || rule.Service.Limited && !rule.Service.Kod
	}
	if !served {
		c.report.Note(report.Folded, "client-only", "add allow lines, or access rules, for the clients", "chronyd serves nobody without allow: neither does the output")
	}
	if table, err := restrict.Table(rules, restrict.DefaultLimits()); err == nil {
		c.report.Access = restrict.Compare(l, table)
		c.differences()
	}
	c.chronyListen(off)
}

// chronySubnet reads what allow and deny are for: nothing is everything, and
// IPv4 networks may be cut short.
func (c *conversion) chronySubnet(args []syntax.Option) (list []netip.Prefix, problem string) {
	if len(args) == 0 || args[0].Text == "0/0" {
		if len(args) > 0 {
			return []netip.Prefix{restrict.All4}, ""
		}
		return []netip.Prefix{restrict.All4, restrict.All6}, ""
	}
	text := args[0].Text
	if text == "::/0" {
		return []netip.Prefix{restrict.All6}, ""
	}
	name, bits, hasBits := strings.Cut(text, "/")
	if a, err := netip.ParseAddr(name); err == nil {
		n := a.BitLen()
		if hasBits {
			if n, err = strconv.Atoi(bits); err != nil || n < 0 || n > a.BitLen() {
				return nil, fmt.Sprintf("%s is no network", spell.Printable(text))
			}
		}
		p, _ := a.Prefix(n)
		return []netip.Prefix{p}, ""
	}
	parts := strings.Split(strings.TrimSuffix(name, "."), ".")
	if len(parts) < 4 && spell.All(strings.Join(parts, ""), spell.IsDigit) {
		n := 8 * len(parts)
		if hasBits {
			n, _ = strconv.Atoi(bits)
		}
		full := strings.Join(append(parts, "0", "0", "0")[:4], ".")
		if a, err := netip.ParseAddr(full); err == nil && n >= 0 && n <= 32 {
			p, _ := a.Prefix(n)
			return []netip.Prefix{p}, ""
		}
	}
	for _, a := range c.resolve(text) {
		list = append(list, netip.PrefixFrom(a, a.BitLen()))
	}
	if len(list) == 0 {
		return nil, fmt.Sprintf("no name server is asked: the addresses of %s are not known", spell.Printable(text))
	}
	return list, ""
}

// chronyLimited returns the flags of ratelimit, which holds for everybody.
func (c *conversion) chronyLimited() (f restrict.Set) {
	for _, s := range c.all("ratelimit") {
		f = restrict.FlagLimited
		for _, o := range s.Options {
			if spell.AsciiLower(o.Text) == "kod" {
				f |= restrict.FlagKod
			}
		}
	}
	return f
}

// chronyListen turns port and bindaddress into addresses.
func (c *conversion) chronyListen(off bool) {
	port := 123
	if s := c.lastOf("port"); s != nil && !off {
		port, _ = strconv.Atoi(s.Argument())
	}
	m := &c.model
	for _, s := range c.all("bindaddress") {
		a, err := netip.ParseAddr(s.Argument())
		if err != nil {
			c.record(s).Note(report.Dangerous, "bindaddress", "give an address", "%s is no address: everything is listened on", spell.Printable(s.Argument()))
			continue
		}
		m.listen.addresses = append(m.listen.addresses, netip.AddrPortFrom(a, uint16(port)))
		m.listen.lines = append(m.listen.lines, s)
		c.record(s).Into("server.listen")
	}
	if port != 123 && port > 0 && len(m.listen.addresses) == 0 {
		m.listen.addresses = []netip.AddrPort{netip.AddrPortFrom(restrict.Any6, uint16(port)), netip.AddrPortFrom(restrict.Any4, uint16(port))}
		m.listen.lines = c.all("port")
	}
}

// emitChronyLimit writes ratelimit: powers of two.
func (c *conversion) emitChronyLimit() {
	m, section := &c.model, &c.draft.Config.RateLimit
	c.emitClients()
	s := c.lastOf("ratelimit")
	if s == nil {
		return
	}
	values := map[string]int{"interval": 3, "burst": 8, "leak": 2}
	for i, o := range s.Options {
		if _, ok := values[spell.AsciiLower(o.Text)]; ok && i+1 < len(s.Options) {
			values[spell.AsciiLower(o.Text)], _ = strconv.Atoi(s.Options[i+1].Text)
		}
	}
	c.draft.From(&section.Limits, s)
	to := draft.Add(c.draft, &section.Limits, config.DefaultLimit(""))
	draft.Set(c.draft, &to.Name, limitName(m.kod))
	interval := time.Second << min(max(values["interval"], 0), 12)
	if n := values["interval"]; n < 0 {
		interval = time.Microsecond * (1000000 >> min(-n, 19))
	}
	draft.Set(c.draft, &to.Interval, interval)
	draft.Set(c.draft, &to.Burst, min(max(values["burst"], 1), 255))
	draft.Set(c.draft, &to.Leak, 1/float64(int(1)<<min(max(values["leak"], 1), 4)))
	draft.Set(c.draft, &to.Kiss, m.kod)
	if !m.limited && !m.kod {
		c.record(s).Note(report.Obsolete, "ratelimit-unused", "", "nobody is served")
	}
}

// emitChronyNTS writes the NTS server.
func (c *conversion) emitChronyNTS() {
	certs, keys := c.all("ntsservercert"), c.all("ntsserverkey")
	if len(certs) == 0 && len(keys) == 0 || c.opt.NTSCert != "" || c.opt.NTSSelfSigned {
		for _, s := range append(certs, keys...) {
			c.record(s).Note(report.Changed, "nts-replaced", "", "another certificate was asked for")
		}
		c.emitNTS()
		return
	}
	pairs := c.chronyCertificates(certs, keys)
	if len(pairs) == 0 {
		c.emitNTS()
		return
	}
	section := &c.draft.Config.NTS
	draft.Set(c.draft, &section.Enabled, true)
	if s := c.lastOf("ntsport"); s != nil {
		if port, err := strconv.ParseUint(s.Argument(), 10, 16); err == nil && port > 0 {
			draft.Set(c.draft, &section.Listen, everywhere(uint16(port)), s)
		}
	}
	for _, pair := range pairs {
		to := draft.Add(c.draft, &section.Certificates, config.Certificate{}, pair[0], pair[1])
		draft.Set(c.draft, &to.Cert, absolute(pair[0].Argument()))
		draft.Set(c.draft, &to.Key, absolute(pair[1].Argument()))
	}
	draft.Set(c.draft, &section.Generate, false)
	if s := c.lastOf("ntsntpserver"); s != nil && spell.PlainName(s.Argument()) {
		draft.Set(c.draft, &section.Server, s.Argument(), s)
	}
	if s := c.lastOf("ntsrotate"); s != nil {
		c.emitRotation(s)
	}
	if s := c.lastOf("maxntsconnections"); s != nil {
		if v, err := strconv.Atoi(s.Argument()); err == nil && v > 0 {
			draft.Set(c.draft, &section.Limits.Connections, min(v, 65536), s)
		}
	}
	if s := c.lastOf("ntsaeads"); s != nil {
		var names []string
		for _, o := range s.Options {
			names = append(names, o.Text)
		}
		if list := c.aeads(c.record(s), names...); len(list) > 0 {
			draft.Set(c.draft, &section.AEADs, list, s)
		}
	}
}

// chronyCertificates puts certificates and their keys together.
func (c *conversion) chronyCertificates(certs, keys []*syntax.Statement) (pairs [][2]*syntax.Statement) {
	for i, s := range certs {
		switch {
		case i >= len(keys):
			c.record(s).Note(report.Error, "nts-pair", "add ntsserverkey", "the certificate has no key")
		case !spell.PlainPath(s.Argument()) || !spell.PlainPath(keys[i].Argument()):
			c.record(s).Note(report.Error, "file-name", "give a name", "that is no name of a file")
		default:
			pairs = append(pairs, [2]*syntax.Statement{s, keys[i]})
		}
	}
	for _, s := range keys[min(len(certs), len(keys)):] {
		c.record(s).Note(report.Error, "nts-pair", "add ntsservercert", "the key has no certificate")
	}
	return pairs
}

func (c *conversion) emitRotation(s *syntax.Statement) {
	v, err := strconv.Atoi(s.Argument())
	if err != nil || v < 60 {
		c.record(s).Note(report.Approximated, "nts-rotation", "", "keys are always changed, at the latest after a year")
		return
	}
	draft.Set(c.draft, &c.draft.Config.NTS.Cookies.Rotation, time.Duration(min(v, 8760*3600))*time.Second, s)
}
