package convert

import (
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"ntsbridge/symkey"
)

// chronyDirectives are the directives of chronyd 4.6 and older. Those without
// a disposition have a place in the output.
var chronyDirectives = map[string]disposition{
	"server": {}, "pool": {}, "peer": {}, "refclock": {}, "initstepslew": {}, "allow": {}, "deny": {}, "keyfile": {}, "port": {},
	"bindaddress": {}, "local": {}, "ratelimit": {}, "dscp": {}, "ntsservercert": {}, "ntsserverkey": {}, "ntsport": {},
	"ntsntpserver": {}, "ntsrotate": {}, "maxntsconnections": {}, "include": {}, "confdir": {}, "sourcedir": {}, "clientloglimit": {},
	"ntsaeads": {}, "broadcast": {},

	"makestep": steering, "maxchange": steering, "maxclockerror": steering, "maxdistance": steering, "maxdrift": steering, "maxjitter": steering,
	"maxsamples": steering, "minsamples": steering, "maxslewrate": steering, "maxupdateskew": steering, "minsources": steering,
	"combinelimit": steering, "corrtimeratio": steering, "fallbackdrift": steering, "reselectdist": steering, "stratumweight": steering,
	"tempcomp": steering, "authselectmode": steering, "acquisitionport": steering, "bindacqaddress": steering, "bindacqdevice": steering,
	"refresh": steering, "ntstrustedcerts": steering, "nosystemcert": steering, "ntsrefresh": steering, "nocerttimecheck": steering,
	"clockprecision": steering, "manual": steering,

	"rtcautotrim": clockDevice, "rtcdevice": clockDevice, "rtcfile": clockDevice, "rtconutc": clockDevice, "rtcsync": clockDevice, "hwclockfile": clockDevice,
	"driftfile": {Obsolete, "driftfile", "the frequency of the clock is kept by the program that steers it", ""},
	"dumpdir":   {Obsolete, "dumpdir", "measurements are not kept over a restart", ""}, "dumponexit": {Obsolete, "dumpdir", "measurements are not kept over a restart", ""},
	"leapseclist":    {Changed, "leap", "leap seconds are those that the kernel announces", ""},
	"leapsectz":      {Changed, "leap", "leap seconds are those that the kernel announces", ""},
	"leapsecmode":    {Unsupported, "leap-mode", "how a leap second is applied is up to the program that steers the clock", ""},
	"smoothtime":     {Unsupported, "smoothtime", "served time is not smoothed or smeared", "never mix servers that smear with others"},
	"bindcmdaddress": command, "bindcmddevice": command, "cmdallow": command, "cmddeny": command, "cmdport": command, "cmdratelimit": command,
	"commandkey": command, "generatecommandkey": command, "opencommands": command,
	"binddevice":       {Dangerous, "binddevice", "the server is not bound to a network interface", "give its addresses with bindaddress, or bind the unit with a firewall"},
	"hwtimestamp":      {Unsupported, "hwtimestamp", "timestamps are the kernel's, not the network card's", ""},
	"hwtstimeout":      {Obsolete, "hwtimestamp", "it goes with hwtimestamp", ""},
	"ptpport":          {Unsupported, "ptp", "NTP over PTP is not offered", ""},
	"ptpdomain":        {Unsupported, "ptp", "NTP over PTP is not offered", ""},
	"ntpsigndsocket":   {Unsupported, "mssntp", "signed answers to Windows domain members are not offered", "leave the domain's clients on chronyd for now"},
	"ntsdumpdir":       {Changed, "nts-keys", "cookies of the old server are not known here: its NTS clients ask for new ones by themselves", ""},
	"ntscachedir":      {Obsolete, "nts-cache", "cookies of sources are not kept over a restart", ""},
	"ntsprocesses":     {Folded, "nts-processes", "NTS-KE runs in the same process on all processors", ""},
	"ntsratelimit":     {Approximated, "nts-rate", "nts.limits has limits of its own", "check nts.limits"},
	"noclientlog":      {Obsolete, "clientlog", "the list of clients cannot be abused here", ""},
	"maxtxbuffers":     {Obsolete, "buffers", "there are no such buffers", ""},
	"log":              {Changed, "statistics", "statistics are metrics, not files", "read the metrics where these files were read"},
	"logbanner":        {Obsolete, "log", "there are no such log files", ""},
	"logdir":           {Obsolete, "log", "there are no such log files", ""},
	"logchange":        {Obsolete, "log", "the program that steers the clock tells of jumps", ""},
	"mailonchange":     {Unsupported, "mail", "no mail is sent", "watch the metrics instead"},
	"pidfile":          {Obsolete, "pidfile", "the service manager knows the process", ""},
	"lock_all":         {Obsolete, "process", "the process is the service manager's", ""},
	"sched_priority":   {Obsolete, "process", "the process is the service manager's", ""},
	"user":             {Obsolete, "process", "the process is the service manager's", ""},
	"linux_hz":         {Obsolete, "process", "chronyd ignores it by now", ""},
	"linux_freq_scale": {Obsolete, "process", "chronyd ignores it by now", ""},
}

var (
	steering    = disposition{class: Unsupported, code: "sources"}
	clockDevice = disposition{Obsolete, "rtc", "the hardware clock is kept by the program that steers the clock", ""}
	command     = disposition{Obsolete, "command", "chronyc's access is not configured here: the control socket is local", ""}
)

// chrony converts a chrony.conf.
func (c *conversion) chrony() *Result {
	c.parsed = &Parsed{}
	c.chronyFile(c.in.Name, c.in.Data, -1, 0, 0)
	c.index()
	c.account()
	c.model.restricts = &restrictList{}
	c.model.fixed = make(map[lineMark]string)
	c.chronyStatements()
	c.chronyAccess()
	c.chronyClock()
	if c.opt.Client != nil {
		return c.client()
	}
	c.emitChrony()
	return c.result(c.render())
}

// chronyFile reads a file: a command per line, its words separated by blanks,
// comments only on lines of their own.
func (c *conversion) chronyFile(name string, data []byte, by, byLine, depth int) {
	p := c.parsed
	lines := splitLines(data)
	index := len(p.Files)
	p.Files = append(p.Files, File{Name: name, By: by, ByLine: byLine, Lines: lines})
	for i, line := range lines {
		list := strings.Fields(line)
		if len(list) == 0 || strings.IndexByte("!;#%", list[0][0]) >= 0 {
			continue
		}
		s := &Statement{Word: asciiLower(list[0]), File: index, Line: i + 1}
		for _, w := range list[1:] {
			s.Options = append(s.Options, Option{Kind: valueString, Text: w})
		}
		if _, ok := chronyDirectives[s.Word]; !ok {
			p.Diagnostics = append(p.Diagnostics, Diagnostic{File: index, Line: i + 1, At: i + 1, Syntax: true, Text: "syntax error, unexpected " + show(list[0])})
			continue
		}
		p.Statements = append(p.Statements, s)
		c.chronyInclude(s, depth)
	}
}

// maxChronyDepth is how deep chronyd includes.
const maxChronyDepth = 10

// chronyInclude reads the files of include, confdir and sourcedir.
func (c *conversion) chronyInclude(s *Statement, depth int) {
	var patterns []string
	switch s.Word {
	case "include":
		patterns = []string{s.argument()}
	case "confdir", "sourcedir":
		ext := map[string]string{"confdir": "/*.conf", "sourcedir": "/*.sources"}[s.Word]
		for _, o := range s.Options {
			patterns = append(patterns, o.Text+ext)
		}
	default:
		return
	}
	missing := Missing{Name: strings.Join(patterns, " "), File: s.File, Line: s.Line}
	if c.in.Files == nil || depth >= maxChronyDepth || len(c.parsed.Files) > maxFiles {
		missing.Err = errUnknownHost
		if c.in.Files != nil {
			missing.Err = ErrTooLong
		}
		c.parsed.Unread = append(c.parsed.Unread, missing)
		return
	}
	for _, pattern := range patterns {
		found, _ := fs.Glob(c.in.Files, rooted(pattern))
		slices.Sort(found)
		for _, name := range found {
			data, err := c.read("/" + name)
			if err == nil {
				err = CheckLength(data)
			}
			if err != nil {
				missing.Name, missing.Err = name, err
				c.parsed.Unread = append(c.parsed.Unread, missing)
				continue
			}
			if c.parsedLen() > maxInputLines {
				return
			}
			c.chronyFile("/"+name, data, s.File, s.Line, depth+1)
		}
	}
}

func (c *conversion) parsedLen() (n int) {
	for _, f := range c.parsed.Files {
		n += len(f.Lines)
	}
	return n
}

// chronyStatements accounts for every directive but those of access and clock.
func (c *conversion) chronyStatements() {
	m := &c.model
	m.limits = defaultLimits()
	if s := c.lastOf("keyfile"); s != nil {
		c.chronyKeys(s) // before the sources that use it
	}
	for _, s := range c.parsed.Statements {
		r := c.record(s)
		if i := slices.IndexFunc(s.Options, func(o Option) bool { return strings.HasPrefix(o.Text, "#") }); i >= 0 && s.Word != "log" {
			r.note(Error, "chrony-comment", "put the comment on a line of its own", "chronyd takes # behind a directive for an argument, and does not start")
			s.Options = s.Options[:i]
		}
		d := chronyDirectives[s.Word]
		switch {
		case d.code == "sources":
			c.sourceLine(s, "sources")
			continue
		case d.class != "":
			c.apply(r, d)
			continue
		}
		switch s.Word {
		case "server", "pool", "peer":
			c.chronySource(s)
		case "refclock", "initstepslew":
			c.sourceLine(s, "sources")
		case "broadcast":
			c.apply(r, disposition{Dangerous, "broadcast", "broadcasts are not sent: clients that listen for them lose their time", "give them server lines"})
		case "include", "confdir", "sourcedir":
			r.note(Folded, "include", "", "what the files have is converted with their own lines")
		case "dscp":
			m.dscp = s
		case "clientloglimit":
			if n, err := strconv.Atoi(s.argument()); err == nil {
				m.clients, m.clientSize = min(max(n/128, 1<<12), 1<<24), s
				r.note(Approximated, "mru", "", "the list of clients has a fixed size")
			}
		}
	}
}

func (c *conversion) chronyKeys(s *Statement) {
	m := &c.model
	if !plainPath(s.argument()) {
		c.record(s).note(Error, "file-name", "give a name", "that is no name of a file")
		return
	}
	m.keyFile, m.keyPath = s, absolute(s.argument())
	m.trustSet = symkey.TrustAll
	c.readKeys(c.record(s))
	if m.keysRejected {
		return
	}
	c.record(s).note(Kept, "chrony-trust", "", "chronyd trusts every key of its file")
}

// chronySource reads a source; its options are names, some with a value.
func (c *conversion) chronySource(s *Statement) {
	src := &source{line: s, kind: s.Word, address: s.argument(), minPoll: 6, maxPoll: 10, version: 4, mode: -1}
	for i := 1; i < len(s.Options); i++ {
		value := 0
		if i+1 < len(s.Options) {
			value, _ = strconv.Atoi(s.Options[i+1].Text)
		}
		switch asciiLower(s.Options[i].Text) {
		case "key":
			src.key = uint32(value)
		case "port":
			src.port = value
		case "ntsport":
			src.address = strings.TrimSpace(s.argument()) + ":" + strconv.Itoa(value)
		case "minpoll":
			src.minPoll = value
		case "maxpoll":
			src.maxPoll = value
		case "iburst":
			src.iburst = true
		case "burst":
			src.burst = true
		case "nts":
			src.nts = true
		case "prefer":
			src.prefer = true
		case "trust":
			src.trusted = true
		case "noselect":
			src.noSelect = true
		case "xleave":
			src.xleave = true
		}
	}
	if !plainName(src.address) {
		c.record(s).note(Error, "no-address", "name the server", "chronyd does not start with a source without a name")
		return
	}
	c.model.sources = append(c.model.sources, src)
	c.sourceLine(s, "sources")
	if src.key != 0 {
		if ok, why := c.usableKey(src.key); !ok && c.model.keyFile != nil {
			src.dead = why
			c.record(s).note(Dangerous, "source-key", "correct the key", "chronyd cannot use this source: %s", why)
		}
	}
}

// chronyAccess turns allow and deny into a list like ntpd's, whose default is
// to refuse.
func (c *conversion) chronyAccess() {
	l := c.model.restricts
	l.add(any4, any4, flagIgnore, nil)
	l.add(any6, any6, flagIgnore, nil)
	off := false
	if s := c.lastOf("port"); s != nil {
		off = s.argument() == "0"
		c.record(s).into("server.listen")
		if off {
			c.record(s).note(Kept, "port-0", "", "port 0: chronyd serves nobody")
		}
	}
	served := false
	for _, s := range c.all("allow", "deny") {
		args := slices.Clone(s.Options)
		everything := len(args) > 0 && asciiLower(args[0].Text) == "all"
		if everything {
			args = args[1:]
		}
		prefixes, problem := c.chronySubnet(args)
		if problem != "" {
			c.record(s).note(Dangerous, "allow-name", "say which addresses it has: --address NAME=ADDRESS", "%s", problem)
			if s.Word == "deny" {
				c.report.Questions = append(c.report.Questions, Question{
					File: c.parsed.Files[s.File].Name, Line: s.Line, Text: show(c.text(s)), Code: "restricted-name",
					Written: "no time for these addresses", Running: "whatever the name stands for when chronyd starts",
					Do: "say which addresses it has: --address NAME=ADDRESS",
				})
			}
			continue
		}
		flags := flagIgnore
		if s.Word == "allow" && !off {
			flags, served = flagNoQuery|c.chronyLimited(), true
		}
		for _, p := range prefixes {
			if everything {
				l.removeBelow(p)
			}
			l.put(p.Addr(), prefixMask(p.Addr(), p.Bits()), flags, s)
		}
	}
	rules, _ := accessRules(l)
	c.model.rules = rules
	for _, rule := range rules {
		c.model.kod = c.model.kod || rule.service.Kod
		c.model.limited = c.model.limited || rule.service.Limited && !rule.service.Kod
	}
	if !served {
		c.report.note(Changed, "client-only", "add allow lines, or access rules, for the clients", "chronyd serves nobody without allow: neither does the output")
	}
	if table, err := accessTable(rules, defaultLimits()); err == nil {
		c.report.Access = compareAccess(l, table)
		c.differences()
	}
	c.chronyListen(off)
}

// put sets the flags of an entry, whatever they were.
func (l *restrictList) put(addr, mask netip.Addr, flags restrictSet, s *Statement) {
	l.add(addr, mask, 0, s)
	l.index[restrictKey{masked128(addr, mask), mask, false}].flags = flags
}

// removeBelow drops the entries inside a prefix.
func (l *restrictList) removeBelow(p netip.Prefix) {
	var gone []*restriction
	for _, e := range l.entries {
		if bits, _ := highestBit(e.mask); bits > p.Bits() && p.Contains(e.addr) {
			gone = append(gone, e)
		}
	}
	if len(gone) > 0 {
		*l = *l.without(gone)
	}
}

// chronySubnet reads what allow and deny are for: nothing is everything, and
// IPv4 networks may be cut short.
func (c *conversion) chronySubnet(args []Option) (list []netip.Prefix, problem string) {
	if len(args) == 0 || args[0].Text == "0/0" {
		if len(args) > 0 {
			return []netip.Prefix{all4}, ""
		}
		return []netip.Prefix{all4, all6}, ""
	}
	text := args[0].Text
	if text == "::/0" {
		return []netip.Prefix{all6}, ""
	}
	name, bits, hasBits := strings.Cut(text, "/")
	if a, err := netip.ParseAddr(name); err == nil {
		n := a.BitLen()
		if hasBits {
			if n, err = strconv.Atoi(bits); err != nil || n < 0 || n > a.BitLen() {
				return nil, fmt.Sprintf("%s is no network", printable(text))
			}
		}
		p, _ := a.Prefix(n)
		return []netip.Prefix{p}, ""
	}
	parts := strings.Split(strings.TrimSuffix(name, "."), ".")
	if len(parts) < 4 && all(strings.Join(parts, ""), isDigit) {
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
		return nil, fmt.Sprintf("no name server is asked: the addresses of %s are not known", printable(text))
	}
	return list, ""
}

// chronyLimited returns the flags of ratelimit, which holds for everybody.
func (c *conversion) chronyLimited() (f restrictSet) {
	for _, s := range c.all("ratelimit") {
		f = flagLimited
		for _, o := range s.Options {
			if asciiLower(o.Text) == "kod" {
				f |= flagKod
			}
		}
	}
	return f
}

// chronyListen turns port and bindaddress into addresses.
func (c *conversion) chronyListen(off bool) {
	port := 123
	if s := c.lastOf("port"); s != nil && !off {
		port, _ = strconv.Atoi(s.argument())
	}
	m := &c.model
	for _, s := range c.all("bindaddress") {
		a, err := netip.ParseAddr(s.argument())
		if err != nil {
			c.record(s).note(Dangerous, "bindaddress", "give an address", "%s is no address: everything is listened on", printable(s.argument()))
			continue
		}
		m.listen.addresses = append(m.listen.addresses, netip.AddrPortFrom(a, uint16(port)))
		m.listen.lines = append(m.listen.lines, s)
		c.record(s).into("server.listen")
	}
	if port != 123 && port > 0 && len(m.listen.addresses) == 0 {
		m.listen.addresses = []netip.AddrPort{netip.AddrPortFrom(any6, uint16(port)), netip.AddrPortFrom(any4, uint16(port))}
		m.listen.lines = c.all("port")
	}
}

// chronyClock reads local.
func (c *conversion) chronyClock() {
	s := c.lastOf("local")
	if s == nil {
		return
	}
	r := c.record(s)
	stratum := 10
	for i, o := range s.Options {
		if asciiLower(o.Text) == "stratum" && i+1 < len(s.Options) {
			stratum, _ = strconv.Atoi(s.Options[i+1].Text)
		}
	}
	if stratum < 1 || stratum > 15 {
		r.note(Error, "local", "write 1 to 15", "stratum %d", stratum)
		return
	}
	c.model.localStratum, c.model.localLines = stratum, []*Statement{s}
	r.note(Dangerous, "local-clock", "leave it out, unless clients have to stay together without a source",
		"without a source, time that nobody vouches for is served at stratum %d, and authentication makes it look good", stratum)
}

// emitChrony makes the sections.
func (c *conversion) emitChrony() {
	c.emitServer()
	c.emitClock()
	c.emitAccess()
	c.emitChronyLimit()
	c.emitKeys()
	c.emitChronyNTS()
	c.emitSources()
}

// emitChronyLimit writes ratelimit: powers of two.
func (c *conversion) emitChronyLimit() {
	m := &c.model
	s := c.lastOf("ratelimit")
	if s == nil && m.clients == 0 {
		return
	}
	n := c.top.section("rate_limit")
	if m.clients > 0 {
		n.set("clients", fmt.Sprint(m.clients)).from(m.clientSize)
		c.became("rate_limit.clients", m.clientSize)
	}
	if s == nil {
		return
	}
	values := map[string]int{"interval": 3, "burst": 8, "leak": 2}
	for i, o := range s.Options {
		if _, ok := values[asciiLower(o.Text)]; ok && i+1 < len(s.Options) {
			values[asciiLower(o.Text)], _ = strconv.Atoi(s.Options[i+1].Text)
		}
	}
	item := n.section("limits").from(s).item()
	item.set("name", limitName(m.kod))
	interval := values["interval"]
	if interval >= 0 {
		item.set("interval", fmt.Sprintf("%ds", 1<<min(interval, 12)))
	} else {
		item.set("interval", fmt.Sprintf("%dus", 1000000>>min(-interval, 19)))
	}
	item.set("burst", fmt.Sprint(min(max(values["burst"], 1), 255)))
	item.set("leak", strconv.FormatFloat(1/float64(int(1)<<min(max(values["leak"], 1), 4)), 'g', -1, 64))
	item.set("kiss", strconv.FormatBool(m.kod))
	c.became("rate_limit.limits", s)
	if !m.limited && !m.kod {
		c.record(s).note(Obsolete, "ratelimit-unused", "", "nobody is served")
	}
}

// emitChronyNTS writes the NTS server.
func (c *conversion) emitChronyNTS() {
	certs, keys := c.all("ntsservercert"), c.all("ntsserverkey")
	if len(certs) == 0 || c.opt.NTSCert != "" || c.opt.NTSSelfSigned {
		for _, s := range append(certs, keys...) {
			c.record(s).note(Changed, "nts-replaced", "", "another certificate was asked for")
		}
		c.emitNTS()
		return
	}
	n := c.top.section("nts")
	n.set("enabled", "true")
	if s := c.lastOf("ntsport"); s != nil {
		if port, err := strconv.ParseUint(s.argument(), 10, 16); err == nil && port > 0 {
			n.set("listen", fmt.Sprintf(`["[::]:%d", "0.0.0.0:%d"]`, port, port)).from(s)
			c.became("nts.listen", s)
		}
	}
	list := n.section("certificates")
	for i, s := range certs {
		if i < len(keys) && (!plainPath(s.argument()) || !plainPath(keys[i].argument())) {
			c.record(s).note(Error, "file-name", "give a name", "that is no name of a file")
			continue
		}
		if i >= len(keys) {
			c.record(s).note(Error, "nts-pair", "add ntsserverkey", "the certificate has no key")
			continue
		}
		item := list.item().from(s, keys[i])
		item.set("cert", yamlString(absolute(s.argument())))
		item.set("key", yamlString(absolute(keys[i].argument())))
		c.became("nts.certificates", s, keys[i])
	}
	n.set("generate", "false")
	if s := c.lastOf("ntsntpserver"); s != nil && plainName(s.argument()) {
		n.set("server", yamlString(s.argument())).from(s)
		c.became("nts.server", s)
	}
	if s := c.lastOf("ntsrotate"); s != nil {
		c.emitRotation(n, s)
	}
	if s := c.lastOf("maxntsconnections"); s != nil {
		if v, err := strconv.Atoi(s.argument()); err == nil && v > 0 {
			n.section("limits").set("connections", fmt.Sprint(min(v, 65536))).from(s)
			c.became("nts.limits.connections", s)
		}
	}
	c.emitAEADs(n)
}

func (c *conversion) emitRotation(n *node, s *Statement) {
	v, err := strconv.Atoi(s.argument())
	if err != nil || v < 60 {
		c.record(s).note(Approximated, "nts-rotation", "", "keys are always changed, at the latest after a year")
		return
	}
	n.section("cookies").set("rotation", fmt.Sprintf("%ds", min(v, 8760*3600))).from(s)
	c.became("nts.cookies.rotation", s)
}

// emitAEADs writes ntsaeads, which has the algorithms' numbers.
func (c *conversion) emitAEADs(n *node) {
	s := c.lastOf("ntsaeads")
	if s == nil {
		return
	}
	names := map[string]string{"30": "AES-128-GCM-SIV", "15": "AES-SIV-CMAC-256", "16": "AES-SIV-CMAC-384", "17": "AES-SIV-CMAC-512"}
	var list []string
	for _, o := range s.Options {
		if name := names[o.Text]; name != "" {
			list = append(list, name)
		} else {
			c.record(s).note(Unsupported, "nts-aead", "", "algorithm %s is not offered", printable(o.Text))
		}
	}
	if len(list) > 0 {
		n.set("aeads", yamlList(list, func(s string) string { return s })).from(s)
		c.became("nts.aeads", s)
	}
}
