package convert

import (
	"io/fs"
	"maps"
	"net/netip"
	"path"
	"slices"
	"strings"
	"sync"
	"time"
)

// Words that ntpsec 1.2 has beside ntpd's.
const (
	ntpsecStrings  = "ca cert aead ask require mintls maxtls tlsciphersuites tlsecdhcurves"
	refclockOption = "unit subtype baud"
)

// ntpsecGrammar is ntpd's with what ntpsec added. What ntpsec removed is read
// too: it is reported, not converted.
var ntpsecGrammar = sync.OnceValue(func() *grammar {
	g := &grammar{keywords: maps.Clone(keywords), directives: maps.Clone(directives)}
	for word := range strings.FieldsSeq("nts noval expire bias refclock limit unrestrict extra unit subtype baud enable disable cookie mintls maxtls tlsciphersuites tlsecdhcurves tlscipherserverpreference port pool maxdisp holdover ntsstats ntskestats usestats") {
		if _, there := g.keywords[word]; !there {
			g.keywords[word] = followToken
		}
	}
	for word := range strings.FieldsSeq("ca cert aead ask require path ppspath cookie mintls maxtls tlsciphersuites tlsecdhcurves") {
		g.keywords[word] = followString
	}
	g.keywords["refclock"] = followString
	g.keywords["unrestrict"] = followToken
	g.association = anyOf(associationOption, plain("nts noval tlscipherserverpreference"), typed(ntpsecStrings, tokenString),
		typed("bias", tokenInteger, tokenDouble), typed("expire", tokenInteger))
	g.directives["nts"] = list(anyOf(plain("enable disable tlscipherserverpreference"), (*parser).ntsText))
	g.directives["limit"] = list(typed("average burst kod", tokenInteger, tokenDouble))
	g.directives["extra"] = list(typed("port", tokenInteger))
	g.directives["unrestrict"] = g.directives["restrict"]
	g.directives["refclock"] = (*parser).ntpsecRefclock
	return g
})

// parseNTPsec reads an ntp.conf of ntpsec, and the directory ntp.d beside it.
// files is as in grammar.
func parseNTPsec(name string, data []byte, read Reader, files func(name, by string) (string, []string)) *Parsed {
	g := *ntpsecGrammar()
	g.files = files
	return parse(&g, name, data, read)
}

// ntpsecFiles resolves a name as ntpsec does: from the directory of the file
// that it stands in. A directory stands for its files *.conf, by name.
func (c *conversion) ntpsecFiles(name, by string) (resolved string, inside []string) {
	if by == c.in.Name {
		by = c.in.Path
	}
	if !strings.HasPrefix(name, "/") && by != "" {
		name = path.Join(path.Dir(absolute(by)), name)
	}
	if !c.directory(name) {
		return name, nil
	}
	found, _ := fs.Glob(c.in.Files, rooted(name)+"/*.conf")
	inside = []string{}
	for _, file := range found {
		inside = append(inside, "/"+file)
	}
	slices.Sort(inside)
	return name, inside
}

// ntsText reads an option of the directive nts with its value: files, and
// words that look like keywords.
func (p *parser) ntsText() (Option, bool, bool) {
	name, found := p.keyword("cert key ca cookie mintls maxtls tlsciphersuites tlsecdhcurves aead port")
	if !found {
		return Option{}, false, true
	}
	o, ok := p.value(tokenString, tokenInteger)
	o.Name = name
	return o, true, ok
}

// ntpsecRefclock reads refclock DRIVER and its options, which join those of
// server and fudge.
func (p *parser) ntpsecRefclock(word string) bool {
	driver, ok := p.value(tokenString)
	if !ok {
		return false
	}
	options, ok := p.collect(anyOf(p.grammar.association, fudgeOption, typed(refclockOption, tokenInteger),
		typed("path ppspath", tokenString), typed("holdover", tokenInteger)))
	if !ok {
		return false
	}
	p.keep(&Statement{Word: word, Address: driver.Text, Options: options})
	return true
}

// remove takes flags away from the entry of an address: unrestrict. Without
// flags the entry goes as a whole.
func (l *restrictList) remove(addr, mask netip.Addr, s *Statement) (found bool) {
	k := restrictKey{masked128(addr, mask), mask, s.flag("ntpport")}
	e := l.index[k]
	if e == nil {
		return false
	}
	e.lines = append(e.lines, s)
	if f := flagsOf(s); f != 0 {
		e.flags &^= f
		return true
	}
	if mask != any4 && mask != any6 { // ntpsec leaves its default alone
		*l = *l.without([]*restriction{e})
	}
	return true
}

// ntpsecLimits reads limit: packets per second and the size of a burst.
func (c *conversion) ntpsecLimits() {
	m := &c.model
	average, burst := 1.0, 20.0 // ntpsec's defaults
	for _, s := range c.all("limit") {
		r := c.record(s)
		for _, o := range s.Options {
			switch v := o.number(); {
			case o.Name == "kod":
				r.note(Approximated, "limit-kod", "", "kiss codes go to each client once in an interval and second at most, and have no rate of their own")
			case !(v > 0):
				r.note(Error, "limit", "write a positive number", "limit %s %s lets nothing pass; the default is written", o.Name, printable(o.Text))
			case o.Name == "average":
				average = v
			case o.Name == "burst":
				burst = v
			}
		}
		m.limits.lines = append(m.limits.lines, s)
		if !m.limited && !m.kod {
			r.note(Obsolete, "limit-unused", "", "no restriction has limited, so that limit has no effect")
		}
	}
	m.limits.interval = time.Duration(min(max(float64(time.Second)/average, float64(time.Microsecond)), float64(24*time.Hour)))
	m.limits.burst, m.limits.minimum = int(min(max(burst, 1), 255)), 0
}

// extraPort opens ntpsec's second port beside the first.
func (c *conversion) extraPort() {
	for _, s := range c.all("extra") {
		o, ok := s.last("port")
		if !ok || o.Int < 1 || o.Int > 65535 || o.Int == 123 {
			c.record(s).note(Error, "extra-port", "write 1 to 65535", "that is no port")
			continue
		}
		m := &c.model
		if len(m.listen.addresses) == 0 {
			m.listen.addresses = []netip.AddrPort{netip.AddrPortFrom(any6, 123), netip.AddrPortFrom(any4, 123)}
		}
		for _, a := range slices.Clone(m.listen.addresses) {
			if more := netip.AddrPortFrom(a.Addr(), uint16(o.Int)); !slices.Contains(m.listen.addresses, more) {
				m.listen.addresses = append(m.listen.addresses, more)
			}
		}
		m.listen.lines = append(m.listen.lines, s)
		c.record(s).into("server.listen")
	}
}
