package convert

import (
	"cmp"
	"fmt"
	"net/netip"
	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/restrict"
	"ntsbridge/bridge/convert/syntax"
	"strconv"
	"strings"
	"time"
)

// emit makes the sections of ntsbridge's YAML.
func (c *conversion) emit() {
	c.emitServer()
	c.emitClock()
	c.emitAccess()
	c.emitLimits()
	c.emitKeys()
	c.emitAutokey()
	c.emitNTS()
	c.emitSources()
	c.emitClocks()
	c.emitBroadcast()
}

// became notes on the lines of an entry where they went.
func (c *conversion) became(place string, lines ...*syntax.Statement) {
	for _, s := range lines {
		c.record(s).Into(place)
	}
}

func (c *conversion) emitServer() {
	m := &c.model
	if len(m.listen.addresses) == 0 && m.dscp == nil {
		return
	}
	n := c.top.section("server")
	if len(m.listen.addresses) > 0 {
		n.set("listen", yamlList(m.listen.addresses, func(a netip.AddrPort) string { return strconv.Quote(a.String()) })).from(m.listen.lines...)
	}
	if m.dscp != nil {
		n.set("dscp", fmt.Sprint(m.dscp.Options[0].Int)).from(m.dscp)
		c.became("server.dscp", m.dscp)
	}
}

func (c *conversion) emitAccess() {
	n := c.top.section("access")
	for i, rule := range c.model.rules {
		place, into := fmt.Sprintf("access.rules[%d]", i-1), n
		if i == 0 {
			place, into = "access.default", n.section("default").from(rule.Lines...)
			switch {
			case len(rule.Lines) > 0:
			case c.dialect == "chrony":
				into.remark("chronyd serves those that allow names.")
			case c.dialect == "ntpsec":
				into.remark("No restrict line for the default: ntpsec answers everybody, at a limited rate, and no queries.")
			default:
				into.remark("No restrict line for the default: ntpd answers everybody.")
			}
		} else {
			into = n.section("rules").item().from(rule.Lines...)
			into.set("prefixes", yamlList(rule.Prefixes, func(p netip.Prefix) string {
				if p.IsSingleIP() {
					return strconv.Quote(p.Addr().String())
				}
				return strconv.Quote(p.String())
			}))
			if rule.FromNTP {
				into.set("source_port_123", "true")
			}
		}
		c.emitService(into, rule.Service)
		c.became(place, rule.Lines...)
	}
}

func (c *conversion) emitService(n *node, s restrict.Service) {
	if !s.Serve {
		n.set("action", "deny")
		return
	}
	n.set("action", "allow")
	if s.Auth {
		kinds := "[symmetric, nts]"
		if c.model.autokey.enabled {
			kinds = "[symmetric, autokey, nts]"
		}
		n.set("kinds", kinds)
	}
	if s.Version > 1 {
		n.set("min_version", fmt.Sprint(s.Version))
	}
	if s.Limited {
		n.set("rate", limitName(s.Kod))
	}
	n.set("query", strconv.FormatBool(s.Query))
}

func limitName(kod bool) string {
	if kod {
		return "limited-kod"
	}
	return "limited"
}

func (c *conversion) emitLimits() {
	m := &c.model
	if !m.limited && !m.kod && m.clients == 0 {
		return
	}
	n := c.top.section("rate_limit")
	if m.clients > 0 {
		n.set("clients", fmt.Sprint(m.clients)).from(m.clientSize)
		c.became("rate_limit.clients", m.clientSize)
	}
	if !m.limited && !m.kod {
		return
	}
	limits := n.section("limits").from(m.limits.Lines...)
	if len(m.limits.Lines) == 0 {
		remark := "ntpd's discard without a line: average 3, minimum 2."
		if c.dialect == "ntpsec" {
			remark = "ntpsec's limit without a line: average 1, burst 20."
		}
		limits.remark("%s", remark)
	}
	c.became("rate_limit.limits", m.limits.Lines...)
	for _, kod := range []bool{true, false} {
		if kod && !m.kod || !kod && !m.limited {
			continue
		}
		item := limits.item()
		item.set("name", limitName(kod))
		item.set("interval", seconds(m.limits.Interval))
		item.set("burst", fmt.Sprint(m.limits.Burst))
		item.set("minimum", seconds(m.limits.Minimum))
		item.set("leak", "0")
		item.set("kiss", strconv.FormatBool(kod))
	}
}

func seconds(d time.Duration) string { return duration(d.Seconds(), 0, longest) }

// emitKeys writes the keys file and the trusted keys: only what ntpd loads.
func (c *conversion) emitKeys() {
	m := &c.model
	n := c.top.section("keys")
	if m.keyFile == nil || m.keysRejected {
		if m.keysRejected {
			n.from(m.keyFile).remark("Left out: ntpd loads no key from this file.")
		}
		n.set("generate", "false").remark("No key is usable that was not before.")
		if m.trust != nil {
			c.record(m.trust).Raise(report.Folded)
		}
		return
	}
	files := n.section("files").from(m.keyFile)
	item := files.item()
	item.set("path", yamlString(m.keyPath))
	item.set("format", c.dialect)
	c.became("keys.files", m.keyFile)
	m.expect.Trusted = m.trustSet.String()
	trusted := n.set("trusted", "["+strings.ReplaceAll(m.trustSet.String(), " ", ", ")+"]")
	if m.trust != nil {
		trusted.from(m.trust)
		c.became("keys.trusted", m.trust)
	} else if c.dialect != "chrony" {
		trusted.remark("No trustedkey line: ntpd trusts no key.")
	}
	n.set("generate", "false")
}

func (c *conversion) emitAutokey() {
	a := &c.model.autokey
	if len(a.lines) == 0 {
		return
	}
	n := c.top.section("autokey").from(a.lines...)
	if !a.enabled {
		n.set("enabled", "false").remark("ntpd would not start with these files: see the report.")
		return
	}
	n.set("enabled", "true").remark("Legacy: broken since 2012. Move these clients to NTS.")
	n.set("keysdir", yamlString(a.dir))
	if a.dirLine != nil {
		n.section("keysdir").from(a.dirLine)
	}
	for _, entry := range [][2]string{{"host", a.host}, {"ident", a.ident}, {"digest", a.digest}} {
		if entry[1] != "" {
			n.set(entry[0], yamlString(entry[1]))
		}
	}
	if a.hasPassword {
		n.set("password_file", yamlString(c.passwordSecret()))
	}
	if c.model.leapFile != nil && len(c.model.autokey.lines) > 0 {
		n.set("leap_file", yamlString(absolute(c.model.leapFile.Argument()))).from(c.model.leapFile)
		c.became("autokey.leap_file", c.model.leapFile)
	}
	if c.opt.TakeoverUntil != "" {
		t := n.section("takeover")
		t.set("enabled", "true")
		t.set("until", strconv.Quote(c.opt.TakeoverUntil))
	} else {
		c.record(a.lines[0]).Note(report.Changed, "autokey-restart", "give a date with --takeover-until to let them go on at once",
			"clients of Autokey notice the change of server, and begin anew by themselves")
	}
	c.became("autokey", a.lines...)
}

func (c *conversion) emitNTS() {
	n := c.top.section("nts")
	c.became("nts", c.model.ntsLines...)
	switch {
	case c.opt.NTSCert != "":
		n.set("enabled", "true")
		item := n.section("certificates").item()
		item.set("cert", yamlString(c.opt.NTSCert))
		item.set("key", yamlString(c.opt.NTSKey))
		n.set("generate", "false")
	case c.model.nts && c.model.ntsCert != "" && !c.opt.NTSSelfSigned:
		n.from(c.model.ntsLines...).set("enabled", "true")
		item := n.section("certificates").item()
		item.set("cert", yamlString(c.model.ntsCert))
		item.set("key", yamlString(cmp.Or(c.model.ntsKey, c.model.ntsCert)))
		n.set("generate", "false")
	case c.opt.NTSSelfSigned:
		n.set("enabled", "true")
		n.set("generate", "true").remark("A self-signed certificate is made in the state directory on first start.")
	default:
		n.set("enabled", "false").remark("Convert with --nts-cert and --nts-key, or --nts-self-signed, to serve NTS too.")
	}
}
