package ntpd

import (
	"slices"
	"strings"

	"ntsbridge/bridge/convert/draft"
	"ntsbridge/bridge/convert/job"
	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/spell"
	"ntsbridge/bridge/convert/syntax"
)

// statisticsFiles are those of ntpd that the server writes too.
var statisticsFiles = strings.Fields("loopstats peerstats rawstats clockstats sysstats protostats cryptostats")

// buildStatistics keeps the files with statistics: of the names in statistics
// and filegen, in the directory of statsdir, begun anew as filegen says, which
// without a line is every day.
func (c *reader) buildStatistics() {
	var files []string
	var lines []*syntax.Statement
	add := func(s *syntax.Statement, name string) {
		switch {
		case !slices.Contains(statisticsFiles, name):
			c.Record(s).Note(report.Unsupported, "statistics", "", "there is no file %s", spell.Printable(name))
		case !slices.Contains(files, name):
			files = append(files, name)
		}
	}
	for _, s := range c.All("statistics") {
		lines = append(lines, s)
		for _, o := range s.Options {
			add(s, o.Name)
		}
	}
	rotate, link := "day", true
	kinds, links := map[string]bool{}, map[bool]bool{}
	for _, s := range c.All("filegen") {
		lines = append(lines, s)
		if s.Flag("enable") && !slices.Contains(files, s.Address) {
			add(s, s.Address)
		}
		if s.Flag("disable") {
			files = slices.DeleteFunc(files, func(f string) bool { return f == s.Address })
		}
		switch kind := s.Value("type"); kind {
		case "":
		default: // the words are the same
			rotate = kind
			kinds[kind] = true
		}
		if s.Flag("nolink") || s.Flag("link") {
			link = s.Flag("link")
			links[link] = true
		}
		switch {
		case !s.Flag("file"):
		case s.Value("file") == s.Address:
			c.Ledger.Tell(s, job.FateHolds+"the file has this name", "file")
		default:
			c.Record(s).Note(report.Approximated, "filegen-file", "", "the file is named %s", s.Address)
		}
	}
	dir := c.LastOf("statsdir")
	why := "no statistics are asked for"
	if c.disabled("stats") && len(files) > 0 {
		files, why = nil, "disable stats: ntpd wrote none of these files"
	}
	switch {
	case len(files) == 0 && dir != nil:
		lines = append(lines, dir)
		fallthrough
	case len(files) == 0:
		for _, s := range lines {
			c.Record(s).Note(report.Folded, "statistics-off", "", "%s", why)
		}
		return
	case dir != nil && !spell.PlainPath(dir.Argument()):
		c.Record(dir).Note(report.Error, "file-name", "write statistics.dir", "that is no name of a directory here")
		for _, s := range lines {
			c.Record(s).Note(report.Changed, "statistics-nowhere", "write statistics.dir", "without a directory, nothing is written")
		}
		return
	case dir == nil:
		for _, s := range lines {
			c.Record(s).Note(report.Changed, "statistics-nowhere", "write statistics.dir",
				"without statsdir, ntpd writes below /var/NTP; here nothing is written then")
		}
		return
	}
	for _, s := range c.All("filegen") {
		if len(kinds) > 1 && s.Value("type") != rotate && kinds[s.Value("type")] {
			c.Record(s).Note(report.Approximated, "filegen-type", "", "all files are begun anew alike, by %s", rotate)
		}
		if len(links) > 1 && (s.Flag("link") || s.Flag("nolink")) {
			c.Record(s).Note(report.Approximated, "filegen-link", "", "all files have the plain name too, or none: link is %v", link)
		}
	}
	section := &c.Draft.Config.Statistics
	draft.Set(c.Draft, &section.Dir, job.Absolute(dir.Argument()), dir)
	draft.Set(c.Draft, &section.Files, files, lines...)
	draft.Set(c.Draft, &section.Rotate, rotate, c.All("filegen")...)
	draft.Set(c.Draft, &section.Link, link, c.All("filegen")...)
}
