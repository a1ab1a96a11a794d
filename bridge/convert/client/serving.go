package client

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/convert/job"
	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/restrict"
	"ntsbridge/bridge/convert/syntax"
	"ntsbridge/symkey"
)

// serves reports whether the host must go on serving others: the operator says
// so, or its file lets networks in by name. That ntpd answers everybody without
// being told so is no sign of clients.
func (c *writer) serves() bool {
	if list := c.Model.Listen.Addresses; len(list) > 0 && !slices.ContainsFunc(list, func(l config.Listen) bool {
		return !l.Fixed() || !l.Addr().IsLoopback()
	}) {
		return false // nobody but the host itself can ask it
	}
	switch c.Opt.Client.Serving {
	case job.ServingKeep:
		return slices.ContainsFunc(c.Model.Rules, func(r restrict.Rule) bool { return r.Service.Serve })
	case job.ServingDrop:
		return false
	}
	return slices.ContainsFunc(c.Model.Rules, func(r restrict.Rule) bool {
		if c.Dialect == "chrony" && r.Service.Serve && len(r.Lines) > 0 {
			return true
		}
		return r.Service.Serve && slices.ContainsFunc(r.Prefixes, func(p netip.Prefix) bool {
			return !p.Addr().IsLoopback() && !(p.IsSingleIP() && c.isSource(p.Addr()))
		})
	})
}

// isSource reports whether an address is that of a source, whose entry lets its
// answers in.
func (c *writer) isSource(a netip.Addr) bool {
	return slices.ContainsFunc(c.Model.Sources, func(src *job.Source) bool {
		host, _ := src.HostPort()
		b, err := netip.ParseAddr(host)
		return err == nil && b.Unmap() == a || slices.Contains(c.Resolve(host), a)
	})
}

// access are the lines about who is served, of any dialect.
func (c *writer) access() []*syntax.Statement {
	return c.All("restrict", "unrestrict", "allow", "deny", "discard", "limit", "ratelimit", "port")
}

// keepServing tells of the lines about who is served that they are kept.
func (c *writer) keepServing() {
	for _, s := range c.access() {
		c.Record(s).Note(report.Approximated, "keeps-serving", "",
			"the clients of this host are still served by it, as far as %s can say who they are", c.Opt.Client.Format)
		c.Ledger.Tell(s, job.FateSaid+"keeps-serving", c.Words(s)...)
	}
}

// networks are the prefixes of a rule; those of the first one are all.
func networks(i int, r restrict.Rule) []netip.Prefix {
	if i == 0 {
		return []netip.Prefix{restrict.All4, restrict.All6}
	}
	return r.Prefixes
}

// lost tells of what a rule says that the output cannot; it reports whether its
// clients must be refused for that.
func (c *writer) lost(r restrict.Rule) bool {
	switch s := r.Service; {
	case !s.Serve:
	case r.FromNTP:
		c.Report.Note(report.Dangerous, "serving-port", "name the hosts by their addresses",
			"%s does not tell requests from port 123 from others: a rule about them is left out", c.Opt.Client.Format)
		return true
	case s.Auth && c.Opt.Client.Format != "ntpsec":
		c.Report.Note(report.Dangerous, "serving-auth", "point these clients at the gateway",
			"%s cannot ask for authentication of its clients: those of %s are refused", c.Opt.Client.Format, prefixText(r.Prefixes))
		return true
	}
	return false
}

func prefixText(list []netip.Prefix) string {
	if len(list) == 0 {
		return "everybody else"
	}
	text := make([]string, len(list))
	for i, p := range list {
		text[i] = p.String()
	}
	return strings.Join(text, ", ")
}

// chronyServing are the lines of chronyd about who is served.
func (c *writer) chronyServing() (lines []string) {
	limited := false
	for i, r := range c.Model.Rules {
		word := "deny"
		if !c.lost(r) && r.Service.Serve {
			word = "allow"
		}
		limited = limited || r.Service.Serve && r.Service.Limited
		for _, p := range networks(i, r) {
			if !p.Addr().IsLoopback() && !(i == 0 && word == "deny") && !r.FromNTP {
				lines = append(slices.DeleteFunc(lines, func(line string) bool { return strings.HasSuffix(line, " "+p.String()) }),
					word+" "+p.String())
			}
		}
	}
	if limited {
		lines = append(lines, c.chronyLimit())
	}
	return lines
}

// ntpsecServing are those of ntpsec.
func (c *writer) ntpsecServing() (lines []string) {
	for i, r := range c.Model.Rules {
		if c.lost(r) {
			continue
		}
		flags := []string{"nomodify"}
		for flag, on := range map[string]bool{"noquery": !r.Service.Query, "notrust": r.Service.Auth, "version": r.Service.Version > 1,
			"limited": r.Service.Limited, "kod": r.Service.Limited && r.Service.Kod} {
			if on {
				flags = append(flags, flag)
			}
		}
		slices.Sort(flags)
		if !r.Service.Serve {
			flags = []string{"ignore"}
		}
		if i == 0 {
			lines = append(lines, "restrict default "+strings.Join(flags, " "))
			continue
		}
		for _, p := range r.Prefixes {
			if !p.Addr().IsLoopback() {
				lines = append(lines, fmt.Sprintf("restrict %s mask %s %s", p.Addr(), restrict.PrefixMask(p.Addr(), p.Bits()), strings.Join(flags, " ")))
			}
		}
	}
	return append(lines, c.ntpsecLimit()...)
}

// rustServing are those of ntpd-rs, whose denied networks go before the allowed
// ones.
func (c *writer) rustServing(places []string) (lines []string) {
	var allowed, denied []string
	var refused []netip.Prefix
	open := false
	for i, r := range c.Model.Rules {
		serve := !c.lost(r) && r.Service.Serve
		if i == 0 {
			open = serve
			continue
		}
		for _, p := range r.Prefixes {
			switch text := strconv.Quote(p.String()); {
			case r.FromNTP:
			case serve:
				allowed = append(allowed, text)
				if slices.ContainsFunc(refused, func(o netip.Prefix) bool { return o.Contains(p.Addr()) && o.Bits() <= p.Bits() }) {
					c.Report.Note(report.Dangerous, "serving-inside", "split the network that is refused, or point these clients at the gateway",
						"ntpd-rs refuses a whole network before it looks at what is let in: the clients in %s lose their time", p)
				}
			default:
				denied = append(denied, text)
				refused = append(refused, p)
			}
		}
	}
	if slices.ContainsFunc(c.Model.Rules, func(r restrict.Rule) bool { return r.Service.Serve && r.Service.Limited }) {
		c.Report.Note(report.Changed, "serving-rate", "let a firewall do it, or set rate-limiting-cutoff-ms below server",
			"ntpd-rs limits nobody's rate here: its limit has no burst, and would hit clients at their start")
	}
	for _, listen := range places {
		lines = append(lines, "[[server]]", "listen = "+strconv.Quote(listen))
		if len(denied) > 0 {
			lines = append(lines, fmt.Sprintf(`denylist = { filter = [%s], action = "ignore" }`, strings.Join(denied, ", ")))
		}
		if !open {
			lines = append(lines, fmt.Sprintf(`allowlist = { filter = [%s], action = "ignore" }`, strings.Join(allowed, ", ")))
		}
	}
	return lines
}

// clientKeys are the keys that the host's own clients use, with the one that it
// uses itself.
func (c *writer) clientKeys(own *symkey.Key) (keys []*symkey.Key) {
	if own != nil {
		keys = append(keys, own)
	}
	if c.Model.Keys == nil || c.Model.KeysRejected || !c.serves() {
		return keys
	}
	for _, k := range c.Model.Keys.Keys {
		if c.Model.TrustSet.Contains(k.ID()) && (own == nil || k.ID() != own.ID()) {
			keys = append(keys, k)
		}
	}
	return keys
}

// lostClients tells of clients that the host cannot serve any more.
func (c *writer) lostClients() {
	if len(c.Model.Autokey.Lines) > 0 || len(c.All("crypto")) > 0 {
		c.Report.Note(report.Dangerous, "serving-autokey", "point these clients at the gateway",
			"clients with Autokey are not served any more")
	}
	if c.Model.Nts || len(c.All("ntsservercert")) > 0 && c.Opt.Client.Format != "chrony" {
		c.Report.Note(report.Dangerous, "serving-nts", "point these clients at the gateway, or set up the certificate by hand",
			"clients with NTS are not served any more")
	}
}
