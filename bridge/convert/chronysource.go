package convert

import (
	"fmt"
	"net/netip"
	"ntsbridge/bridge/convert/chronyconf"
	"ntsbridge/bridge/convert/ntpconf"
	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/spell"
	"ntsbridge/bridge/convert/syntax"
	"strconv"
)

// chronyOption is an option of server, pool and peer: what value it takes, and
// what it does.
type chronyOption struct {
	kind byte // 'f' none, 'i' an integer, 'd' a number, 'x' a hexadecimal one
	set  func(src *source, v float64)
	// note is said of it, if it is not kept.
	note disposition
}

// chronyOptions are the options of sources in chronyd 4.6 and older.
var chronyOptions = map[string]chronyOption{
	"key":              {'i', func(s *source, v float64) { s.key = uint32(v) }, disposition{}},
	"nts":              {'f', func(s *source, _ float64) { s.nts = true }, disposition{}},
	"certset":          {'i', func(s *source, v float64) { s.certSet = int64(v) }, disposition{}},
	"port":             {'i', func(s *source, v float64) { s.port = int(v) }, disposition{}},
	"ntsport":          {'i', func(s *source, v float64) { s.ntsPort = int(v) }, disposition{}},
	"minpoll":          {'i', func(s *source, v float64) { s.minPoll = int(v) }, disposition{}},
	"maxpoll":          {'i', func(s *source, v float64) { s.maxPoll = int(v) }, disposition{}},
	"iburst":           {'f', func(s *source, _ float64) { s.iburst = true }, disposition{}},
	"burst":            {'f', func(s *source, _ float64) { s.burst = true }, disposition{}},
	"prefer":           {'f', func(s *source, _ float64) { s.prefer = true }, disposition{}},
	"trust":            {'f', func(s *source, _ float64) { s.trusted = true }, disposition{}},
	"require":          {'f', func(s *source, _ float64) { s.require = true }, disposition{}},
	"noselect":         {'f', func(s *source, _ float64) { s.noSelect = true }, disposition{}},
	"xleave":           {'f', func(s *source, _ float64) { s.xleave = true }, disposition{}},
	"presend":          {'i', func(s *source, v float64) { s.presend = int(min(max(v, 1), ntpconf.MaxPollExponent)) }, disposition{}},
	"version":          {'i', func(s *source, v float64) { s.version = int(v) }, disposition{}},
	"offset":           {'d', func(s *source, v float64) { s.offset = v }, disposition{}},
	"asymmetry":        {'d', func(s *source, v float64) { s.asymmetry = v }, disposition{}},
	"maxdelay":         {'d', func(s *source, v float64) { s.maxDelay = v }, disposition{}},
	"maxdelayratio":    {'d', func(s *source, v float64) { s.maxDelayRatio = v }, disposition{}},
	"maxdelaydevratio": {'d', func(s *source, v float64) { s.maxDelayDevRatio = v }, disposition{}},
	"minstratum":       {'i', func(s *source, v float64) { s.minStratum = int(v) }, disposition{}},
	"maxsources":       {'i', func(s *source, v float64) { s.maxSources = int(min(max(v, 1), 16)) }, disposition{}},
	"ipv4":             {'f', func(s *source, _ float64) { s.family = "-4" }, disposition{}},
	"ipv6":             {'f', func(s *source, _ float64) { s.family = "-6" }, disposition{}},

	"maxdelayquant": {'d', nil, weighing}, "mindelay": {'d', nil, weighing}, "filter": {'i', nil, weighing},
	"minsamples": {'i', nil, weighing}, "maxsamples": {'i', nil, weighing}, "polltarget": {'i', nil, weighing},
	"maxunreach":   {'i', nil, disposition{report.Approximated, "maxunreach", "a source that is not reached is followed as long as its error is small enough", ""}},
	"offline":      {'f', nil, disposition{report.Changed, "offline", "the source is asked from the start on: there is no command to go online", ""}},
	"auto_offline": {'f', nil, disposition{report.Folded, "auto-offline", "a source that cannot be reached is asked again by itself", ""}},
	"copy":         {'f', nil, disposition{report.Unsupported, "copy", "the server's stratum and identifier are not taken over: this host is one stratum below", ""}},
	"extfield":     {'x', nil, disposition{report.Folded, "extfield", "the extension field is not sent", ""}},
}

var weighing = disposition{report.Approximated, "weighing", "how samples are collected and weighed is worked out by itself", ""}

// chronySource reads a source. A word that chronyd does not know makes it end;
// here the source is left out.
func (c *conversion) chronySource(s *syntax.Statement) {
	src := &source{line: s, kind: s.Word, address: s.Argument(), minPoll: 6, maxPoll: 10, version: 4, mode: -1}
	r := c.record(s)
	if !spell.PlainName(src.address) {
		r.Note(report.Error, "no-address", "name the server", "chronyd does not start with a source without a name")
		return
	}
	c.model.sources = append(c.model.sources, src)
	c.chronyWords(s, func(word string) (byte, func(float64)) {
		o, ok := chronyOptions[word]
		if !ok {
			return 0, nil
		}
		return o.kind, func(v float64) {
			if o.set != nil {
				o.set(src, v)
			} else {
				c.apply(r, disposition{o.note.class, o.note.code, word + ": " + o.note.text, o.note.do_})
			}
		}
	}, func(why string) { src.dead = why })
	if src.dead != "" {
		return
	}
	c.chronyPolls(src)
	c.chronyAuth(src)
	c.chronyChoice(src)
	if c.opt.Client == nil {
		c.chronyBind(src)
	}
}

// chronyWords reads options by a table; bad is told why chronyd would not
// start.
func (c *conversion) chronyWords(s *syntax.Statement, known func(word string) (byte, func(float64)), bad func(string)) {
	r := c.record(s)
	fail := func(text string) {
		r.Note(report.Error, "chrony-option", "correct or delete the word", "chronyd does not start: %s; the line is left out", text)
		bad(text)
	}
	for i := 1; i < len(s.Options); i++ {
		word := spell.AsciiLower(s.Options[i].Text)
		kind, set := known(word)
		switch kind {
		case 0:
			fail("it does not know " + spell.Printable(word))
			return
		case 'f':
			set(0)
			continue
		}
		i++
		if i >= len(s.Options) {
			fail(word + " has no value")
			return
		}
		v, ok := chronyconf.Number(kind, s.Options[i].Text)
		if !ok {
			fail(fmt.Sprintf("%s %s is no number", word, spell.Printable(s.Options[i].Text)))
			return
		}
		set(v)
	}
}

// Limits of our poll exponents beside maxPollExponent, log2 seconds.
const (
	leastPoll        = -6
	mostRefclockPoll = 12
)

// chronyPolls puts intervals into range: with maxpoll below minpoll chronyd
// takes minpoll for both.
func (c *conversion) chronyPolls(src *source) {
	src.maxPoll = max(src.maxPoll, src.minPoll)
	low, high := min(max(src.minPoll, leastPoll), ntpconf.MaxPollExponent), min(max(src.maxPoll, leastPoll), ntpconf.MaxPollExponent)
	if low != src.minPoll || high != src.maxPoll {
		c.record(src.line).Note(report.Approximated, "poll", "", "poll exponents are %d to %d: there are %d to %d", low, high, leastPoll, ntpconf.MaxPollExponent)
		src.minPoll, src.maxPoll = low, high
	}
}

// chronyAuth checks how a source is authenticated.
func (c *conversion) chronyAuth(src *source) {
	r := c.record(src.line)
	if src.ntsPort != 0 {
		src.address += ":" + strconv.Itoa(src.ntsPort)
	}
	if src.kind == "peer" && src.nts {
		src.dead = "NTS is not for peers"
		r.Note(report.Error, "peer-nts", "write server", "chronyd does not use NTS with a peer; it is not used without authentication either")
		return
	}
	if src.nts {
		src.key = 0
		src.ca = c.chronyAuthority(src)
		return
	}
	if src.key != 0 {
		if ok, why := c.usableKey(src.key); !ok && (c.model.keyFile != nil || c.opt.Client == nil) {
			src.dead = why
			r.Note(report.Dangerous, "source-key", "correct the key", "chronyd cannot use this source: %s; it is not used without authentication either", why)
		}
	}
	if src.ntsPort != 0 {
		src.address = src.line.Argument()
	}
}

// chronyAuthority returns the certificates that NTS trusts for a source.
func (c *conversion) chronyAuthority(src *source) string {
	var files []string
	for _, s := range c.all("ntstrustedcerts") {
		set, name := int64(0), s.Argument()
		if len(s.Options) > 1 {
			set, _ = strconv.ParseInt(s.Options[0].Text, 10, 64)
			name = s.Options[1].Text
		}
		if set == src.certSet && spell.PlainPath(name) {
			files = append(files, absolute(name))
			c.record(s).Into("sources")
		}
	}
	r := c.record(src.line)
	switch {
	case len(files) == 0 && src.certSet != 0:
		src.dead = fmt.Sprintf("set %d of certificates is empty", src.certSet)
		r.Note(report.Error, "certset", "add ntstrustedcerts", "%s", src.dead)
	case len(files) == 0 && len(c.all("nosystemcert")) > 0:
		src.dead = "no certificate is trusted"
		r.Note(report.Error, "certset", "add ntstrustedcerts, or delete nosystemcert", "%s", src.dead)
	case len(files) == 0:
		return ""
	case len(files) > 1:
		r.Note(report.Unsupported, "certset-files", "put the certificates into one file", "one file of certificates is trusted, %s, and not the %d others", files[0], len(files)-1)
	case src.certSet == 0 && len(c.all("nosystemcert")) == 0:
		r.Note(report.Approximated, "certset-system", "add the system's certificates to the file, if this server needs them",
			"the certificates in %s are trusted in place of the system's, not beside them", files[0])
	}
	if len(files) == 0 {
		return ""
	}
	if c.directory(files[0]) {
		r.Note(report.Approximated, "nts-ca-directory", "put the certificates into one file", "%s is a directory, and a file is needed", files[0])
	}
	return files[0]
}

// chronyChoice checks how a source may be chosen, and what a peer has.
func (c *conversion) chronyChoice(src *source) {
	r := c.record(src.line)
	if src.noSelect && (src.prefer || src.trusted || src.require) {
		r.Note(report.Folded, "noselect-wins", "delete one of the words", "noselect goes before prefer, trust and require")
		src.prefer, src.trusted, src.require = false, false, false
	}
	if src.version < 1 || src.version > 4 || src.nts && src.version < 4 {
		r.Note(report.Changed, "version", "", "requests have version 4, not %d", src.version)
		src.version = 4
	}
	if src.require && !src.nts && src.key == 0 && c.authSelect() == "require" {
		r.Note(report.Folded, "require-without-auth", "delete the word", "authselectmode require never uses this source, and it cannot be required")
		src.require = false
	}
	for _, v := range []struct {
		name     string
		value    *float64
		from, to float64
	}{{"offset", &src.offset, -3600, 3600}, {"asymmetry", &src.asymmetry, -0.5, 0.5}, {"maxdelay", &src.maxDelay, 0, 1000},
		{"maxdelayratio", &src.maxDelayRatio, 0, 1e6}, {"maxdelaydevratio", &src.maxDelayDevRatio, 0, 1e6}} {
		if clamped := min(max(*v.value, v.from), v.to); clamped != *v.value {
			r.Note(report.Approximated, "range", "", "%s is bounded by %g and %g", v.name, v.from, v.to)
			*v.value = clamped
		}
	}
	if src.kind != "peer" {
		return
	}
	for word, on := range map[string]*bool{"iburst": &src.iburst, "burst": &src.burst} {
		if *on {
			r.Note(report.Folded, "option-"+word, "", "%s means nothing to a peer", word)
			*on = false
		}
	}
	if src.xleave {
		r.Note(report.Changed, "option-xleave", "", "interleaved packets are for clients here, and not for peers")
	}
	src.xleave, src.presend = false, 0
	if src.key == 0 && src.dead == "" {
		src.kind = "server"
		r.Note(report.Dangerous, "peer", "give both a symmetric key; or, if the other host takes its time from this one, give it a server line",
			"a peer without authentication becomes a plain source here: the other host cannot take time by this association any more")
	}
}

// authSelect returns authselectmode.
func (c *conversion) authSelect() string {
	list := c.all("authselectmode")
	if len(list) == 0 {
		return "mix"
	}
	return spell.AsciiLower(list[len(list)-1].Argument())
}

// chronyBind gives a source the address of bindacqaddress, of its family.
func (c *conversion) chronyBind(src *source) {
	host, _ := src.hostPort()
	for _, s := range c.all("bindacqaddress") {
		a, err := netip.ParseAddr(s.Argument())
		if err != nil || a.IsUnspecified() {
			continue
		}
		family := "-6"
		if a.Is4() {
			family = "-4"
		}
		to, err := netip.ParseAddr(host)
		switch {
		case err == nil && to.Is4() != a.Is4(), src.family != "" && src.family != family:
			continue
		case err != nil && src.family == "":
			src.family = family
			c.record(s).Note(report.Approximated, "bindacqaddress", "", "sources that are named are asked over the family of this address only")
		}
		src.local = a
		c.record(s).Into("sources")
	}
}
