package chronyd

import (
	"net/netip"
	"slices"
	"strings"

	"ntsbridge/bridge/convert/draft"
	"ntsbridge/bridge/convert/job"
	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/restrict"
	"ntsbridge/bridge/convert/spell"
)

// commandPort is where chronyc asks.
const commandPort = 323

// setCommands writes where chronyc may ask, if any line is about that.
func (c *reader) setCommands() {
	c.commandSocket()
	if len(c.All("cmdport", "cmdallow", "cmddeny", "bindcmdaddress")) == 0 {
		return
	}
	port := commandPort
	if s := c.LastOf("cmdport"); s != nil {
		port = int(c.port(s))
	}
	if port == 0 {
		for _, s := range c.All("cmdport", "cmdallow", "cmddeny", "bindcmdaddress") {
			c.Record(s).Note(report.Folded, "command-off", "", "chronyc asks over the socket only")
		}
		return
	}
	section := &c.Draft.Config.Chronyc
	four, six := restrict.Local4, restrict.Local6
	for _, s := range c.All("bindcmdaddress") {
		a, err := netip.ParseAddr(s.Argument())
		switch {
		case err != nil:
			continue
		case a.Is4():
			four = a
		default:
			six = a
		}
		c.Draft.From(&section.Listen, s)
	}
	draft.Set(c.Draft, &section.Listen, []netip.AddrPort{netip.AddrPortFrom(four, uint16(port)), netip.AddrPortFrom(six, uint16(port))},
		c.All("cmdport")...)
	c.commandAccess()
}

// commandSocket writes the socket that chronyc uses.
func (c *reader) commandSocket() {
	for _, s := range c.All("bindcmdaddress") {
		switch name := s.Argument(); {
		case name == "/":
			draft.Set(c.Draft, &c.Draft.Config.Chronyc.Socket, "none", s)
		case strings.HasPrefix(name, "/") && spell.PlainPath(name):
			draft.Set(c.Draft, &c.Draft.Config.Chronyc.Socket, job.Absolute(name), s)
		case strings.HasPrefix(name, "/"):
			c.Record(s).Note(report.Error, "file-name", "give a name", "that is no name of a file")
		}
	}
}

// commandAccess writes who may ask there.
func (c *reader) commandAccess() {
	section := &c.Draft.Config.Chronyc
	allowed := []netip.Prefix{netip.PrefixFrom(restrict.Local4, 8).Masked(), netip.PrefixFrom(restrict.Local6, 128)}
	for _, s := range c.All("cmdallow", "cmddeny") {
		args := slices.Clone(s.Options)
		if len(args) > 0 && spell.AsciiLower(args[0].Text) == "all" {
			args = args[1:]
		}
		prefixes, problem := c.subnet(args)
		switch {
		case problem != "":
			c.Record(s).Note(report.Approximated, "command-name", "say which addresses it has: --address NAME=ADDRESS", "%s", problem)
			continue
		case s.Word == "cmdallow":
			allowed = append(allowed, prefixes...)
			c.Draft.From(&section.Allow, s)
			continue
		}
		left := slices.DeleteFunc(slices.Clone(allowed), func(p netip.Prefix) bool { return inside(p, prefixes) })
		if len(left) < len(allowed) {
			allowed = left
			c.Draft.From(&section.Allow, s)
			continue
		}
		if slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return inside(p, allowed) }) {
			c.Record(s).Note(report.Dangerous, "command-deny", "write chronyc.allow without that network",
				"a part of what is allowed cannot be taken out: these may ask chronyc's questions too")
			continue
		}
		c.Record(s).Note(report.Folded, "command-deny", "", "these are not allowed anyway")
	}
	draft.Set(c.Draft, &section.Allow, slices.Compact(allowed))
}

// inside reports whether a network lies in one of others.
func inside(p netip.Prefix, others []netip.Prefix) bool {
	return slices.ContainsFunc(others, func(o netip.Prefix) bool { return o.Bits() <= p.Bits() && o.Contains(p.Addr()) })
}
