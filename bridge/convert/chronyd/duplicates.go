package chronyd

import (
	"fmt"
	"net/netip"

	"ntsbridge/bridge/convert/job"
	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/spell"
)

// duplicates leaves out the lines for an address that another one has: chronyd
// takes the first, whatever its port and options are, and says that it could not
// add the others. A name is another thing: each of its lines gets an address of
// its own, as long as the name has any.
func (c *reader) duplicates() {
	first := make(map[netip.Addr]*job.Source)
	for _, src := range c.Model.Sources {
		host, _ := src.HostPort()
		a, err := netip.ParseAddr(host)
		if err != nil || src.Refclock != nil || a.Zone() != "" {
			continue
		}
		there := first[a.Unmap()]
		if there == nil {
			first[a.Unmap()] = src
			continue
		}
		if !there.Authenticated() && src.Authenticated() && c.lostSource(there, src) {
			first[a.Unmap()] = src
			continue
		}
		class, what := report.Folded, ""
		if there.Key != src.Key || there.Nts != src.Nts {
			class, what = report.Changed, ", whose authentication counts"
		}
		src.Left = fmt.Sprintf("line %d has the same address", there.Line.Line)
		c.Record(src.Line).Note(class, "duplicate-source", "delete one of the two",
			"%s%s: chronyd refuses a second source for it", src.Left, what)
	}
}

// lostSource asks about a line with authentication that chronyd refuses for one
// without; it reports whether it counts, as it was meant.
func (c *reader) lostSource(there, src *job.Source) bool {
	written := fmt.Sprintf("a source with key %d", src.Key)
	if src.Nts {
		written = "a source with nts"
	}
	q := report.Question{File: c.Parsed.Files[src.Line.File].Name, Line: src.Line.Line, Text: spell.Show(c.Text(src.Line)),
		Code: "lost-authentication", Written: written, Intended: true,
		Running: fmt.Sprintf("line %d has the same address: this line is refused, and %s has no authentication", there.Line.Line,
			spell.Printable(there.Line.Argument())),
		Do: fmt.Sprintf("delete line %d, or choose --lost intended for that, or --lost running for what the daemon does now", there.Line.Line)}
	answer := job.LostStop
	if c.Opt.Decide != nil {
		answer = c.Opt.Decide(q)
	}
	switch answer {
	case job.LostIntended:
		there.Left = fmt.Sprintf("line %d has the same address and counts, as the operator decided", src.Line.Line)
		c.Record(there.Line).Note(report.Changed, "duplicate-source", "delete the line", "%s", there.Left)
		return true
	case job.LostRunning:
	default:
		c.Report.Questions = append(c.Report.Questions, q)
	}
	return false
}
