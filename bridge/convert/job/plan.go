package job

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/spell"
)

// PlanSources decides which sources are written, and counts those that the
// clock can follow. A source that was not usable, or whose authentication cannot
// be kept, is left out: it is never written with less.
func (c *Job) PlanSources() {
	m := &c.Model
	seen := make(map[string]*Source)
	best := c.best()
	for _, src := range m.Sources {
		switch {
		case src.Left != "" || src.Refclock != nil && src.Refclock.Driver == LocalDriver:
			continue
		case src.Dead != "" && !src.Revived:
			src.Left = src.Dead
			continue
		case src.Kind == "broadcast":
			continue
		case src.Refclock != nil:
			src.Clocks = slices.DeleteFunc(src.Clocks, func(o config.ReferenceClock) bool {
				return c.twice(seen, src,
					fmt.Sprint(o.Driver, o.Unit, o.Device))
			})
			if len(src.Clocks) == 0 {
				src.Left = "it is there already"
				continue
			}
		default:
			if other := best[c.id(src)]; other != src {
				c.secondLine(src, other)
				continue
			}
		}
		c.count(src)
	}
}

// id is what a network source is told apart by: a name may be asked once for each
// family, if every line for it says which.
func (c *Job) id(src *Source) string {
	id := strings.ToLower(fmt.Sprint(src.HostPort()))
	anyFamily := func(other *Source) bool {
		return other.Family == "" && other.Refclock == nil && strings.ToLower(fmt.Sprint(other.HostPort())) == id
	}
	host, _ := src.HostPort()
	if _, err := netip.ParseAddr(host); err == nil || src.Family == "" ||
		slices.ContainsFunc(c.Model.Sources, anyFamily) {
		return id
	}
	return id + src.Family
}

// best returns the source that is written of those with one address and port:
// the first one with authentication, or the first.
func (c *Job) best() map[string]*Source {
	best := make(map[string]*Source)
	for _, src := range c.Model.Sources {
		if src.Left != "" || src.Refclock != nil || src.Kind == "broadcast" || src.Dead != "" && !src.Revived {
			continue
		}
		if there := best[c.id(src)]; there == nil || !there.Authenticated() && src.Authenticated() {
			best[c.id(src)] = src
		}
	}
	return best
}

// Authenticated reports whether a source has a key or NTS.
func (src *Source) Authenticated() bool { return src.Key != 0 || src.Nts }

// secondLine leaves out a source that another line asks too.
func (c *Job) secondLine(src, other *Source) {
	src.Left = fmt.Sprintf("line %d asks it already", other.Line.Line)
	if other.Authenticated() && !src.Authenticated() {
		src.Left = fmt.Sprintf("line %d asks it with authentication", other.Line.Line)
		had := c.Daemon() + " had both"
		if c.Dialect == "chrony" { // of an address, it had the first alone
			had = "chronyd asked both, if the name had an address for each"
		}
		c.Record(src.Line).Note(report.Changed, "duplicate-source", "delete the line", "%s; here %s", had, src.Left)
		return
	}
	c.Record(src.Line).Note(report.Folded, "duplicate-source", "delete one of the two", "%s", src.Left)
}

// twice reports whether a source of that name was seen before.
func (c *Job) twice(seen map[string]*Source, src *Source, id string) bool {
	first := seen[id]
	if first == nil {
		seen[id] = src
		return false
	}
	c.Record(src.Line).Note(report.Dangerous, "clock-twice", "give each clock a unit or device of its own, and check with ntpshmmon",
		"line %d has its unit or device already: this clock is left out", first.Line.Line)
	return true
}

// count adds a source that is written to those that can be followed.
func (c *Job) count(src *Source) {
	switch {
	case src.Refclock == nil && !src.NoSelect,
		slices.ContainsFunc(src.Clocks, func(o config.ReferenceClock) bool { return !o.NoSelect }):
		c.Model.Followed++
	}
}

// CompareSources makes the account.
func (c *Job) CompareSources() {
	s := &report.SourceComparison{Followed: c.Model.Followed}
	for _, src := range c.Model.Sources {
		if src.Refclock != nil && src.Refclock.Driver == LocalDriver {
			continue
		}
		s.Configured++
		if src.Left == "" {
			s.Written++
		} else {
			s.LeftOut = append(s.LeftOut, c.leftOut(src))
		}
	}
	c.Report.Sources = s
}

func (c *Job) leftOut(src *Source) report.LeftOut {
	return report.LeftOut{File: c.Parsed.Files[src.Line.File].Name, Line: src.Line.Line, Source: spell.Printable(src.Address),
		Why: src.Left}
}
