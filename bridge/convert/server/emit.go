// Package server writes the configuration of ntsbridge, and proves that the
// server reads from it what was meant.
//
// A writer holds the draft of the configuration. Its methods are in a file for
// each subject, which emit.go calls in the order of the output.
package server

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"ntsbridge/bridge/access"
	"ntsbridge/bridge/config"
	"ntsbridge/bridge/convert/draft"
	"ntsbridge/bridge/convert/job"
	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/restrict"
	"ntsbridge/bridge/convert/syntax"
	"ntsbridge/bridge/ntp"
)

// Write writes the configuration of ntsbridge; nil if that failed, for which the
// report has the reason.
func Write(work *job.Job) []byte {
	c := &writer{work}
	c.CompareSources()
	c.emit()
	byLine := c.Draft.ByLine()
	for _, s := range c.Parsed.Statements {
		if r := c.Record(s); c.Dialect == "chrony" && r.Class == report.Comment && len(byLine[s]) == 0 {
			why := "without the lines that it belongs to, it sets nothing"
			if slices.Contains([]string{"allow", "deny", "cmdallow", "cmddeny"}, s.Word) {
				why = "another line for the same addresses, or for more of them with the word all, replaces it"
			}
			r.Note(report.Folded, "without-effect", "", "%s", why)
		}
	}
	c.Settle(fates, func(s *syntax.Statement) map[string]bool { return byLine[s] })
	return c.render()
}

// emit sets the options of ntsbridge's configuration. The reader has set those
// that no other dialect has.
func (c *writer) emit() {
	c.emitServer()
	c.emitClock()
	c.emitAccess()
	c.emitClients()
	if !c.Draft.IsSet(&c.Draft.Config.RateLimit.Limits) {
		c.emitLimits()
	}
	c.emitKeys()
	c.emitControlKey()
	c.emitAutokey()
	if !c.Draft.IsSet(&c.Draft.Config.NTS.Enabled) {
		c.emitNTS()
	}
	c.emitSources()
	c.emitClocks()
	c.emitBroadcast()
}

// signs tells whether Samba signs answers for anybody.
func (c *writer) signs() bool {
	return slices.ContainsFunc(c.Model.Rules, func(r restrict.Rule) bool { return r.Service.Serve && r.Service.MSSNTP })
}

func (c *writer) emitServer() {
	m, server := &c.Model, &c.Draft.Config.Server
	if len(m.Listen.Addresses) > 0 {
		draft.Set(c.Draft, &server.Listen, m.Listen.Addresses, m.Listen.Lines...)
	}
	if m.SignSocket != "" && c.signs() {
		draft.Set(c.Draft, &server.MSSNTP.Socket, m.SignSocket, m.SignLines...)
	}
	if m.Dscp != nil {
		draft.Set(c.Draft, &server.DSCP, int(m.Dscp.Options[0].Int), m.Dscp)
	}
	if lines := c.All("hwtimestamp"); len(lines) > 0 {
		var names []string
		for _, s := range lines {
			if name := s.Options[0].Text; !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
		draft.Set(c.Draft, &server.HardwareTimestamps, names, lines...)
	}
}

func (c *writer) emitAccess() {
	section := &c.Draft.Config.Access
	for i, rule := range c.Model.Rules {
		if !rule.Service.Serve {
			for _, s := range rule.Lines {
				c.Ledger.Tell(s, job.FateHolds+"nobody there is served", c.Words(s)...)
			}
		}
		if i == 0 {
			c.emitDefaultRule(rule)
			continue
		}
		to := draft.Add(c.Draft, &section.Rules, config.DefaultRule(), rule.Lines...)
		draft.Set(c.Draft, &to.Prefixes, rule.Prefixes)
		if rule.FromNTP {
			draft.Set(c.Draft, &to.SourcePort123, true)
		}
		c.emitService(to, rule.Service)
	}
}

func (c *writer) emitDefaultRule(rule restrict.Rule) {
	to := &c.Draft.Config.Access.Default
	origin := c.Draft.From(to, rule.Lines...)
	switch {
	case len(rule.Lines) > 0:
	case c.Dialect == "chrony":
		origin.Remark("chronyd serves those that allow names.")
	case c.Dialect == "ntpsec":
		origin.Remark("No restrict line for the default: ntpsec answers everybody, at a limited rate, and no queries.")
	default:
		origin.Remark("No restrict line for the default: ntpd answers everybody.")
	}
	c.emitService(to, rule.Service)
}

func (c *writer) emitService(to *config.AccessRule, s restrict.Service) {
	if !s.Serve {
		draft.Set(c.Draft, &to.Action, config.ActionDeny)
		return
	}
	draft.Set(c.Draft, &to.Action, config.ActionAllow)
	if s.Auth {
		kinds := []ntp.Kind{ntp.KindSymmetric, ntp.KindNTS}
		if c.Model.Autokey.Enabled {
			kinds = []ntp.Kind{ntp.KindSymmetric, ntp.KindAutokey, ntp.KindNTS}
		}
		draft.Set(c.Draft, &to.Kinds, kinds)
	}
	if s.Version > 1 {
		draft.Set(c.Draft, &to.MinVersion, int(s.Version))
	}
	if s.Limited {
		draft.Set(c.Draft, &to.Rate, job.LimitName(s.Kod))
	}
	draft.Set(c.Draft, &to.Query, s.Query)
	if s.MSSNTP {
		draft.Set(c.Draft, &to.MSSNTP, true)
	}
}

// emitClients sets the size of the table of clients.
func (c *writer) emitClients() {
	if m := &c.Model; m.Clients > 0 {
		draft.Set(c.Draft, &c.Draft.Config.RateLimit.Clients, m.Clients, m.ClientSize)
	}
}

func (c *writer) emitLimits() {
	m, section := &c.Model, &c.Draft.Config.RateLimit
	if !m.Limited && !m.Kod {
		return
	}
	origin := c.Draft.From(&section.Limits, m.Limits.Lines...)
	if len(m.Limits.Lines) == 0 {
		remark := "ntpd's discard without a line: average 3, minimum 2."
		if c.Dialect == "ntpsec" {
			remark = "ntpsec's limit without a line: average 1, burst 20."
		}
		origin.Remark("%s", remark)
	}
	for _, kod := range []bool{true, false} {
		if kod && !m.Kod || !kod && !m.Limited {
			continue
		}
		to := draft.Add(c.Draft, &section.Limits, config.DefaultLimit(""))
		draft.Set(c.Draft, &to.Name, job.LimitName(kod))
		draft.Set(c.Draft, &to.Interval, m.Limits.Interval)
		draft.Set(c.Draft, &to.Burst, m.Limits.Burst)
		draft.Set(c.Draft, &to.Minimum, m.Limits.Minimum)
		draft.Set(c.Draft, &to.Leak, 0)
		draft.Set(c.Draft, &to.Kiss, kod)
	}
}

// emitKeys writes the keys file and the trusted keys: only what ntpd loads.
func (c *writer) emitKeys() {
	m, section := &c.Model, &c.Draft.Config.Keys
	if m.KeyFile == nil || m.KeysRejected {
		if m.KeysRejected {
			c.Draft.From(section).Quote(m.KeyFile).Remark("Left out: ntpd loads no key from this file.")
		}
		draft.Set(c.Draft, &section.Generate, false).Remark("No key is usable that was not before.")
		if m.Trust != nil {
			c.Record(m.Trust).Note(report.Folded, "trusted", "", "there is no key to trust")
		}
		return
	}
	c.Draft.From(&section.Files, m.KeyFile)
	file := draft.Add(c.Draft, &section.Files, config.DefaultKeyFile())
	draft.Set(c.Draft, &file.Path, m.KeyPath)
	draft.Set(c.Draft, &file.Format, c.Dialect)
	var trusted []access.KeyRange
	for word := range strings.FieldsSeq(m.TrustSet.String()) {
		if r, err := access.ParseKeyRange(word); err == nil {
			trusted = append(trusted, r)
		}
	}
	origin := draft.Set(c.Draft, &section.Trusted, trusted, m.Trust)
	if m.Trust == nil && c.Dialect != "chrony" {
		origin.Remark("No trustedkey line: ntpd trusts no key.")
	}
	draft.Set(c.Draft, &section.Generate, false)
}

// emitControlKey lets ntpq ask for the lists that ntpd gives under its control
// key; changes it cannot make.
func (c *writer) emitControlKey() {
	s := c.LastOf("controlkey")
	if s == nil {
		return
	}
	const changes = "changes over the network, with or without a key, are not offered"
	id := int(s.Options[0].Int)
	usable, why := c.UsableKey(uint32(id))
	if id == 0 || !usable {
		if id == 0 {
			why = "0 is no key"
		}
		c.Record(s).Note(report.Obsolete, "controlkey", "", "%s, and ntpd would have taken none: %s", changes, why)
		return
	}
	draft.Set(c.Draft, &c.Draft.Config.Keys.Control, id, s)
	c.Record(s).Note(report.Changed, "controlkey", "", "ntpq asks for ifstats and reslist with this key, as before; %s", changes)
}

func (c *writer) emitAutokey() {
	a, section := &c.Model.Autokey, &c.Draft.Config.Autokey
	if len(a.Lines) == 0 {
		return
	}
	c.Draft.From(section, a.Lines...)
	if !a.Enabled {
		draft.Set(c.Draft, &section.Enabled, false).Remark("ntpd would not start with these files: see the report.")
		return
	}
	draft.Set(c.Draft, &section.Enabled, true).Remark("Legacy: broken since 2012. Move these clients to NTS.")
	draft.Set(c.Draft, &section.KeysDir, a.Dir, a.DirLine)
	for _, entry := range []struct {
		option *string
		value  string
	}{{&section.Host, a.Host}, {&section.Ident, a.Ident}, {&section.Digest, a.Digest}} {
		if entry.value != "" {
			draft.Set(c.Draft, entry.option, entry.value)
		}
	}
	if a.HasPassword {
		draft.Set(c.Draft, &section.PasswordFile, c.passwordSecret())
	}
	if c.Model.LeapFile != nil {
		draft.Set(c.Draft, &section.LeapFile, job.Absolute(c.Model.LeapFile.Argument()), c.Model.LeapFile)
	}
	c.emitTakeover()
}

// takeoverDays is how long the cookies of the ntpd that is replaced are
// accepted, unless the operator says otherwise.
const takeoverDays = 180

// emitTakeover lets the clients of the ntpd that is replaced go on: a real one
// never notices another seed, and is lost for ever.
func (c *writer) emitTakeover() {
	section, line := &c.Draft.Config.Autokey, c.Record(c.Model.Autokey.Lines[0])
	until, err := time.Parse(time.DateOnly, c.Opt.TakeoverUntil)
	if err != nil && !c.Opt.Now.IsZero() {
		until, err = c.Opt.Now.UTC().Truncate(24*time.Hour).AddDate(0, 0, takeoverDays), nil
	}
	if err != nil {
		line.Note(report.Dangerous, "autokey-takeover", "give a date with --takeover-until",
			"clients of the old ntpd are not taken over: those that run ignore every sign of another server, and never get time again")
		return
	}
	draft.Set(c.Draft, &section.Takeover.Enabled,
		true).Remark("Clients that run keep the cookies of the old ntpd until they are restarted.")
	draft.Set(c.Draft, &section.Takeover.Until, until)
	day := until.Format(time.DateOnly)
	c.Report.First = append(c.Report.First, fmt.Sprintf(
		"Autokey clients of the old ntpd are taken over until %s: they ignore every sign of another server, and would never get time again without. "+
			"Anybody can compute such a cookie: restart them, or move them to NTS, before that day", day))
	line.Note(report.Changed, "autokey-takeover", "restart or move the clients before that day; clients shows which they are",
		"the cookies of the old ntpd are accepted until %s", day)
	if c.Opt.Trial {
		draft.Set(c.Draft, &section.Seed,
			config.SeedZero).Remark("A trial: the old ntpd can serve again without stranding a client. End it with own.")
		c.Report.First = append(c.Report.First,
			"This is a trial: new cookies are made from ntpd's seed 0, so that it can serve here again; write autokey.seed: own when there is no way back")
		line.Note(report.Dangerous, "autokey-trial", "write autokey.seed: own when the trial is over",
			"anybody can forge a cookie of seed 0")
	}
}

func (c *writer) emitNTS() {
	section := &c.Draft.Config.NTS
	var lines []*syntax.Statement
	for _, s := range c.Model.NtsLines {
		if s.Flag("enable") || s.Flag("disable") || s.Flag("cert") || s.Flag("key") {
			lines = append(lines, s)
		}
	}
	c.Draft.From(section, lines...)
	certificate := func(cert, key string) {
		draft.Set(c.Draft, &section.Enabled, true)
		to := draft.Add(c.Draft, &section.Certificates, config.Certificate{})
		draft.Set(c.Draft, &to.Cert, cert)
		draft.Set(c.Draft, &to.Key, key)
		draft.Set(c.Draft, &section.Generate, false)
	}
	switch {
	case c.Opt.NTSCert != "":
		certificate(c.Opt.NTSCert, c.Opt.NTSKey)
	case c.Model.Nts && c.Model.NtsCert != "" && !c.Opt.NTSSelfSigned:
		certificate(c.Model.NtsCert, cmp.Or(c.Model.NtsKey, c.Model.NtsCert))
	case c.Opt.NTSSelfSigned:
		draft.Set(c.Draft, &section.Enabled, true)
		draft.Set(c.Draft, &section.Generate, true).Remark("A self-signed certificate is made in the state directory on first start.")
	default:
		for _, s := range c.Model.NtsLines {
			if s.Flag("cert") || s.Flag("key") {
				c.Record(s).Note(report.Folded, "nts-off", "", "without enable and cert, ntpsec serves no NTS")
			}
		}
		draft.Set(c.Draft, &section.Enabled, false).Remark("Convert with --nts-cert and --nts-key, or --nts-self-signed, to serve NTS too.")
	}
}

// passwordSecret makes the file with Autokey's password.
func (c *writer) passwordSecret() string {
	name := c.Opt.PasswordFile
	c.Secrets = append(c.Secrets, job.Secret{Name: name, Content: fmt.Appendf(nil, "%s\n", c.Model.Autokey.Pw)})
	return name
}
