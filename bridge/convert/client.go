package convert

import (
	"fmt"
	"slices"
	"strings"

	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/restrict"
	"ntsbridge/bridge/convert/spell"
	"ntsbridge/bridge/convert/syntax"
	"ntsbridge/symkey"
)

// ClientOptions asks for the configuration of the daemon that a client of the
// site will run, pointing at the gateway.
type ClientOptions struct {
	// Format is the daemon: chrony, ntpsec, ntpd-rs or timesyncd.
	Format string
	// Gateways are the names of the servers that take the place of all network
	// sources. With NTS they must be names in the servers' certificates.
	Gateways []string
	// CA is the file with the certificates to trust; empty: the system's.
	CA string
	// Key keeps the client's symmetric key for a step in between, in place of
	// NTS.
	Key bool
	// KeyFile is the name that the output gives the file with that key.
	KeyFile string
}

// ClientFormats are the values of ClientOptions.Format.
var ClientFormats = []string{"chrony", "ntpsec", "ntpd-rs", "timesyncd"}

// clientModel is what all client daemons are told.
type clientModel struct {
	servers  []clientServer
	clocks   []*source // reference clocks
	nts      bool
	key      *symkey.Key
	minPoll  int
	maxPoll  int
	minsane  int // 0: not given
	panicOff *syntax.Statement
	panicAt  float64 // s; 0: not given
	step     *syntax.Statement
	stepAt   float64
	leapFile string
	leap     *syntax.Statement
	noSteer  *syntax.Statement
	was      []*syntax.Statement // source lines that the gateway replaces
}

// clientServer is a gateway.
type clientServer struct {
	name   string
	iburst bool
	prefer bool
}

// client converts into the configuration of a client.
func (c *conversion) client() *Result {
	m := &clientModel{nts: !c.opt.Client.Key, minPoll: 6, maxPoll: 10}
	if len(c.opt.Client.Gateways) == 0 {
		c.report.Note(report.Error, "no-gateway", "name it with --gateway", "there is no gateway to point at")
		return c.result(nil)
	}
	authenticated := c.clientSources(m)
	if c.opt.Client.Key && !c.clientKey(m) {
		return c.result(nil)
	}
	c.clientOthers(m)
	for i, name := range c.opt.Client.Gateways {
		m.servers = append(m.servers, clientServer{name: name, iburst: true, prefer: i == 0 && len(c.opt.Client.Gateways) > 1})
	}
	var text string
	switch c.opt.Client.Format {
	case "chrony":
		text = c.chronyClient(m)
	case "ntpsec":
		text = c.ntpsecClient(m)
	case "ntpd-rs":
		text = c.rustClient(m)
	case "timesyncd":
		text = c.timesyncdClient(m, authenticated)
	}
	c.clientRest()
	if text == "" || len(c.report.Questions) > 0 {
		return c.result(nil)
	}
	return c.result([]byte(text))
}

// buildClient works out what of the effective configuration a client needs.
func (c *conversion) buildClient() {
	c.model.restricts = &restrict.List{}
	c.model.restricts.Add(restrict.Any4, restrict.Any4, 0, nil)
	c.model.restricts.Add(restrict.Any6, restrict.Any6, 0, nil)
	c.buildKeys()
	c.buildSources()
}

// clientRest accounts for the lines that no part of the output comes from.
func (c *conversion) clientRest() {
	for _, s := range c.parsed.Statements {
		for line := s.Line; line <= max(s.Line, s.End); line++ {
			r := c.records[syntax.Place{File: s.File, Line: line}]
			if r.Class != report.Comment || len(r.Became) > 0 {
				continue
			}
			switch s.Word {
			case "crypto", "keysdir", "automax", "revoke", "ident":
				r.Note(report.Changed, "autokey-over", "", "this host has no Autokey any more")
			case "broadcastclient", "multicastclient", "enable":
				r.Note(report.Changed, "gateway", "", "the gateway %s takes the place of broadcasts", strings.Join(c.opt.Client.Gateways, " "))
			case "tos", "tinker":
				r.Note(report.Approximated, "client-default", "", "left at the default of %s", c.opt.Client.Format)
			case "manycastserver", "trap", "ntpsigndsocket", "phone":
				r.Note(report.Unsupported, "client", "point those who need it elsewhere", "%s does not do that", c.opt.Client.Format)
			case "refclock":
				r.Note(report.Unsupported, "refclock", "take another daemon for it", "the reference clock is not carried over")
			default:
				r.Note(report.Folded, "client", "", "nothing that %s has to be told", c.opt.Client.Format)
			}
		}
	}
}

// clientSources replaces the network sources by the gateways; it reports
// whether any of them was authenticated.
func (c *conversion) clientSources(m *clientModel) (authenticated bool) {
	with := "NTS"
	if c.opt.Client.Key {
		with = "a symmetric key"
	}
	if c.opt.Client.Format == "timesyncd" {
		with = "no authentication"
	}
	first := true
	for _, src := range c.model.sources {
		if src.refclock != nil {
			m.clocks = append(m.clocks, src)
			continue
		}
		r := c.record(src.line)
		m.was = append(m.was, src.line)
		authenticated = authenticated || src.key != 0 || src.autokey || src.nts
		text := ""
		if (src.key != 0 || src.autokey) && !c.opt.Client.Key {
			text = ", which is safer than what it was"
		}
		r.Note(report.Changed, "gateway", "", "the gateway %s takes its place, with %s%s", strings.Join(c.opt.Client.Gateways, " "), with, text)
		r.Into("server")
		if src.kind == "broadcast" {
			r.Note(report.Dangerous, "broadcast", "point them at the gateway", "this host sends no broadcasts any more: those who listen lose their time")
			continue
		}
		if first {
			m.minPoll, m.maxPoll = src.minPoll, src.maxPoll
		}
		m.minPoll, m.maxPoll = min(m.minPoll, src.minPoll), max(m.maxPoll, src.maxPoll)
		first = false
	}
	return authenticated
}

// clientKey finds the key that the client shares with the gateway.
func (c *conversion) clientKey(m *clientModel) bool {
	if c.opt.Client.Format == "ntpd-rs" || c.opt.Client.Format == "timesyncd" {
		c.report.Note(report.Error, "no-keys", "use NTS: leave --step key out", "%s has no symmetric keys", c.opt.Client.Format)
		return false
	}
	for _, src := range c.model.sources {
		if src.key == 0 || c.model.keys == nil {
			continue
		}
		for _, k := range c.model.keys.Keys {
			if k.ID() == src.key && c.model.trustSet.Contains(src.key) {
				m.key = k
				return true
			}
		}
	}
	c.report.Note(report.Error, "no-key", "use NTS, or give the host's root directory with --root", "no source of this file has a symmetric key that can be used")
	return false
}

// clientOthers looks for the settings that client daemons have too.
func (c *conversion) clientOthers(m *clientModel) {
	for _, s := range c.parsed.Statements {
		switch s.Word {
		case "tos":
			if o, ok := s.Last("minsane"); ok {
				m.minsane = int(o.Int)
			}
		case "tinker":
			if o, ok := s.Last("panic"); ok {
				m.panicAt = o.Number()
				m.panicOff = s
			}
			if o, ok := s.Last("step"); ok {
				m.step, m.stepAt = s, o.Number()
			}
		case "leapfile":
			if spell.PlainName(s.Argument()) {
				m.leap, m.leapFile = s, absolute(s.Argument())
			}
		case "disable":
			if s.Flag("ntp") {
				m.noSteer = s
			}
		}
	}
	if m.minsane > len(c.opt.Client.Gateways) {
		c.report.Note(report.Approximated, "minsane", "name more gateways", "tos minsane %d is lowered to the number of gateways, %d", m.minsane, len(c.opt.Client.Gateways))
		m.minsane = len(c.opt.Client.Gateways)
	}
	if m.noSteer != nil && c.opt.Client.Format != "ntpsec" {
		c.record(m.noSteer).Note(report.Dangerous, "disable-ntp", "start it in the way that it has for this (chronyd -x)", "%s would steer the clock", c.opt.Client.Format)
	}
}

// clientText collects the lines of an output with the lines they come from.
type clientText struct {
	strings.Builder
	c    *conversion
	seen map[string]bool
}

func (c *conversion) newClientText(daemon string) *clientText {
	t := &clientText{c: c, seen: make(map[string]bool)}
	fmt.Fprintf(t, "# %s, converted from %s (%s).\n", daemon, spell.Printable(c.in.Name), c.daemon())
	return t
}

// put writes lines below the original ones.
func (t *clientText) put(from []*syntax.Statement, place string, lines ...string) {
	t.WriteString("\n")
	for _, s := range from {
		for _, text := range t.c.quote(s) {
			if !t.seen[text] {
				t.seen[text] = true
				t.WriteString("# " + text + "\n")
			}
		}
		t.c.record(s).Into(place)
	}
	for _, line := range lines {
		t.WriteString(line + "\n")
	}
}

func one(s *syntax.Statement) []*syntax.Statement {
	if s == nil {
		return nil
	}
	return []*syntax.Statement{s}
}

// keySecret makes the file with the one key that the client needs.
func (c *conversion) keySecret(k *symkey.Key, appendLine func([]byte, *symkey.Key) ([]byte, error)) bool {
	line, err := appendLine(nil, k)
	if err != nil {
		c.report.Note(report.Error, "key-format", "use NTS", "key %d: %v", k.ID(), err)
		return false
	}
	if len(line) == 0 || line[len(line)-1] != '\n' {
		line = append(line, '\n')
	}
	c.secrets = append(c.secrets, Secret{Name: c.opt.Client.KeyFile, Content: line})
	if len(k.Addresses()) > 0 {
		c.report.Note(report.Changed, "key-addresses", "", "the address list of key %d is not carried over", k.ID())
	}
	return true
}

// chronyClient writes a chrony.conf.
func (c *conversion) chronyClient(m *clientModel) string {
	t := c.newClientText("chrony.conf of chronyd")
	var servers []string
	for _, s := range m.servers {
		line := fmt.Sprintf("server %s iburst minpoll %d maxpoll %d", s.name, m.minPoll, m.maxPoll)
		if m.nts {
			line += " nts"
		} else {
			line += fmt.Sprintf(" key %d version 4", m.key.ID())
		}
		if s.prefer {
			line += " prefer"
		}
		servers = append(servers, line)
	}
	t.put(m.was, "server", servers...)
	if m.nts {
		lines := []string{"# Sources without authentication cannot set the clock.", "authselectmode require", "ntsdumpdir /var/lib/chrony"}
		if c.opt.Client.CA != "" {
			lines = append(lines, "ntstrustedcerts "+c.opt.Client.CA)
		}
		t.put(nil, "", lines...)
	} else {
		if !c.keySecret(m.key, symkey.AppendChronyKeysLine) {
			return ""
		}
		t.put(slices.Concat(one(c.model.keyFile), one(c.model.trust)), "keyfile", "keyfile "+c.opt.Client.KeyFile)
	}
	for _, src := range m.clocks {
		if line := c.chronyRefclock(src); line != "" {
			t.put(append(one(src.line), src.refclock.lines...), "refclock", line)
		}
	}
	if m.minsane > 1 {
		t.put(c.withOption("tos", "minsane"), "minsources", fmt.Sprintf("minsources %d", m.minsane))
	}
	c.chronyStep(t, m)
	if m.leap != nil {
		c.record(m.leap).Note(report.Approximated, "leap-list", "uncomment the line where chronyd is new enough", "the leap second list is written as a comment: chronyd before 4.6 does not start with leapseclist")
		t.put(one(m.leap), "leapseclist", "# leapseclist "+m.leapFile)
	}
	t.put(c.all("driftfile"), "driftfile", "driftfile /var/lib/chrony/drift", "rtcsync", "# This host serves nobody.", "port 0", "cmdport 0")
	c.servesNobody()
	return t.String()
}

// servesNobody notes that a client does not answer others any more.
func (c *conversion) servesNobody() {
	for _, s := range c.all("restrict") {
		c.record(s).Note(report.Changed, "serves-nobody", "point its clients at the gateway", "this host answers nobody any more, so that it needs no restrictions")
	}
}

func (c *conversion) withOption(word, option string) (list []*syntax.Statement) {
	for _, s := range c.all(word) {
		if s.Flag(option) {
			list = append(list, s)
		}
	}
	return list
}

// chronyStep writes how large corrections are made.
func (c *conversion) chronyStep(t *clientText, m *clientModel) {
	switch {
	case m.step != nil && m.stepAt == 0:
		t.put(one(m.step), "makestep", "# The clock is never stepped: no makestep.")
	case m.step != nil:
		t.put(one(m.step), "makestep", fmt.Sprintf("makestep %g -1", m.stepAt))
	default:
		t.put(nil, "", "makestep 1 3")
	}
	switch {
	case m.panicOff != nil && m.panicAt > 0:
		t.put(one(m.panicOff), "maxchange", fmt.Sprintf("maxchange %g 1 -1", m.panicAt))
	case m.panicOff == nil:
		t.put(nil, "", "# ntpd's panic threshold, not at the first update.", "maxchange 1000 1 -1")
	}
}

// chronyRefclock returns a refclock line, or nothing.
func (c *conversion) chronyRefclock(src *source) string {
	rc, r := src.refclock, c.record(src.line)
	if src.dead != "" {
		return ""
	}
	var line string
	switch rc.driver {
	case 28:
		line = fmt.Sprintf("refclock SHM %d", rc.unit)
	case 22:
		line = fmt.Sprintf("refclock PPS /dev/pps%d", rc.unit)
	case 46:
		line = fmt.Sprintf("refclock SHM %d", 2*(rc.unit%2))
	case localDriver:
		r.Note(report.Changed, "local-clock", "", "a client does not follow its own clock")
		return ""
	default:
		r.Note(report.Unsupported, "refclock", "read the receiver with gpsd, through SHM", "chronyd has no driver for it")
		return ""
	}
	line += fmt.Sprintf(" poll %d", min(src.minPoll, 6))
	if rc.time1 != 0 {
		line += fmt.Sprintf(" offset %g", rc.time1)
	}
	if rc.refid != "" && spell.All(rc.refid, spell.IsRefID) {
		line += " refid " + rc.refid
	}
	if src.noSelect {
		line += " noselect"
	}
	if src.prefer {
		line += " prefer"
	}
	return line
}
