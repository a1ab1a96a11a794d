package client

import (
	"slices"
	"strconv"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/convert/job"
	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/spell"
	"ntsbridge/bridge/convert/syntax"
)

// listens returns where a host that goes on serving is asked, and the lines that
// say so; none: everywhere. Loopback is left out: only the host itself asks
// there.
func (c *writer) listens() (list []config.Listen, from []*syntax.Statement) {
	if !c.serves() {
		return nil, nil
	}
	loopback := func(l config.Listen) bool { return l.Fixed() && l.Addr().IsLoopback() }
	list = slices.DeleteFunc(slices.Clone(c.Model.Listen.Addresses), loopback)
	from = slices.Concat(c.All("interface"), c.All("bindaddress"))
	for _, s := range c.All("binddevice") {
		if spell.PlainName(s.Argument()) {
			list, from = append(list, config.Listen{Interface: s.Argument()}), append(from, s)
		}
	}
	return list, from
}

// everywhere reports whether a list has all addresses of both families.
func everywhere(list []config.Listen) bool {
	four, six := false, false
	for _, l := range list {
		four = four || l.Fixed() && l.Addr().IsUnspecified() && l.Addr().Is4()
		six = six || l.Fixed() && l.Addr().IsUnspecified() && l.Addr().Is6()
	}
	return len(list) == 0 || four && six
}

// used accounts for the lines about where the host listens.
func (c *writer) used(from []*syntax.Statement) {
	for _, s := range from {
		c.Ledger.Use(s, c.Words(s)...)
	}
}

// putChronyListen binds chronyd, which takes one address of each family, or one
// interface.
func (c *writer) putChronyListen(t *clientText) {
	list, from := c.listens()
	if everywhere(list) {
		return
	}
	var lines []string
	possible := true
	bound := map[bool]string{} // by whether it is IPv4's
	for _, l := range list {
		switch {
		case !l.Fixed() && l.Interface != "" && l.Family == "" && len(list) == 1:
			lines = append(lines, "binddevice "+l.Interface)
		case !l.Fixed() || bound[l.Addr().Is4()] != "":
			possible = false
		default:
			bound[l.Addr().Is4()] = l.Addr().String()
		}
	}
	if !possible {
		for _, s := range from {
			c.Record(s).Note(report.Dangerous, "serving-listen", "close the other addresses with a firewall, or give the one that clients ask",
				"chronyd is bound to one address of each family, or to one interface: it answers at every address of this host")
			c.Ledger.Tell(s, job.FateSaid+"serving-listen", c.Words(s)...)
		}
		return
	}
	if len(lines) == 0 {
		for _, family := range []struct {
			four     bool
			loopback string
		}{{true, "127.0.0.1"}, {false, "::1"}} {
			a := bound[family.four]
			if a == "" {
				a = family.loopback // nobody asks there
			}
			if a != "0.0.0.0" && a != "::" {
				lines = append(lines, "bindaddress "+a)
			}
		}
	}
	c.used(from)
	t.put(from, "bindaddress", lines...)
}

// putNTPsecListen writes rules about interfaces: those of ntpd as they are.
func (c *writer) putNTPsecListen(t *clientText) {
	list, from := c.listens()
	if everywhere(list) && len(c.All("interface")) == 0 {
		return
	}
	var lines []string
	for _, s := range c.All("interface") {
		lines = append(lines, "interface "+s.Names()+" "+spell.Printable(s.Address))
	}
	for _, l := range list {
		switch {
		case len(c.All("interface")) > 0:
		case l.Fixed() && l.Addr().IsUnspecified() && l.Addr().Is4():
			lines = append(lines, "interface listen ipv4")
		case l.Fixed() && l.Addr().IsUnspecified():
			lines = append(lines, "interface listen ipv6")
		case l.Fixed():
			lines = append(lines, "interface listen "+l.Addr().String())
		default:
			lines = append(lines, "interface listen "+l.Interface)
		}
	}
	if c.Dialect == "chrony" {
		for _, s := range from {
			c.Record(s).Note(report.Changed, "serving-listen", "see that the gateway is reached from there",
				"ntpsec asks the gateway from there, too, and from no other address")
		}
	}
	c.used(from)
	t.put(from, "interface", lines...)
}

// rustListen are the places where ntpd-rs listens, which are addresses only.
func (c *writer) rustListen() (places []string, from []*syntax.Statement) {
	list, from := c.listens()
	if everywhere(list) {
		return []string{"0.0.0.0:123", "[::]:123"}, nil
	}
	for _, l := range list {
		if l.Fixed() {
			places = append(places, l.String())
			continue
		}
		for _, s := range from {
			c.Record(s).Note(report.Dangerous, "serving-listen", "add a [[server]] with listen = and the address",
				"ntpd-rs listens on addresses, and not on interfaces or networks: nobody is served on %s", strconv.Quote(l.String()))
			c.Ledger.Tell(s, job.FateSaid+"serving-listen", c.Words(s)...)
		}
	}
	c.used(from)
	return places, from
}
