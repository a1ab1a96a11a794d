// Package client writes the configuration of the daemon that a client of the site
// will run: chronyd, ntpsec's ntpd, ntpd-rs or systemd-timesyncd.
//
// A writer and the text that grows are in model.go. Its methods are in a file for
// each subject (sources, clocks, logs, what the client serves), which client.go
// calls in the order of the output.
package client

import (
	"fmt"
	"slices"
	"strings"

	"ntsbridge/bridge/convert/job"
	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/spell"
	"ntsbridge/bridge/convert/syntax"
	"ntsbridge/symkey"
)

// Write writes the configuration of a client's daemon; nil if there is
// none, for which the report has the reason.
func Write(work *job.Job) []byte {
	c := &writer{work}
	if o := c.Opt.Client; o.Mixed {
		mixed := *o
		mixed.Key = c.hasKey() && o.Format != "ntpd-rs" && o.Format != "timesyncd"
		c.Opt.Client = &mixed
	}
	m := &clientModel{nts: !c.Opt.Client.Key, minPoll: 6, maxPoll: 10}
	if len(c.Opt.Client.Gateways) == 0 {
		c.Report.Note(report.Error, "no-gateway", "name it with --gateway", "there is no gateway to point at")
		return nil
	}
	authenticated := c.clientSources(m)
	if c.Opt.Client.Key && !c.clientKey(m) {
		return nil
	}
	c.clientOthers(m)
	c.keepFallback(m)
	if c.serves() && c.Opt.Client.Format != "timesyncd" {
		if c.Dialect != "chrony" || c.Opt.Client.Format != "chrony" {
			c.keepServing()
		}
		c.lostClients()
	}
	for i, name := range c.Opt.Client.Gateways {
		m.servers = append(m.servers, clientServer{name: name, iburst: true, prefer: i == 0 && len(c.Opt.Client.Gateways) > 1})
	}
	var text string
	switch c.Opt.Client.Format {
	case "chrony":
		text = c.chronyClient(m)
	case "ntpsec":
		text = c.ntpsecClient(m)
	case "ntpd-rs":
		text = c.rustClient(m)
	case "timesyncd":
		text = c.timesyncdClient(m, authenticated)
	}
	c.rest()
	if text == "" || len(c.Report.Questions) > 0 {
		return nil
	}
	return []byte(text)
}

// clientSources replaces the network sources by the gateways; it reports
// whether any of them was authenticated.
func (c *writer) clientSources(m *clientModel) (authenticated bool) {
	with := "NTS"
	network, unselected := 0, 0
	if c.Opt.Client.Key {
		with = "a symmetric key"
	}
	if c.Opt.Client.Format == "timesyncd" {
		with = "no authentication"
	}
	first := true
	for _, src := range c.Model.Sources {
		if src.Refclock != nil {
			m.clocks = append(m.clocks, src)
			continue
		}
		r := c.Record(src.Line)
		if src.Kind == "broadcast" {
			r.Note(report.Dangerous, "broadcast", "point them at the gateway",
				"this host sends no broadcasts any more: those who listen lose their time")
			continue
		}
		m.was = append(m.was, src.Line)
		authenticated = authenticated || src.Key != 0 || src.Autokey || src.Nts
		text := ""
		if (src.Key != 0 || src.Autokey) && with == "NTS" {
			text = ", which is safer than what it was"
		}
		r.Note(report.Changed, "gateway", "", "the gateway %s takes its place, with %s%s", strings.Join(c.Opt.Client.Gateways, " "), with,
			text)
		r.Into("server")
		network++
		if src.NoSelect {
			unselected++
		}
		c.Ledger.Tell(src.Line, job.FateHolds+"each line of a gateway has it, with the widest interval of all", replaced...)
		if with != "no authentication" {
			c.Ledger.Tell(src.Line, job.FateHolds+"the gateway is authenticated", "key", "autokey", "nts")
		}
		c.Lost(src.Line, report.Changed, src.Words, "it was about that server")
		if first {
			m.minPoll, m.maxPoll = src.MinPoll, src.MaxPoll
		}
		m.minPoll, m.maxPoll = min(m.minPoll, src.MinPoll), max(m.maxPoll, src.MaxPoll)
		first = false
	}
	if m.noSelect = network > 0 && unselected == network; m.noSelect {
		c.watchOnly()
	}
	return authenticated
}

// replaced are the words of sources that each line of a gateway has: the widest
// interval of all, and iburst in any case.
var replaced = strings.Fields("minpoll maxpoll iburst")

// watchOnly tells of a client whose clock followed none of its sources.
func (c *writer) watchOnly() {
	text := "every source has noselect: the clock followed none of them, and the gateway has noselect too"
	class := report.Changed
	if f := c.Opt.Client.Format; f == "ntpd-rs" || f == "timesyncd" {
		class, text = report.Dangerous,
			fmt.Sprintf("every source has noselect: the clock followed none of them, and %s will follow the gateway", f)
	}
	c.Report.Note(class, "noselect", "take noselect off the gateway's line if the clock should follow it", "%s", text)
}

// hasKey reports whether a source has a symmetric key that can be used.
func (c *writer) hasKey() bool {
	return c.Model.Keys != nil && slices.ContainsFunc(c.Model.Sources, func(src *job.Source) bool {
		return src.Key != 0 && c.Model.TrustSet.Contains(src.Key) &&
			slices.ContainsFunc(c.Model.Keys.Keys, func(k *symkey.Key) bool { return k.ID() == src.Key })
	})
}

// clientKey finds the key that the client shares with the gateway.
func (c *writer) clientKey(m *clientModel) bool {
	if c.Opt.Client.Format == "ntpd-rs" || c.Opt.Client.Format == "timesyncd" {
		c.Report.Note(report.Error, "no-keys", "use NTS: leave --step key out", "%s has no symmetric keys", c.Opt.Client.Format)
		return false
	}
	for _, src := range c.Model.Sources {
		if src.Key == 0 || c.Model.Keys == nil {
			continue
		}
		for _, k := range c.Model.Keys.Keys {
			if k.ID() == src.Key && c.Model.TrustSet.Contains(src.Key) {
				m.key = k
				return true
			}
		}
	}
	c.Report.Note(report.Error, "no-key", "use NTS, or give the host's root directory with --root",
		"no source of this file has a symmetric key that can be used")
	return false
}

// clientOthers looks for the settings that client daemons have too.
func (c *writer) clientOthers(m *clientModel) {
	for _, s := range c.Parsed.Statements {
		switch s.Word {
		case "tos":
			if o, ok := s.Last("minsane"); ok {
				m.minsane = int(o.Int)
				c.use(s, "minsane")
			}
		case "tinker":
			if o, ok := s.Last("panic"); ok {
				m.panicAt = o.Number()
				m.panicOff = s
				c.use(s, "panic")
			}
			if o, ok := s.Last("step"); ok {
				m.step, m.stepAt = s, o.Number()
				c.use(s, "step")
			}
		case "leapfile":
			if name := s.Argument(); spell.PlainPath(name) && !strings.Contains(name, " ") {
				m.leap, m.leapFile = s, job.Absolute(name)
			} else if c.Opt.Client.Format != "timesyncd" && c.Opt.Client.Format != "ntpd-rs" {
				c.Record(s).Note(report.Approximated, "leap-list", "give the list another name, and write the line by hand",
					"the name cannot be written for %s: the list is not carried over", c.Opt.Client.Format)
			}
		case "disable":
			if s.Flag("ntp") {
				m.noSteer = s
			}
		}
	}
	if c.Dialect == "chrony" {
		c.ofChrony(m)
	}
	if m.minsane > len(c.Opt.Client.Gateways) && c.Opt.Client.Format != "timesyncd" {
		for _, s := range append(c.withOption("tos", "minsane"), c.All("minsources")...) {
			c.Record(s).Note(report.Approximated, "minsane", "name more gateways", "it is lowered from %d to the number of gateways, %d",
				m.minsane, len(c.Opt.Client.Gateways))
		}
		m.minsane = len(c.Opt.Client.Gateways)
	}
	if m.noSteer != nil && c.Opt.Client.Format != "ntpsec" {
		c.Record(m.noSteer).Note(report.Dangerous, "disable-ntp", "start it in the way that it has for this (chronyd -x)",
			"%s would steer the clock", c.Opt.Client.Format)
	}
}

// use notes a word that the output has; timesyncd has none of them.
func (c *writer) use(s *syntax.Statement, word string) {
	if c.Opt.Client.Format != "timesyncd" {
		c.Ledger.Use(s, word)
	}
}

func (c *writer) newClientText(daemon string) *clientText {
	t := &clientText{c: c, seen: make(map[string]bool)}
	fmt.Fprintf(t, "# %s, converted from %s (%s).\n", daemon, spell.Printable(c.In.Name), c.Daemon())
	return t
}

// keySecret makes the file with the keys that the client and those that it
// serves need.
func (c *writer) keySecret(keys []*symkey.Key, appendLine func([]byte, *symkey.Key) ([]byte, error)) bool {
	var content []byte
	for _, k := range keys {
		line, err := appendLine(nil, k)
		if err != nil {
			c.Report.Note(report.Error, "key-format", "use NTS", "key %d: %v", k.ID(), err)
			return false
		}
		if content = append(content, line...); len(line) == 0 || line[len(line)-1] != '\n' {
			content = append(content, '\n')
		}
		if len(k.Addresses()) > 0 {
			c.Report.Note(report.Changed, "key-addresses", "", "the address list of key %d is not carried over", k.ID())
		}
	}
	c.Secrets = append(c.Secrets, job.Secret{Name: c.Opt.Client.KeyFile, Content: content})
	return true
}

// chronyClient writes a chrony.conf.
func (c *writer) chronyClient(m *clientModel) string {
	t := c.newClientText("chrony.conf of chronyd")
	t.put(m.was, "server", m.serverLines("", " version 4")...)
	if m.nts {
		lines := []string{"# Sources without authentication cannot set the clock.", "authselectmode require", "ntsdumpdir /var/lib/chrony"}
		if c.Opt.Client.CA != "" {
			lines = append(lines, "ntstrustedcerts "+c.Opt.Client.CA)
		}
		t.put(nil, "", lines...)
	}
	if keys := c.clientKeys(m.key); len(keys) > 0 {
		if !c.keySecret(keys, symkey.AppendChronyKeysLine) {
			return ""
		}
		t.put(slices.Concat(job.One(c.Model.KeyFile), job.One(c.Model.Trust)), "keyfile", "keyfile "+c.Opt.Client.KeyFile)
	}
	c.putClocks(t, m, c.chronyRefclock)
	if c.Dialect == "chrony" {
		c.same(t, m)
		return t.String()
	}
	if m.minsane > 1 {
		t.put(c.withOption("tos", "minsane"), "minsources", fmt.Sprintf("minsources %d", m.minsane))
	}
	c.chronyStep(t, m)
	if m.leap != nil {
		c.Record(m.leap).Note(report.Approximated, "leap-list", "uncomment the line where chronyd is new enough",
			"the leap second list is written as a comment: chronyd before 4.6 does not start with leapseclist")
		t.put(job.One(m.leap), "leapseclist", "# leapseclist "+m.leapFile)
	}
	c.putChronyLogs(t)
	c.putDSCP(t)
	c.ownDrift("/var/lib/chrony/drift")
	t.put(c.All("driftfile"), "driftfile", "driftfile /var/lib/chrony/drift", "rtcsync")
	if !c.serves() {
		t.put(nil, "", "# This host serves nobody.", "port 0", "cmdport 0")
		return t.String()
	}
	t.put(c.access(), "allow", append(c.chronyServing(), "cmdport 0")...)
	c.putChronyListen(t)
	if f := m.fallback; f.stratum > 0 {
		line := fmt.Sprintf("local stratum %d", f.stratum)
		if f.orphan {
			line += " orphan"
		}
		t.put(f.from, "local", line)
	}
	return t.String()
}

// ownDrift tells of a drift file that is another one.
func (c *writer) ownDrift(name string) {
	for _, s := range c.All("driftfile") {
		if s.Argument() != name {
			c.Record(s).Note(report.Folded, "driftfile", "",
				"the frequency is measured anew, and kept in %s: the files of two daemons differ", name)
		}
	}
}

func (c *writer) withOption(word, option string) (list []*syntax.Statement) {
	for _, s := range c.All(word) {
		if s.Flag(option) {
			list = append(list, s)
		}
	}
	return list
}

// chronyStep writes how large corrections are made.
func (c *writer) chronyStep(t *clientText, m *clientModel) {
	switch {
	case m.step != nil && m.stepAt == 0:
		t.put(job.One(m.step), "makestep", "# The clock is never stepped: no makestep.")
	case m.step != nil:
		t.put(job.One(m.step), "makestep", fmt.Sprintf("makestep %g -1", m.stepAt))
	default:
		t.put(nil, "", "makestep 1 3")
	}
	switch {
	case m.panicOff != nil && m.panicAt > 0:
		t.put(job.One(m.panicOff), "maxchange", fmt.Sprintf("maxchange %g 1 -1", m.panicAt))
	case m.panicOff != nil:
		t.put(job.One(m.panicOff), "maxchange", "# No panic threshold: no maxchange.")
	default:
		t.put(nil, "", "# ntpd's panic threshold, not at the first update.", "maxchange 1000 1 -1")
	}
}
