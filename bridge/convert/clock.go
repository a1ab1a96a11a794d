package convert

import (
	"fmt"
	"math"
	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/syntax"
	"slices"
	"strconv"
)

// clockModel is how the daemon steers the clock.
type clockModel struct {
	// idle is why the daemon does not steer, and idleLine where that stands;
	// empty: it does, if it has sources.
	idle     string
	idleLine *syntax.Statement
	entries  map[string]*clockEntry // of the section clock, by path below it
}

// clockEntry is an option of the section clock.
type clockEntry struct {
	value  string
	lines  []*syntax.Statement
	remark string
}

// clockOrder are the paths below clock that are written with mode discipline,
// in the order of writing.
var clockOrder = []string{
	"step.threshold", "step.updates", "step.any_time", "step.stepout", "panic", "panic_once", "max_change",
	"max_slew_ppm", "start_slew_ppm", "max_distance", "drift_ppm", "min_sources", "auth_select", "nocerttimecheck", "drift_file",
	"leap.file", "leap.mode", "leap.smear", "leap.shape", "leap.placement",
}

// always are the paths that count in every mode: they are about what is
// served.
var always = map[string]bool{"leap.file": true, "leap.smear": true, "leap.shape": true, "leap.placement": true, "drift_ppm": true}

// clockSet notes an option of the section clock.
func (c *conversion) clockSet(path, value, remark string, lines ...*syntax.Statement) {
	if c.model.clock.entries == nil {
		c.model.clock.entries = make(map[string]*clockEntry)
	}
	c.model.clock.entries[path] = &clockEntry{value: value, lines: slices.DeleteFunc(lines, func(s *syntax.Statement) bool { return s == nil }), remark: remark}
}

// steers reports whether the output steers the clock: the daemon did, and there
// is something to follow.
func (c *conversion) steers() bool { return c.model.clock.idle == "" && c.model.followed > 0 }

// emitClock writes where time comes from: the sources, the local clock if that
// is all there is, or the clock that another program steers.
func (c *conversion) emitClock() {
	n := c.top.section("clock")
	steers := c.steers()
	switch {
	case steers:
		c.model.expect.Mode = "discipline"
		n.set("mode", "discipline").remark("The sources below are followed, as %s did.", c.daemon())
	case c.model.followed == 0 && c.model.localStratum > 0:
		c.model.expect.Mode, c.model.expect.Stratum = "local", c.model.localStratum
		n.set("mode", "local").remark("There is no source but the clock of this host.").from(c.model.localLines...)
		n.set("stratum", fmt.Sprint(c.model.localStratum))
		c.became("clock.mode", c.model.localLines...)
		c.emitClockEntries(n, false)
		return
	case c.model.clock.idle != "":
		c.model.expect.Mode = "observe"
		mode := n.set("mode", "observe").remark("%s does not steer the clock: another program does, and this one serves it.", c.daemon())
		if s := c.model.clock.idleLine; s != nil {
			mode.from(s)
		}
		c.report.Note(report.Changed, "not-steered", "let another program keep the clock, or write clock.mode: discipline",
			"%s: the clock is served as another program keeps it, and only while the kernel calls it synchronised", c.model.clock.idle)
	default:
		c.model.expect.Mode = "observe"
		n.set("mode", "observe").remark("There is no source to follow: the clock is served as another program keeps it.")
		c.report.Note(report.Changed, "no-source", "name a source, and write clock.mode: discipline",
			"there is no source that could be followed: the clock is served as another program keeps it, and only while the kernel calls it synchronised")
	}
	c.emitFallback(n, steers)
	c.emitClockEntries(n, steers)
}

// emitFallback writes the stratum to fall back to.
func (c *conversion) emitFallback(n *node, steers bool) {
	m := &c.model
	orphan := m.orphan != nil && m.orphanValue >= 1 && m.orphanValue <= 15
	stratum, lines := m.localStratum, m.localLines
	switch {
	case stratum > 0 && orphan:
		c.record(m.orphan).Note(report.Approximated, "orphan-and-local", "", "the local clock's stratum is taken for both")
	case orphan:
		stratum, lines = m.orphanValue, one(m.orphan)
	}
	if stratum == 0 {
		return
	}
	c.model.expect.Fallback = stratum
	n.set("fallback_stratum", fmt.Sprint(stratum)).from(lines...)
	c.became("clock.fallback_stratum", lines...)
	switch {
	case !steers:
	case orphan:
		n.set("orphan", "true").from(m.orphan)
		c.became("clock.orphan", m.orphan)
	case m.orphanLocal:
		n.set("orphan", "true").from(m.localLines...)
		c.became("clock.orphan", m.localLines...)
	}
}

// emitClockEntries writes the options that count in the mode.
func (c *conversion) emitClockEntries(n *node, steers bool) {
	for _, path := range clockOrder {
		e := c.model.clock.entries[path]
		if e == nil {
			continue
		}
		if !steers && !always[path] {
			for _, s := range e.lines {
				c.record(s).Note(report.Folded, "not-steering", "", "the clock is not steered: there is nothing to set")
			}
			continue
		}
		into := n
		key := path
		for i := range len(path) {
			if path[i] == '.' {
				into, key = n.section(path[:i]), path[i+1:]
			}
		}
		entry := into.set(key, e.value)
		if e.remark != "" {
			entry.remark("%s", e.remark)
		}
		entry.from(e.lines...)
		c.became("clock."+path, e.lines...)
	}
}

// duration writes seconds as the output has them, put into a range.
func duration(v, from, upTo float64) string {
	if !(v >= from) {
		v = from
	}
	v = math.Round(min(v, upTo)*1e9) / 1e9
	return strconv.FormatFloat(v, 'f', -1, 64) + "s"
}

// number writes a number, put into a range.
func number(v, from, upTo float64) string {
	if !(v >= from) {
		v = from
	}
	return strconv.FormatFloat(min(v, upTo), 'f', -1, 64)
}

// longest is the largest duration that the output takes, s.
const longest = 876000 * 3600
