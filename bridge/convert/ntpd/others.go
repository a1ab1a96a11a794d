package ntpd

import (
	"fmt"
	"slices"
	"strings"

	"ntsbridge/bridge/convert/job"
	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/restrict"
	"ntsbridge/bridge/convert/spell"
	"ntsbridge/bridge/convert/syntax"
)

// others are the directives without a place in the output.
var others = map[string]disposition{
	"nonvolatile":     {report.Obsolete, "nonvolatile", "the drift file is written when the frequency changes", ""},
	"logfile":         {report.Folded, "log", "messages go to standard error and the journal", ""},
	"logconfig":       {report.Folded, "log", "log.level says how much is told", ""},
	"pidfile":         {report.Obsolete, "pidfile", "the service manager knows the process", ""},
	"saveconfigdir":   {report.Obsolete, "saveconfigdir", "the configuration is not changed over the network", ""},
	"setvar":          {report.Obsolete, "setvar", "variables of ntpq's protocol are not set", ""},
	"trap":            {report.Unsupported, "trap", "traps are not sent", "watch ntsbridge tracking --json instead"},
	"phone":           {report.Unsupported, "phone", "modem clocks are not offered", "use a receiver or a server"},
	"ttl":             {report.Folded, "hops", "the lives of packets are those of the option ttl of broadcast lines", ""},
	"pollskewlist":    {report.Obsolete, "pollskewlist", "polls are spread by themselves", ""},
	"mdnstries":       {report.Obsolete, "mdns", "the server does not announce itself by mDNS", ""},
	"reset":           {report.Obsolete, "reset", "counters begin at zero", ""},
	"rlimit":          {report.Obsolete, "rlimit", "limits of the process are the service manager's", ""},
	"tick":            {report.Obsolete, "tick", "the kernel's clock needs no tick", ""},
	"broadcastdelay":  {report.Obsolete, "broadcastdelay", "the delay of a broadcast is measured", ""},
	"broadcastclient": listens,
	"multicastclient": {report.Dangerous, "multicastclient", "multicast from servers that nobody named is not listened to",
		"name each server: mode: broadcast, group: ADDRESS and auth: symmetric below sources, or ask it"},
	"manycastserver": {report.Unsupported, "manycastserver", "clients that look for servers by multicast get no answer",
		"give them server lines"},
	"simulate":    {report.Obsolete, "simulate", "the simulator's block means nothing to a server", "delete it"},
	"includefile": {report.Folded, "include", "what the file has is converted with its own lines", ""},
	"end":         {report.Folded, "end", "", ""},
}

// listens is what becomes of time from any sender of broadcasts.
var listens = disposition{report.Dangerous, "broadcastclient", "broadcasts of servers that nobody named are not listened to",
	"name each server: mode: broadcast and auth: symmetric below sources, or ask it"}

// switches are the words of enable and disable: on says what enabling means,
// off what disabling means.
var switches = map[string]struct{ on, off disposition }{
	"auth": {disposition{report.Obsolete, "auth", "is ntpd's default", ""},
		disposition{report.Changed, "disable-auth", "ntpd let unauthenticated strangers become its sources; here they never do", ""}},
	"bclient": {listens,
		disposition{report.Obsolete, "bclient", "broadcasts are not listened to", ""}},
	"calibrate": {disposition{report.Obsolete, "calibrate", "calibration of reference clocks is not offered", ""},
		disposition{report.Obsolete, "calibrate", "is off by default", ""}},
	"kernel": {disposition{report.Obsolete, "kernel", "is ntpd's default", ""},
		disposition{report.Folded, "kernel", "the kernel's own loop is never used", ""}},
	"mode7": {disposition{report.Unsupported, "mode7", "ntpdc's protocol is not offered; it was good for attacks", "use ntpq"},
		disposition{report.Obsolete, "mode7", "ntpdc's protocol is not offered", ""}},
	"monitor": {disposition{report.Obsolete, "monitor", "is ntpd's default", ""},
		disposition{report.Obsolete, "monitor", "the list of clients cannot be abused here (it was the remedy for CVE-2013-5211)", ""}},
	"ntp": {disposition{report.Obsolete, "ntp", "is ntpd's default", ""},
		disposition{report.Changed, "disable-ntp",
			"the clock is served and not steered; it is served only while the kernel calls it synchronised",
			"let another program steer it"}},
	"stats": {disposition{report.Obsolete, "stats", "is ntpd's default", ""},
		disposition{report.Folded, "stats", "no statistics files are written", ""}},
}

// buildOthers accounts for what has no place of its own.
func (c *reader) buildOthers() {
	c.buildStatistics()
	c.buildSigning()
	for _, s := range c.Parsed.Statements {
		r := c.Record(s)
		switch s.Word {
		case "dscp":
			c.buildDSCP(s)
		case "driftfile", "leapfile", "leapsmearinterval", "tos", "tinker":
			// The clock's.
		case "enable", "disable":
			c.buildSwitches(s)
		case "logfile", "pidfile":
			if !c.Overridden(s) {
				c.apply(r, others[s.Word])
			}
		case "simulate":
			for line := s.Line; line <= max(s.End, s.Line); line++ {
				c.apply(c.Records[syntax.Place{File: s.File, Line: line}], others[s.Word])
			}
		case "nts":
			c.buildNTS(s)
		default:
			if d, ok := others[s.Word]; ok {
				c.apply(r, d)
			}
		}
	}
}

// builtInSigning is where ntpd looks for Samba's socket without a line.
const builtInSigning = "/var/run/ntp_signd"

// buildSigning finds Samba's socket: ntpd names its directory.
func (c *reader) buildSigning() {
	m := &c.Model
	m.SignSocket = job.SignSocket(builtInSigning)
	signs := slices.ContainsFunc(m.Rules, func(r restrict.Rule) bool { return r.Service.MSSNTP })
	for _, s := range c.All("ntpsigndsocket") {
		switch r := c.Record(s); {
		case c.Overridden(s):
		case !spell.PlainPath(s.Argument()):
			r.Note(report.Error, "file-name", "give a name", "that is no name of a directory")
		case !signs:
			r.Note(report.Obsolete, "mssntp", "delete the line", "no restriction has mssntp, so that nothing is signed")
		default:
			m.SignSocket, m.SignLines = job.SignSocket(s.Argument()), []*syntax.Statement{s}
		}
	}
}

// buildNTS reads ntpsec's directive.
func (c *reader) buildNTS(s *syntax.Statement) {
	r, m := c.Record(s), &c.Model
	m.NtsLines = append(m.NtsLines, s)
	for _, o := range s.Options {
		switch o.Name {
		case "enable":
			m.Nts = true
		case "disable":
			m.Nts = false
		case "cert", "key":
			if c.Opt.NTSCert != "" || c.Opt.NTSSelfSigned {
				r.Note(report.Changed, "nts-replaced", "", "another certificate was asked for")
				continue
			}
			if !spell.PlainPath(o.Text) {
				r.Note(report.Error, "file-name", "give a name", "that is no name of a file")
				continue
			}
			if o.Name == "cert" {
				m.NtsCert = job.Absolute(o.Text)
			} else {
				m.NtsKey = job.Absolute(o.Text)
			}
		case "cookie":
			r.Note(report.Changed, "nts-keys", "",
				"cookies of the old server are not known here: its NTS clients ask for new ones by themselves")
		case "mintls", "maxtls", "tlsciphersuites", "tlscipherserverpreference", "tlsecdhcurves":
			r.Note(report.Folded, "nts-tls", "", "NTS-KE takes TLS 1.3 only, with Go's choice of ciphers")
		case "ca":
			if c.ntsAuthority() != s || !slices.ContainsFunc(c.Model.Sources, func(src *job.Source) bool { return src.TrustLine == s }) {
				r.Note(report.Folded, "nts-ca", "delete it", "no source is verified by it")
			}
		case "port":
			r.Note(report.Changed, "port-unread", "write nts.listen, if its clients ask there",
				"ntpsec 1.2.3 ignores this word for a syntax error, though its manual has it: NTS-KE is on port 4460")
		default:
			r.Note(report.Approximated, "nts-option", "check the section nts", "%s has a setting of its own here", o.Name)
		}
	}
}

func (c *reader) buildDSCP(s *syntax.Statement) {
	if c.Overridden(s) {
		return
	}
	if v := s.Options[0].Int; v < 0 || v > 63 {
		c.Record(s).Note(report.Error, "dscp", "write 0 to 63", "%d is no code point", v)
		return
	}
	c.Model.Dscp = s
}

func (c *reader) buildSwitches(s *syntax.Statement) {
	r := c.Record(s)
	for _, o := range s.Options {
		d, ok := switches[o.Name]
		switch {
		case !ok:
			c.apply(r, disposition{report.Obsolete, "switch", o.Name + " is about associations that are not made here", ""})
			c.Ledger.Tell(s, job.FateSaid+"switch", o.Name)
		case s.Word == "enable":
			if c.disabled(o.Name) {
				r.Note(report.Folded, "disabled", "delete one of the two", "disable %s wins, wherever it stands", o.Name)
				c.Ledger.Tell(s, job.FateSaid+"disabled", o.Name)
				continue
			}
			c.applySwitch(s, o.Name, d.on)
		default:
			c.applySwitch(s, o.Name, d.off)
		}
	}
}

// applySwitch names the switch where the text goes on with what it is.
func (c *reader) applySwitch(s *syntax.Statement, name string, d disposition) {
	c.Ledger.Tell(s, job.FateSaid+d.Code, name)
	if strings.HasPrefix(d.Text, "is ") {
		d.Text = name + " " + d.Text
	}
	c.apply(c.Record(s), d)
}

func (c *reader) disabled(name string) bool {
	if c.disabledWords == nil {
		c.disabledWords = make(map[string]bool)
		for _, s := range c.All("disable") {
			for _, o := range s.Options {
				c.disabledWords[o.Name] = true
			}
		}
	}
	return c.disabledWords[name]
}

// traps looks for what is wrong over several lines.
func (c *reader) traps() {
	c.restrictTraps()
	c.keyTraps()
	c.authTraps()
	c.passiveTrap()
}

// restrictTraps looks at the defaults.
func (c *reader) restrictTraps() {
	l := c.Model.Restricts
	var lines []*syntax.Statement
	for _, e := range l.Entries {
		if e.Mask != restrict.Any4 && e.Mask != restrict.Any6 || e.Flags.Has(restrict.FlagSourcePort) {
			continue
		}
		family, other := "IPv4", "IPv6"
		if e.Mask == restrict.Any6 {
			family, other = other, family
		}
		if !e.Flags.Has(restrict.FlagIgnore | restrict.FlagNoQuery) {
			text := fmt.Sprintf("queries (mode 6) are open to everybody over %s, good for attacks by amplification", family)
			if len(e.Lines) == 0 {
				c.Report.Note(report.Dangerous, "queries-open", "add `restrict default noquery nomodify notrap nopeer limited kod`",
					"%s: no line restricts the default", text)
			}
			for _, s := range e.Lines {
				if !restrict.FlagsOf(s).Has(restrict.FlagNoQuery) {
					c.Record(s).Note(report.Dangerous, "queries-open", "add noquery", "%s", text)
				}
			}
		}
		lines = append(lines, e.Lines...)
		_ = other
	}
	four := l.Winner(restrict.All4, false)
	six := l.Winner(restrict.All6, false)
	if four.Flags != 0 && six.Flags == 0 && len(l.Entries) > 2 {
		c.Report.Note(report.Dangerous, "ipv6-open", "write restrict default, without -4, or add restrict -6 default",
			"IPv6 is open: only IPv4 is restricted by default (%v)", four.Flags)
	}
	if len(lines) == 0 && restrict.ServiceOf(four.Flags).Serve {
		c.Report.Note(report.Dangerous, "open-to-all", "restrict the default",
			"without a restrict default line ntpd answers everybody, and so does the output")
	}
	if f := c.defaultFlags(); f.Has(restrict.FlagIgnore) && l.Source == nil {
		for _, src := range c.Model.Sources {
			if _, known := c.sourceFlags(src.Address); !known && src.Refclock == nil && src.Dead == "" && src.Left == "" &&
				!c.hasException(src.Address) {
				c.Record(src.Line).Note(report.Changed, "restricted-source", "",
					"restrict default ignore made ntpd drop what this server sends, unless a line for its address lets it in; here it becomes a source")
			}
		}
	}
}

// hasException reports whether a restrict line names a source.
func (c *reader) hasException(name string) bool {
	if c.exceptions == nil {
		c.exceptions = make(map[string]bool)
		for _, s := range c.All("restrict") {
			c.exceptions[s.Address] = true
		}
	}
	return c.exceptions[name]
}

// keyTraps looks for trusted keys that are not there or not used.
func (c *reader) keyTraps() {
	m := &c.Model
	if m.Trust == nil || m.Keys == nil || m.KeysRejected {
		return
	}
	r := c.Record(m.Trust)
	there := make(map[int64]bool)
	for _, k := range m.Keys.Keys {
		there[int64(k.ID())] = true
	}
	var absent []string
	for _, o := range m.Trusted {
		if o.Kind == syntax.ValueRange {
			found := false
			for id := range there {
				found = found || o.Int <= id && id <= o.High
			}
			if !found {
				absent = append(absent, describeRange(o.Int, o.High))
			}
			continue
		}
		if !there[o.Int] {
			absent = append(absent, fmt.Sprint(o.Int))
		}
	}
	c.unusedKeys(r)
	if len(absent) > 0 {
		r.Note(report.Dangerous, "trusted-absent", "delete them, or put the keys into the file",
			"the keys file has no usable key %s: whoever adds one there later is trusted", strings.Join(absent, ", "))
	}
}

// unusedKeys tells of trusted keys that no source has: they are for clients,
// if anybody has them.
func (c *reader) unusedKeys(r *report.Record) {
	used := make(map[uint32]bool)
	for _, src := range c.Model.Sources {
		used[src.Key] = true
	}
	var unused []string
	for _, k := range c.Model.Keys.Keys {
		if c.Model.TrustSet.Contains(k.ID()) && !used[k.ID()] {
			unused = append(unused, fmt.Sprint(k.ID()))
		}
	}
	if n := len(unused); n > 20 {
		unused = append(unused[:20], fmt.Sprintf("and %d more", n-20))
	}
	if len(unused) > 0 {
		r.Note(report.Folded, "trusted-unused", "take those out of the list that no client has any more",
			"no source of this file uses key %s: clients may", strings.Join(unused, ", "))
	}
}

// authTraps looks for time from strangers.
func (c *reader) authTraps() {
	listens := len(c.All("broadcastclient", "multicastclient")) > 0
	for _, s := range c.All("enable") {
		listens = listens || s.Flag("bclient")
	}
	if listens && c.disabled("auth") {
		c.Report.Note(report.Dangerous, "trusts-everybody", "end it at once on hosts that stay with ntpd",
			"broadcastclient with disable auth takes time from anybody on the network")
	}
}

// passiveTrap tells of hosts that may have begun symmetric associations by
// themselves.
func (c *reader) passiveTrap() {
	m := &c.Model
	mayBegin := func(e *restrict.Entry) bool {
		return !e.Flags.Has(restrict.FlagIgnore | restrict.FlagNoServe | restrict.FlagNoEPeer)
	}
	if m.Trust == nil || m.KeyFile == nil || m.KeysRejected || !slices.ContainsFunc(m.Restricts.Entries, func(e *restrict.Entry) bool {
		return mayBegin(e) && !(e.Host() && e.Addr.IsLoopback())
	}) {
		return
	}
	c.Report.Note(report.Changed, "passive", "write passive.enabled: true if this host takes its time from such a one",
		"ntpd let every host with a trusted key begin a symmetric association (its peer line) and give time; here a source has to be named")
}
