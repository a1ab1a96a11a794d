package ntpd

import (
	"io/fs"
	"net/netip"
	"path"
	"slices"
	"strings"
	"time"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/convert/job"
	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/spell"
	"ntsbridge/bridge/convert/syntax"
)

// ntpsecFiles resolves a name as ntpsec does: from the directory of the file
// that it stands in. A directory stands for its files *.conf, by name.
func (c *reader) ntpsecFiles(name, by string) (resolved string, inside []string) {
	if by == c.In.Name {
		by = c.In.Path
	}
	if !strings.HasPrefix(name, "/") && by != "" {
		name = path.Join(path.Dir(job.Absolute(by)), name)
	}
	if !c.Directory(name) {
		return name, nil
	}
	found, _ := fs.Glob(c.In.Files, job.Rooted(name)+"/*.conf")
	inside = []string{}
	for _, file := range found {
		inside = append(inside, "/"+file)
	}
	slices.Sort(inside)
	return name, inside
}

// ntpsecLimits reads limit: packets per second and the size of a burst.
func (c *reader) ntpsecLimits() {
	m := &c.Model
	average, burst := 1.0, 20.0 // ntpsec's defaults
	for _, s := range c.All("limit") {
		r := c.Record(s)
		for _, o := range c.Live(s) {
			switch v := o.Number(); {
			case o.Name == "kod":
				r.Note(report.Approximated, "limit-kod", "",
					"kiss codes go to each client once in an interval and second at most, and have no rate of their own")
			case !(v > 0):
				r.Note(report.Error, "limit", "write a positive number", "limit %s %s lets nothing pass; the default is written", o.Name,
					spell.Printable(o.Text))
			case o.Name == "average":
				average = v
			case o.Name == "burst":
				burst = v
			}
		}
		m.Limits.Lines = append(m.Limits.Lines, s)
		if !m.Limited && !m.Kod {
			r.Note(report.Obsolete, "limit-unused", "", "no restriction has limited, so that limit has no effect")
		}
	}
	last := (*syntax.Statement)(nil)
	if list := c.All("limit"); len(list) > 0 {
		last = list[len(list)-1]
	}
	m.Limits.Interval = time.Duration(min(max(float64(time.Second)/average, float64(time.Microsecond)), float64(24*time.Hour)))
	m.Limits.Burst, m.Limits.Minimum = int(c.Bounded(last, "burst", burst, 1, 255)), 0
}

// extraPort opens ntpsec's second port beside the first.
func (c *reader) extraPort() {
	for _, s := range c.All("extra") {
		o, ok := s.Last("port")
		if !ok || o.Int < 1 || o.Int > 65535 || o.Int == 123 {
			c.Record(s).Note(report.Error, "extra-port", "write 1 to 65535", "that is no port")
			continue
		}
		c.Record(s).Note(report.Changed, "port-unread", "delete the line, if nobody asks there",
			"ntpsec 1.2.3 ignores this line for a syntax error, though its manual has it; here the port is served")
		m := &c.Model
		if len(m.Listen.Addresses) == 0 {
			m.Listen.Addresses = config.ListenOn(job.Everywhere(123)...)
		}
		for _, a := range slices.Clone(m.Listen.Addresses) {
			more := a
			more.AddrPort = netip.AddrPortFrom(a.Addr(), uint16(o.Int))
			if !slices.Contains(m.Listen.Addresses, more) {
				m.Listen.Addresses = append(m.Listen.Addresses, more)
			}
		}
		m.Listen.Lines = append(m.Listen.Lines, s)
	}
}
