package convert

import (
	"io/fs"
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
