package convert

import (
	"io/fs"
	"net/netip"
	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/restrict"
	"ntsbridge/bridge/convert/spell"
	"path"
	"slices"
	"strings"
	"time"
)

// ntpsecFiles resolves a name as ntpsec does: from the directory of the file
// that it stands in. A directory stands for its files *.conf, by name.
func (c *conversion) ntpsecFiles(name, by string) (resolved string, inside []string) {
	if by == c.in.Name {
		by = c.in.Path
	}
	if !strings.HasPrefix(name, "/") && by != "" {
		name = path.Join(path.Dir(absolute(by)), name)
	}
	if !c.directory(name) {
		return name, nil
	}
	found, _ := fs.Glob(c.in.Files, rooted(name)+"/*.conf")
	inside = []string{}
	for _, file := range found {
		inside = append(inside, "/"+file)
	}
	slices.Sort(inside)
	return name, inside
}

// ntpsecLimits reads limit: packets per second and the size of a burst.
func (c *conversion) ntpsecLimits() {
	m := &c.model
	average, burst := 1.0, 20.0 // ntpsec's defaults
	for _, s := range c.all("limit") {
		r := c.record(s)
		for _, o := range s.Options {
			switch v := o.Number(); {
			case o.Name == "kod":
				r.Note(report.Approximated, "limit-kod", "", "kiss codes go to each client once in an interval and second at most, and have no rate of their own")
			case !(v > 0):
				r.Note(report.Error, "limit", "write a positive number", "limit %s %s lets nothing pass; the default is written", o.Name, spell.Printable(o.Text))
			case o.Name == "average":
				average = v
			case o.Name == "burst":
				burst = v
			}
		}
		m.limits.Lines = append(m.limits.Lines, s)
		if !m.limited && !m.kod {
			r.Note(report.Obsolete, "limit-unused", "", "no restriction has limited, so that limit has no effect")
		}
	}
	m.limits.Interval = time.Duration(min(max(float64(time.Second)/average, float64(time.Microsecond)), float64(24*time.Hour)))
	m.limits.Burst, m.limits.Minimum = int(min(max(burst, 1), 255)), 0
}

// extraPort opens ntpsec's second port beside the first.
func (c *conversion) extraPort() {
	for _, s := range c.all("extra") {
		o, ok := s.Last("port")
		if !ok || o.Int < 1 || o.Int > 65535 || o.Int == 123 {
			c.record(s).Note(report.Error, "extra-port", "write 1 to 65535", "that is no port")
			continue
		}
		m := &c.model
		if len(m.listen.addresses) == 0 {
			m.listen.addresses = []netip.AddrPort{netip.AddrPortFrom(restrict.Any6, 123), netip.AddrPortFrom(restrict.Any4, 123)}
		}
		for _, a := range slices.Clone(m.listen.addresses) {
			if more := netip.AddrPortFrom(a.Addr(), uint16(o.Int)); !slices.Contains(m.listen.addresses, more) {
				m.listen.addresses = append(m.listen.addresses, more)
			}
		}
		m.listen.lines = append(m.listen.lines, s)
		c.record(s).Into("server.listen")
	}
}
