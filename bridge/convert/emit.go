package convert

import (
	"cmp"
	"net/netip"
	"strings"
	"time"

	"ntsbridge/bridge/access"
	"ntsbridge/bridge/config"
	"ntsbridge/bridge/convert/draft"
	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/restrict"
	"ntsbridge/bridge/convert/syntax"
	"ntsbridge/bridge/ntp"
)

// emit sets the options of ntsbridge's configuration.
func (c *conversion) emit() {
	c.emitServer()
	c.emitClock()
	c.emitAccess()
	if c.dialect == "chrony" {
		c.emitChronyLimit()
	} else {
		c.emitLimits()
	}
	c.emitKeys()
	c.emitAutokey()
	if c.dialect == "chrony" {
		c.emitChronyNTS()
	} else {
		c.emitNTS()
	}
	c.emitSources()
	c.emitClocks()
	c.emitBroadcast()
}

// became notes on lines where they went, if that is no option of their own.
func (c *conversion) became(place string, lines ...*syntax.Statement) {
	for _, s := range lines {
		c.record(s).Into(place)
	}
}

func (c *conversion) emitServer() {
	m, server := &c.model, &c.draft.Config.Server
	if len(m.listen.addresses) > 0 {
		draft.Set(c.draft, &server.Listen, m.listen.addresses, m.listen.lines...)
	}
	if m.dscp != nil {
		draft.Set(c.draft, &server.DSCP, int(m.dscp.Options[0].Int), m.dscp)
	}
}

func (c *conversion) emitAccess() {
	section := &c.draft.Config.Access
	for i, rule := range c.model.rules {
		if i == 0 {
			c.emitDefaultRule(rule)
			continue
		}
		to := draft.Add(c.draft, &section.Rules, config.DefaultRule(), rule.Lines...)
		draft.Set(c.draft, &to.Prefixes, rule.Prefixes)
		if rule.FromNTP {
			draft.Set(c.draft, &to.SourcePort123, true)
		}
		c.emitService(to, rule.Service)
	}
}

func (c *conversion) emitDefaultRule(rule restrict.Rule) {
	to := &c.draft.Config.Access.Default
	origin := c.draft.From(to, rule.Lines...)
	switch {
	case len(rule.Lines) > 0:
	case c.dialect == "chrony":
		origin.Remark("chronyd serves those that allow names.")
	case c.dialect == "ntpsec":
		origin.Remark("No restrict line for the default: ntpsec answers everybody, at a limited rate, and no queries.")
	default:
		origin.Remark("No restrict line for the default: ntpd answers everybody.")
	}
	c.emitService(to, rule.Service)
}

func (c *conversion) emitService(to *config.AccessRule, s restrict.Service) {
	if !s.Serve {
		draft.Set(c.draft, &to.Action, config.ActionDeny)
		return
	}
	draft.Set(c.draft, &to.Action, config.ActionAllow)
	if s.Auth {
		kinds := []ntp.Kind{ntp.KindSymmetric, ntp.KindNTS}
		if c.model.autokey.enabled {
			kinds = []ntp.Kind{ntp.KindSymmetric, ntp.KindAutokey, ntp.KindNTS}
		}
		draft.Set(c.draft, &to.Kinds, kinds)
	}
	if s.Version > 1 {
		draft.Set(c.draft, &to.MinVersion, int(s.Version))
	}
	if s.Limited {
		draft.Set(c.draft, &to.Rate, limitName(s.Kod))
	}
	draft.Set(c.draft, &to.Query, s.Query)
}

func limitName(kod bool) string {
	if kod {
		return "limited-kod"
	}
	return "limited"
}

// emitClients sets the size of the table of clients.
func (c *conversion) emitClients() {
	if m := &c.model; m.clients > 0 {
		draft.Set(c.draft, &c.draft.Config.RateLimit.Clients, m.clients, m.clientSize)
	}
}

func (c *conversion) emitLimits() {
	m, section := &c.model, &c.draft.Config.RateLimit
	c.emitClients()
	if !m.limited && !m.kod {
		return
	}
	origin := c.draft.From(&section.Limits, m.limits.Lines...)
	if len(m.limits.Lines) == 0 {
		remark := "ntpd's discard without a line: average 3, minimum 2."
		if c.dialect == "ntpsec" {
			remark = "ntpsec's limit without a line: average 1, burst 20."
		}
		origin.Remark("%s", remark)
	}
	for _, kod := range []bool{true, false} {
		if kod && !m.kod || !kod && !m.limited {
			continue
		}
		to := draft.Add(c.draft, &section.Limits, config.DefaultLimit(""))
		draft.Set(c.draft, &to.Name, limitName(kod))
		draft.Set(c.draft, &to.Interval, m.limits.Interval)
		draft.Set(c.draft, &to.Burst, m.limits.Burst)
		draft.Set(c.draft, &to.Minimum, m.limits.Minimum)
		draft.Set(c.draft, &to.Leak, 0)
		draft.Set(c.draft, &to.Kiss, kod)
	}
}

// emitKeys writes the keys file and the trusted keys: only what ntpd loads.
func (c *conversion) emitKeys() {
	m, section := &c.model, &c.draft.Config.Keys
	if m.keyFile == nil || m.keysRejected {
		if m.keysRejected {
			c.draft.From(section).Quote(m.keyFile).Remark("Left out: ntpd loads no key from this file.")
		}
		draft.Set(c.draft, &section.Generate, false).Remark("No key is usable that was not before.")
		if m.trust != nil {
			c.record(m.trust).Raise(report.Folded)
		}
		return
	}
	c.draft.From(&section.Files, m.keyFile)
	file := draft.Add(c.draft, &section.Files, config.DefaultKeyFile())
	draft.Set(c.draft, &file.Path, m.keyPath)
	draft.Set(c.draft, &file.Format, c.dialect)
	var trusted []access.KeyRange
	for word := range strings.FieldsSeq(m.trustSet.String()) {
		if r, err := access.ParseKeyRange(word); err == nil {
			trusted = append(trusted, r)
		}
	}
	origin := draft.Set(c.draft, &section.Trusted, trusted, m.trust)
	if m.trust == nil && c.dialect != "chrony" {
		origin.Remark("No trustedkey line: ntpd trusts no key.")
	}
	draft.Set(c.draft, &section.Generate, false)
}

func (c *conversion) emitAutokey() {
	a, section := &c.model.autokey, &c.draft.Config.Autokey
	if len(a.lines) == 0 {
		return
	}
	c.draft.From(section, a.lines...)
	if !a.enabled {
		draft.Set(c.draft, &section.Enabled, false).Remark("ntpd would not start with these files: see the report.")
		return
	}
	draft.Set(c.draft, &section.Enabled, true).Remark("Legacy: broken since 2012. Move these clients to NTS.")
	draft.Set(c.draft, &section.KeysDir, a.dir, a.dirLine)
	for _, entry := range []struct {
		option *string
		value  string
	}{{&section.Host, a.host}, {&section.Ident, a.ident}, {&section.Digest, a.digest}} {
		if entry.value != "" {
			draft.Set(c.draft, entry.option, entry.value)
		}
	}
	if a.hasPassword {
		draft.Set(c.draft, &section.PasswordFile, c.passwordSecret())
	}
	if c.model.leapFile != nil {
		draft.Set(c.draft, &section.LeapFile, absolute(c.model.leapFile.Argument()), c.model.leapFile)
	}
	if until, err := time.Parse(time.DateOnly, c.opt.TakeoverUntil); err == nil {
		draft.Set(c.draft, &section.Takeover.Enabled, true)
		draft.Set(c.draft, &section.Takeover.Until, until)
	} else {
		c.record(a.lines[0]).Note(report.Changed, "autokey-restart", "give a date with --takeover-until to let them go on at once",
			"clients of Autokey notice the change of server, and begin anew by themselves")
	}
}

func (c *conversion) emitNTS() {
	section := &c.draft.Config.NTS
	c.became("nts", c.model.ntsLines...)
	certificate := func(cert, key string) {
		draft.Set(c.draft, &section.Enabled, true)
		to := draft.Add(c.draft, &section.Certificates, config.Certificate{})
		draft.Set(c.draft, &to.Cert, cert)
		draft.Set(c.draft, &to.Key, key)
		draft.Set(c.draft, &section.Generate, false)
	}
	switch {
	case c.opt.NTSCert != "":
		certificate(c.opt.NTSCert, c.opt.NTSKey)
	case c.model.nts && c.model.ntsCert != "" && !c.opt.NTSSelfSigned:
		c.draft.From(section, c.model.ntsLines...)
		certificate(c.model.ntsCert, cmp.Or(c.model.ntsKey, c.model.ntsCert))
	case c.opt.NTSSelfSigned:
		draft.Set(c.draft, &section.Enabled, true)
		draft.Set(c.draft, &section.Generate, true).Remark("A self-signed certificate is made in the state directory on first start.")
	default:
		draft.Set(c.draft, &section.Enabled, false).Remark("Convert with --nts-cert and --nts-key, or --nts-self-signed, to serve NTS too.")
	}
}

// everywhere are the wildcard addresses with a port.
func everywhere(port uint16) []netip.AddrPort {
	return []netip.AddrPort{netip.AddrPortFrom(restrict.Any6, port), netip.AddrPortFrom(restrict.Any4, port)}
}
