package chronyd

import (
	"slices"
	"strconv"
	"strings"

	"ntsbridge/bridge/convert/chronyconf"
	"ntsbridge/bridge/convert/draft"
	"ntsbridge/bridge/convert/job"
	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/restrict"
	"ntsbridge/bridge/convert/spell"
	"ntsbridge/bridge/convert/syntax"
	"ntsbridge/symkey"
)

// ChronyDirectives are the directives of chronyd 4.6 and older. Those without
// a disposition have a place in the output.
var ChronyDirectives = map[string]disposition{
	"server": {}, "pool": {}, "peer": {}, "refclock": {}, "initstepslew": {}, "allow": {}, "deny": {}, "keyfile": {}, "port": {},
	"bindaddress": {}, "local": {}, "ratelimit": {}, "dscp": {}, "ntsservercert": {}, "ntsserverkey": {}, "ntsport": {},
	"ntsntpserver": {}, "ntsrotate": {}, "maxntsconnections": {}, "include": {}, "confdir": {}, "sourcedir": {}, "clientloglimit": {},
	"ntsaeads": {}, "broadcast": {},

	"makestep": {}, "maxchange": {}, "maxclockerror": {}, "maxdistance": {}, "maxslewrate": {}, "minsources": {}, "nocerttimecheck": {},
	"authselectmode": {}, "driftfile": {}, "leapsectz": {}, "leapseclist": {}, "leapsecmode": {}, "smoothtime": {}, "bindacqaddress": {},
	"ntstrustedcerts": {}, "nosystemcert": {},

	"combinelimit": tuning, "corrtimeratio": tuning, "fallbackdrift": tuning, "maxdrift": {}, "maxjitter": tuning, "maxsamples": tuning,
	"maxupdateskew": tuning, "minsamples": tuning, "reselectdist": tuning, "stratumweight": tuning, "clockprecision": tuning,
	"maxstratum": {report.Unsupported, "maxstratum", "sources are not refused for their stratum",
		"name only sources of the strata that are wanted"},
	"minstratum": {report.Unsupported, "minstratum", "sources are not refused for their stratum",
		"name only sources of the strata that are wanted"},
	"tempcomp": {report.Unsupported, "tempcomp", "the temperature is not made up for; the frequency is followed as it changes", ""},
	"manual":   {},
	"acquisitionport": {report.Changed, "acquisitionport", "each request leaves from a port of its own, which is safer",
		"let the firewall pass answers from port 123"},
	"bindacqdevice": {report.Unsupported, "bindacqdevice", "requests are not bound to a network interface",
		"give its address with bindacqaddress, or route them"},
	"refresh":    {report.Folded, "refresh", "names are looked up again by themselves", ""},
	"ntsrefresh": {report.Folded, "nts-refresh", "keys of NTS are made anew by themselves", ""},

	"rtcautotrim": clockDevice, "rtcdevice": clockDevice, "rtcfile": clockDevice, "rtconutc": clockDevice, "hwclockfile": clockDevice,
	"rtcsync": {},
	"dumpdir": dump, "dumponexit": dump,
	"bindcmdaddress": {}, "cmdallow": {}, "cmddeny": {}, "cmdport": {},
	"bindcmddevice": {report.Unsupported, "command-device", "chronyc's port is not bound to a network interface", "bind it to an address"},
	"cmdratelimit":  {report.Folded, "command-rate", "chronyc's port has a limit of its own", ""},
	"commandkey":    command, "generatecommandkey": command, "opencommands": command,
	"binddevice": {report.Dangerous, "binddevice", "the server is not bound to a network interface",
		"give its addresses with bindaddress, or bind the unit with a firewall"},
	"hwtimestamp":    {},
	"hwtstimeout":    {report.Obsolete, "hwtimestamp", "it goes with hwtimestamp", ""},
	"ptpport":        {report.Unsupported, "ptp", "NTP over PTP is not offered", ""},
	"ptpdomain":      {report.Unsupported, "ptp", "NTP over PTP is not offered", ""},
	"ntpsigndsocket": {},
	"ntsdumpdir":     {},
	"ntscachedir":    ntsCache,
	"ntsprocesses":   {report.Folded, "nts-processes", "NTS-KE runs in the same process on all processors", ""},
	"ntsratelimit":   {report.Approximated, "nts-rate", "nts.limits has limits of its own", "check nts.limits"},
	"noclientlog":    {report.Obsolete, "clientlog", "the list of clients cannot be abused here", ""},
	"maxtxbuffers":   {report.Obsolete, "buffers", "there are no such buffers", ""},
	"log":            {}, "logbanner": {}, "logdir": {},
	"logchange":        {report.Obsolete, "log", "the program that steers the clock tells of jumps", ""},
	"mailonchange":     {report.Unsupported, "mail", "no mail is sent", "watch ntsbridge tracking --json instead"},
	"pidfile":          {report.Obsolete, "pidfile", "the service manager knows the process", ""},
	"lock_all":         {report.Obsolete, "process", "the process is the service manager's", ""},
	"sched_priority":   {report.Obsolete, "process", "the process is the service manager's", ""},
	"user":             {report.Obsolete, "process", "the process is the service manager's", ""},
	"linux_hz":         {report.Obsolete, "process", "chronyd ignores it by now", ""},
	"linux_freq_scale": {report.Obsolete, "process", "chronyd ignores it by now", ""},
}

var (
	tuning = disposition{report.Approximated, "tuning",
		"the discipline works out by itself how sources are weighed and the clock is steered", ""}
	clockDevice = disposition{report.Obsolete, "rtc", "the kernel keeps the hardware clock", ""}
	dump        = disposition{report.Obsolete, "dumpdir", "measurements are not kept over a restart", ""}
	ntsCache    = disposition{report.Folded, "nts-cache", "keys and cookies of sources are kept in state_dir over a restart", ""}
	command     = disposition{report.Obsolete, "command", "chronyc needs no key by now", ""}
)

// syntax takes out the lines that chronyd does not start with.
func (c *reader) syntax() {
	c.Bad = make(map[*syntax.Statement]bool)
	for _, s := range c.Parsed.Statements {
		if i := slices.IndexFunc(s.Options, func(o syntax.Option) bool { return strings.HasPrefix(o.Text, "#") }); i >= 0 &&
			s.Word != "log" {
			c.Record(s).Note(report.Error, "chrony-comment", "put the comment on a line of its own",
				"chronyd takes # behind a directive for an argument, and does not start")
			s.Options = s.Options[:i]
		}
		problem := chronyconf.Problem(s)
		if problem != "" {
			c.Record(s).Note(report.Error, "chrony-value", "correct or delete the line",
				"chronyd does not start: %s; the line is left out", problem)
		}
		nan := chronyconf.NaN(s)
		if problem == "" && nan != "" {
			c.Record(s).Note(report.Unsupported, "chrony-nan", "write a number",
				"%s is no number, which chronyd does not say when it starts; the line is left out", spell.Printable(nan))
		}
		if c.Bad[s] = problem != "" || nan != ""; c.Bad[s] {
			c.lostLine(s)
		}
	}
	for word, list := range c.ByWord {
		c.ByWord[word] = slices.DeleteFunc(slices.Clone(list), func(s *syntax.Statement) bool { return c.Bad[s] })
	}
	c.clientLog()
}

// lostLine asks about a line that is left out, and that took something away.
func (c *reader) lostLine(s *syntax.Statement) {
	q := report.Question{File: c.Parsed.Files[s.File].Name, Line: s.Line, Text: spell.Show(c.Text(s)),
		Running: "nothing: chronyd does not start with this line",
		Do:      "correct the line, or choose --lost running to go without it"}
	switch s.Word {
	case "deny":
		q.Code, q.Written = "lost-restriction", "no time for some addresses"
	case "bindaddress":
		q.Code, q.Written = "lost-interface-rule", "to serve at one address"
	default:
		return
	}
	if c.Opt.Decide == nil || c.Opt.Decide(q) != job.LostRunning {
		c.Report.Questions = append(c.Report.Questions, q)
	}
}

// clientLog finds what chronyd cannot do without its list of clients.
func (c *reader) clientLog() {
	limits := c.All("ratelimit", "ntsratelimit", "cmdratelimit")
	lines := c.All("noclientlog")
	if len(limits) == 0 {
		return
	}
	for _, s := range lines {
		c.Record(s).Note(report.Error, "clientlog-limit", "delete one of the two lines",
			"chronyd does not start: it limits no rate (line %d) without a list of clients; the line is left out", limits[0].Line)
		c.Bad[s] = true
	}
	delete(c.ByWord, "noclientlog")
}

// statements accounts for every directive but those of access and clock.
func (c *reader) statements() {
	m := &c.Model
	m.Limits = restrict.DefaultLimits()
	if s := c.LastOf("keyfile"); s != nil {
		c.keys(s) // before the sources that use it
	}
	clocks := 0
	for _, s := range c.Parsed.Statements {
		r := c.Record(s)
		if c.Bad[s] {
			continue
		}
		d := ChronyDirectives[s.Word]
		switch {
		case s.Word == "server", s.Word == "pool", s.Word == "peer":
			c.source(s)
			continue
		case s.Word == "refclock":
			c.refclockLine(s, clocks)
			clocks++
			continue
		case c.Opt.Client != nil:
			continue // the rest is the writer's to tell
		case d.Class != "":
			c.apply(r, d)
			continue
		}
		switch s.Word {
		case "ntsdumpdir":
			if len(c.All("ntsservercert")) > 0 {
				c.apply(r, disposition{report.Changed, "nts-keys",
					"cookies of the old server are not known here: its NTS clients ask for new ones by themselves", ""})
				continue
			}
			c.apply(r, ntsCache)
		case "log", "logbanner", "logdir":
			c.logs(s)
		case "hwtimestamp":
			m.Hardware = true
			if words := slices.DeleteFunc(c.Words(s), func(w string) bool { return w == "" }); len(words) > 0 {
				r.Note(report.Approximated, "hwtimestamp-option", "", "%s: there are no such options of a network card",
					spell.Printable(strings.Join(words, ", ")))
			}
		case "ntstrustedcerts", "nosystemcert":
			c.trust(s)
		case "broadcast":
			c.apply(r, disposition{report.Dangerous, "broadcast",
				"chronyd's broadcasts have no authentication, and are not sent any more: clients that listen for them lose their time",
				"give them server lines, or a broadcast with a key"})
		case "include", "confdir", "sourcedir":
			r.Note(report.Folded, "include", "", "what the files have is converted with their own lines")
		case "dscp":
			if v, _ := chronyconf.Prefix('i', s.Argument()); v < 0 || v > 63 {
				r.Note(report.Error, "dscp", "write 0 to 63", "%s is no code point", spell.Printable(s.Argument()))
			} else {
				s.Options[0].Int = int64(v)
				m.Dscp = s
			}
		case "ntpsigndsocket":
			if s != c.LastOf(s.Word) || !spell.PlainPath(s.Argument()) {
				continue
			}
			m.SignSocket, m.SignLines = job.SignSocket(s.Argument()), []*syntax.Statement{s}
			r.Note(report.Kept, "mssntp", "let the daemon's user into the group of the directory of Samba's socket",
				"Samba signs the answers to members of the domain, as before")
		case "clientloglimit":
			if n, err := strconv.Atoi(s.Argument()); err == nil {
				m.Clients, m.ClientSize = min(max(n/128, 1<<12), 1<<24), s
				r.Note(report.Approximated, "mru", "", "the list of clients has a fixed size")
			}
		}
	}
}

// trust accounts for whom NTS trusts.
func (c *reader) trust(s *syntax.Statement) {
	verified := slices.ContainsFunc(c.All("server", "pool"), func(s *syntax.Statement) bool {
		return slices.Contains(chronyconf.Words(s), "nts")
	})
	switch {
	case !verified:
		c.Record(s).Note(report.Obsolete, "nts-trust", "", "there is no source to be verified")
	case s.Word == "nosystemcert":
		c.Record(s).Note(report.Folded, "nts-trust", "", "the certificates of the system are left out of trusted_certificates")
	}
}

func (c *reader) keys(s *syntax.Statement) {
	m := &c.Model
	if !spell.PlainPath(s.Argument()) {
		c.Record(s).Note(report.Error, "file-name", "give a name", "that is no name of a file")
		return
	}
	m.KeyFile, m.KeyPath = s, job.Absolute(s.Argument())
	if !strings.HasPrefix(s.Argument(), "/") {
		c.Record(s).Note(report.Approximated, "relative-name", "write an absolute name",
			"the name is relative to the directory in which chronyd was started, taken to be /")
	}
	m.TrustSet = symkey.TrustAll
	c.ReadKeys(c.Record(s))
	if m.KeysRejected {
		return
	}
	c.Record(s).Note(report.Kept, "chrony-trust", "", "chronyd trusts every key of its file")
}

// logs keeps chronyd's files with statistics.
func (c *reader) logs(s *syntax.Statement) {
	section, r := &c.Draft.Config.Statistics, c.Record(s)
	dir := c.LastOf("logdir")
	if dir == nil || len(c.All("log")) == 0 || !spell.PlainPath(dir.Argument()) {
		r.Note(report.Obsolete, "log", "", "chronyd writes no such files without log and logdir")
		return
	}
	switch s.Word {
	case "logdir":
		draft.Set(c.Draft, &section.Dir, job.Absolute(dir.Argument()), dir)
	case "logbanner":
		if v, ok := chronyconf.Number('i', s.Argument()); ok {
			draft.Set(c.Draft, &section.Banner, int(job.Within(v, 0, 1e6)), s)
		}
	case "log":
		files := section.Files
		for _, o := range s.Options {
			switch word := strings.TrimPrefix(spell.AsciiLower(o.Text), "raw"); word {
			case "measurements", "statistics", "tracking", "refclocks":
				if !slices.Contains(files, word) {
					files = append(files, word)
				}
			default:
				r.Note(report.Unsupported, "log", "", "there is no log of %s", word)
			}
		}
		if len(files) > 0 {
			draft.Set(c.Draft, &section.Files, files, s)
		}
	}
}
