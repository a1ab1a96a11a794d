package chronyd

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/convert/chronyconf"
	"ntsbridge/bridge/convert/job"
	"ntsbridge/bridge/convert/ntpconf"
	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/spell"
	"ntsbridge/bridge/convert/syntax"
)

// option is an option of server, pool and peer: what value it takes, and
// what it does.
type option struct {
	kind byte // 'f' none, 'i' an integer, 'd' a number, 'x' a hexadecimal one
	set  func(src *job.Source, v float64)
	// note is said of it, if it is not kept.
	note disposition
}

// sourceOptions are the options of sources in chronyd 4.6 and older.
var sourceOptions = map[string]option{
	"key":              {'i', func(s *job.Source, v float64) { s.Key, s.Keyed = uint32(v), true }, disposition{}},
	"nts":              {'f', func(s *job.Source, _ float64) { s.Nts = true }, disposition{}},
	"certset":          {'i', func(s *job.Source, v float64) { s.CertSet = int64(v) }, disposition{}},
	"port":             {'i', func(s *job.Source, v float64) { s.Port = int(v) }, disposition{}},
	"ntsport":          {'i', func(s *job.Source, v float64) { s.NtsPort = int(v) }, disposition{}},
	"minpoll":          {'i', func(s *job.Source, v float64) { s.MinPoll = int(v) }, disposition{}},
	"maxpoll":          {'i', func(s *job.Source, v float64) { s.MaxPoll = int(v) }, disposition{}},
	"iburst":           {'f', func(s *job.Source, _ float64) { s.Iburst = true }, disposition{}},
	"burst":            {'f', func(s *job.Source, _ float64) { s.Burst = true }, disposition{}},
	"prefer":           {'f', func(s *job.Source, _ float64) { s.Prefer = true }, disposition{}},
	"trust":            {'f', func(s *job.Source, _ float64) { s.Trusted = true }, disposition{}},
	"require":          {'f', func(s *job.Source, _ float64) { s.Require = true }, disposition{}},
	"noselect":         {'f', func(s *job.Source, _ float64) { s.NoSelect = true }, disposition{}},
	"xleave":           {'f', func(s *job.Source, _ float64) { s.Xleave = true }, disposition{}},
	"presend":          {'i', func(s *job.Source, v float64) { s.Presend = int(v) }, disposition{}},
	"version":          {'i', func(s *job.Source, v float64) { s.Version = int(v) }, disposition{}},
	"offset":           {'d', func(s *job.Source, v float64) { s.Offset = v }, disposition{}},
	"asymmetry":        {'d', func(s *job.Source, v float64) { s.Asymmetry = v }, disposition{}},
	"maxdelay":         {'d', func(s *job.Source, v float64) { s.MaxDelay = v }, disposition{}},
	"maxdelayratio":    {'d', func(s *job.Source, v float64) { s.MaxDelayRatio = v }, disposition{}},
	"maxdelaydevratio": {'d', func(s *job.Source, v float64) { s.MaxDelayDevRatio = v }, disposition{}},
	"minstratum":       {'i', func(s *job.Source, v float64) { s.MinStratum = int(v) }, disposition{}},
	"maxsources":       {'i', func(s *job.Source, v float64) { s.MaxSources = int(v) }, disposition{}},
	"ipv4":             {'f', func(s *job.Source, _ float64) { s.Family = "-4" }, disposition{}},
	"ipv6":             {'f', func(s *job.Source, _ float64) { s.Family = "-6" }, disposition{}},

	"maxdelayquant": {'d', nil, weighing}, "mindelay": {'d', nil, weighing}, "filter": {'i', nil, weighing},
	"minsamples": {'i', nil, weighing}, "maxsamples": {'i', nil, weighing}, "polltarget": {'i', nil, weighing},
	"maxunreach": {'i', nil, disposition{report.Approximated, "maxunreach",
		"a source that is not reached is followed as long as its error is small enough", ""}},
	"offline": {'f', nil, disposition{report.Changed, "offline",
		"the source is asked from the start on: there is no command to go online", ""}},
	"auto_offline": {'f', nil, disposition{report.Folded, "auto-offline", "a source that cannot be reached is asked again by itself", ""}},
	"copy": {'f', nil, disposition{report.Unsupported, "copy",
		"the server's stratum and identifier are not taken over: this host is one stratum below", ""}},
	"extfield": {'x', nil, disposition{report.Folded, "extfield", "the extension field is not sent", ""}},
}

var weighing = disposition{report.Approximated, "weighing", "how samples are collected and weighed is worked out by itself", ""}

// source reads a source. A word that chronyd does not know makes it end;
// here the source is left out.
func (c *reader) source(s *syntax.Statement) {
	src := &job.Source{Line: s, Kind: s.Word, Address: s.Argument(), MinPoll: 6, MaxPoll: 10, Version: 4, Mode: -1}
	r := c.Record(s)
	if !spell.PlainName(src.Address) {
		r.Note(report.Error, "no-address", "name the server", "chronyd does not start with a source without a name")
		return
	}
	if _, err := netip.ParseAddr(src.Address); err != nil {
		if a, ok := spell.IPv4(src.Address); ok {
			job.TellNumber(r, "chronyd", src.Address, a)
			src.Address = a.String()
		}
	}
	c.Model.Sources = append(c.Model.Sources, src)
	c.words(s, func(word string) (byte, func(float64)) {
		o, ok := sourceOptions[word]
		if !ok {
			return 0, nil
		}
		src.Words = append(src.Words, word)
		return o.kind, func(v float64) {
			if o.set != nil {
				o.set(src, v)
			} else if c.Opt.Client == nil {
				c.apply(r, disposition{o.note.Class, o.note.Code, word + ": " + o.note.Text, o.note.Do})
			}
		}
	}, func(why string) { src.Dead = why })
	if src.Keyed && src.Key == 0 && src.Dead == "" { // chronyd's number is as long as this one
		src.Dead = "it does not take key 0"
		r.Note(report.Error, "chrony-option", "give the key's number", "chronyd does not start: %s; the line is left out", src.Dead)
	}
	if src.Dead == "" {
		c.ports(src)
	}
	bad := config.ServerName(src.Address)
	if a, err := netip.ParseAddr(src.Address); err == nil && a.Zone() != "" {
		bad = errors.New("chronyd takes no address with a network interface")
	}
	if bad != nil && src.Dead == "" {
		src.Dead = "that is no name of a host: " + bad.Error()
		r.Note(report.Dangerous, "dead-source", "correct or delete the line", "chronyd never had time of %s: %s",
			spell.Printable(src.Address), src.Dead)
	}
	if src.Dead != "" {
		return
	}
	c.polls(src)
	c.auth(src)
	c.choice(src)
	if c.Opt.Client == nil {
		c.bind(src)
	}
}

// words reads options by a table; bad is told why chronyd would not
// start.
func (c *reader) words(s *syntax.Statement, known func(word string) (byte, func(float64)), bad func(string)) {
	r := c.Record(s)
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
		if math.IsNaN(v) || math.IsInf(v, 0) {
			text := fmt.Sprintf("%s %s is no finite number", word, spell.Printable(s.Options[i].Text))
			r.Note(report.Dangerous, "chrony-nan", "correct or delete the word", "%s, which chronyd does not say when it starts; the line is left out",
				text)
			bad(text)
			return
		}
		if word == "extfield" && v != 0xF323 && v != 0xF324 {
			fail("it knows no field " + spell.Printable(s.Options[i].Text))
			return
		}
		set(v)
	}
}

// ports reads the numbers of ports, of which chronyd takes 16 bits.
func (c *reader) ports(src *job.Source) {
	for _, v := range []struct {
		word string
		port *int
	}{{"port", &src.Port}, {"ntsport", &src.NtsPort}} {
		if !slices.Contains(src.Words, v.word) {
			continue
		}
		if read := int(uint16(*v.port)); read != *v.port {
			c.Record(src.Line).Note(report.Dangerous, "port-range", "write 1 to 65535", "chronyd reads %s %d as %d", v.word, *v.port, read)
			*v.port = read
		}
		if *v.port == 0 {
			src.Dead = "nobody is at port 0"
			c.Record(src.Line).Note(report.Dangerous, "dead-source", "correct or delete the word", "chronyd never had time of %s: %s",
				spell.Printable(src.Address), src.Dead)
		}
	}
}

// leastPoll is the shortest interval that chronyd takes, log2 s.
const leastPoll = -7

// polls puts intervals into range: with maxpoll below minpoll chronyd
// takes minpoll for both.
func (c *reader) polls(src *job.Source) {
	for _, v := range []struct {
		word  string
		value *int
		usual int
	}{{"minpoll", &src.MinPoll, 6}, {"maxpoll", &src.MaxPoll, 10}} {
		if *v.value < leastPoll {
			c.Record(src.Line).Note(report.Folded, "poll", "delete the word",
				"%s is below %d: chronyd takes its default, %d", v.word, leastPoll, v.usual)
			*v.value = v.usual
		}
	}
	if src.MaxPoll < src.MinPoll {
		if slices.Contains(src.Words, "maxpoll") {
			c.Record(src.Line).Note(report.Folded, "poll", "", "maxpoll is below minpoll: chronyd takes minpoll for both")
		}
		src.MaxPoll = src.MinPoll
	}
	low, high := min(max(src.MinPoll, job.LeastPoll), ntpconf.MaxPollExponent),
		min(max(src.MaxPoll, job.LeastPoll), ntpconf.MaxPollExponent)
	if low != src.MinPoll || high != src.MaxPoll {
		c.Record(src.Line).Note(report.Approximated, "poll", "", "poll exponents are %d to %d: there are %d to %d", low, high,
			job.LeastPoll, ntpconf.MaxPollExponent)
		src.MinPoll, src.MaxPoll = low, high
	}
}

// auth checks how a source is authenticated.
func (c *reader) auth(src *job.Source) {
	r := c.Record(src.Line)
	if src.NtsPort != 0 {
		src.Address += ":" + strconv.Itoa(src.NtsPort)
	}
	if src.Kind == "peer" && src.Nts {
		src.Dead = "NTS is not for peers"
		r.Note(report.Error, "peer-nts", "write server",
			"chronyd does not use NTS with a peer; it is not used without authentication either")
		return
	}
	if src.Nts {
		src.Key = 0
		src.Ca = c.authority(src)
		return
	}
	if src.Key != 0 {
		if ok, why := c.UsableKey(src.Key); !ok && (c.Model.KeyFile != nil || c.Opt.Client == nil) {
			src.Dead = why
			r.Note(report.Dangerous, "source-key", "correct the key",
				"chronyd cannot use this source: %s; it is not used without authentication either", why)
		}
	}
	if src.NtsPort != 0 {
		src.Address = src.Line.Argument()
	}
}

// authority returns the certificates that NTS trusts for a source.
func (c *reader) authority(src *job.Source) string {
	var files []string
	for _, s := range c.All("ntstrustedcerts") {
		set, name := int64(0), s.Argument()
		if len(s.Options) > 1 {
			set, _ = strconv.ParseInt(s.Options[0].Text, 10, 64)
			name = s.Options[1].Text
		}
		if set == src.CertSet && !spell.PlainPath(name) {
			c.Record(s).Note(report.Error, "file-name", "give a name", "that is no name of a file: no certificate of it is trusted")
		} else if set == src.CertSet {
			files = append(files, job.Absolute(name))
			src.TrustLines = append(src.TrustLines, s)
		}
	}
	r := c.Record(src.Line)
	switch {
	case len(files) == 0 && src.CertSet != 0:
		src.Dead = fmt.Sprintf("set %d of certificates is empty", src.CertSet)
		r.Note(report.Error, "certset", "add ntstrustedcerts", "%s", src.Dead)
		return ""
	case len(files) == 0 && len(c.All("nosystemcert")) > 0:
		src.Dead = "no certificate is trusted"
		r.Note(report.Error, "certset", "add ntstrustedcerts, or delete nosystemcert", "%s", src.Dead)
		return ""
	case len(files) == 0:
		return ""
	case src.CertSet == 0 && len(c.All("nosystemcert")) == 0:
		files = append([]string{systemTrust}, files...) // beside them
	}
	src.Trust = files
	return files[len(files)-1]
}

// systemTrust stands for the certificates of the system.
const systemTrust = "system"

// choice checks how a source may be chosen, and what a peer has.
func (c *reader) choice(src *job.Source) {
	r := c.Record(src.Line)
	if src.NoSelect && (src.Prefer || src.Trusted || src.Require) {
		r.Note(report.Folded, "noselect-wins", "delete one of the words", "noselect goes before prefer, trust and require")
		src.Prefer, src.Trusted, src.Require = false, false, false
	}
	if src.Version < 1 || src.Version > 4 || src.Nts && src.Version < 4 {
		r.Note(report.Changed, "version", "", "requests have version 4, not %d", src.Version)
		src.Version = 4
	}
	if src.Require && !src.Nts && src.Key == 0 && c.authSelect() == "require" {
		r.Note(report.Folded, "require-without-auth", "delete the word",
			"authselectmode require never uses this source, and it cannot be required")
		src.Require = false
	}
	for _, v := range []struct {
		name     string
		value    *int
		from, to float64
	}{{"minstratum", &src.MinStratum, 0, 15}, {"presend", &src.Presend, 1, ntpconf.MaxPollExponent},
		{"maxsources", &src.MaxSources, 1, 16}} {
		if slices.Contains(src.Words, v.name) {
			*v.value = int(c.Bounded(src.Line, v.name, float64(*v.value), v.from, v.to))
		}
	}
	for _, v := range []struct {
		name     string
		value    *float64
		from, to float64
	}{{"offset", &src.Offset, -3600, 3600}, {"asymmetry", &src.Asymmetry, -0.5, 0.5}, {"maxdelay", &src.MaxDelay, 1e-6, 1000},
		{"maxdelayratio", &src.MaxDelayRatio, 0, 1e6}, {"maxdelaydevratio", &src.MaxDelayDevRatio, 0, 1e6}} {
		if slices.Contains(src.Words, v.name) {
			*v.value = c.Bounded(src.Line, v.name, *v.value, v.from, v.to)
		}
	}
	if src.Kind != "peer" {
		return
	}
	for _, v := range []struct {
		word string
		on   *bool
	}{{"iburst", &src.Iburst}, {"burst", &src.Burst}} {
		if *v.on {
			r.Note(report.Folded, "option-"+v.word, "", "%s means nothing to a peer", v.word)
			*v.on = false
		}
	}
	if src.Xleave {
		r.Note(report.Changed, "option-xleave", "", "interleaved packets are for clients here, and not for peers")
	}
	src.Xleave, src.Presend = false, 0
	if src.Key == 0 && src.Dead == "" {
		src.Kind = "server"
		r.Note(report.Dangerous, "peer",
			"give both a symmetric key; or, if the other host takes its time from this one, give it a server line",
			"a peer without authentication becomes a plain source here: the other host cannot take time by this association any more")
	}
}

// authSelect returns authselectmode.
func (c *reader) authSelect() string {
	list := c.All("authselectmode")
	if len(list) == 0 {
		return "mix"
	}
	return spell.AsciiLower(list[len(list)-1].Argument())
}

// bind gives a source the address of bindacqaddress, of its family.
func (c *reader) bind(src *job.Source) {
	host, _ := src.HostPort()
	for _, s := range c.All("bindacqaddress") {
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
		case err == nil && to.Is4() != a.Is4(), src.Family != "" && src.Family != family:
			continue
		case err != nil && src.Family == "":
			src.Family = family
			c.Record(s).Note(report.Approximated, "bindacqaddress", "",
				"sources that are named are asked over the family of this address only")
		}
		src.Local, src.LocalLine = a, s
	}
}
