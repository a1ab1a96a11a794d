package client

import (
	"slices"
	"strings"

	"ntsbridge/bridge/convert/job"
	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/spell"
	"ntsbridge/bridge/convert/syntax"
)

// chronyLogs are chronyd's files that have what ntpd's have.
var chronyLogs = map[string]string{"loopstats": "tracking", "peerstats": "statistics", "rawstats": "rawmeasurements",
	"clockstats": "refclocks"}

// ntpsecLacks are ntpd's files with statistics that ntpsec does not write.
var ntpsecLacks = []string{"cryptostats", "timingstats"}

// asked returns the names of the files with statistics that ntpd was asked for,
// and the lines that say so.
func (c *writer) asked() (files []string, from []*syntax.Statement) {
	for _, s := range c.All("statistics", "filegen") {
		names := job.NamedWords(s)
		if s.Word == "filegen" {
			if names = nil; s.Flag("enable") {
				names = []string{s.Address}
			}
			if s.Flag("disable") {
				files = slices.DeleteFunc(files, func(f string) bool { return f == s.Address })
			}
		}
		for _, name := range names {
			if !slices.Contains(files, name) {
				files = append(files, name)
			}
		}
		from = append(from, s)
	}
	if slices.ContainsFunc(c.All("disable"), func(s *syntax.Statement) bool { return s.Flag("stats") }) {
		return nil, nil // ntpd wrote none
	}
	return files, from
}

// putChronyLogs writes which of chronyd's files have what ntpd's had.
func (c *writer) putChronyLogs(t *clientText) {
	dir := c.LastOf("statsdir")
	files, from := c.asked()
	var logs []string
	for _, name := range files {
		if log := chronyLogs[name]; log != "" {
			logs = append(logs, log)
		}
	}
	if dir == nil || len(logs) == 0 || !spell.PlainPath(dir.Argument()) {
		return
	}
	for _, s := range from {
		c.Record(s).Note(report.Approximated, "client-logs", "see that whoever reads these files can read chronyd's",
			"chronyd writes %s.log in place of %s, with columns of their own", strings.Join(logs, ".log, "), strings.Join(files, ", "))
	}
	t.put(append(job.One(dir), from...), "log", "logdir "+job.Absolute(dir.Argument()), "log "+strings.Join(logs, " "))
}

// putStatistics writes ntpd's lines about statistics for ntpsec's.
func (c *writer) putStatistics(t *clientText) {
	dir := c.LastOf("statsdir")
	files, from := c.asked()
	lost := slices.DeleteFunc(slices.Clone(files), func(f string) bool { return !slices.Contains(ntpsecLacks, f) })
	files = slices.DeleteFunc(files, func(f string) bool { return slices.Contains(ntpsecLacks, f) })
	if dir == nil || len(files) == 0 || !spell.PlainPath(dir.Argument()) {
		return
	}
	lines := []string{"statsdir " + strings.TrimSuffix(job.Absolute(dir.Argument()), "/") + "/", "statistics " + strings.Join(files, " ")}
	for _, s := range from {
		if len(lost) > 0 {
			c.Record(s).Note(report.Unsupported, "client-logs", "", "ntpsec has no %s", strings.Join(lost, ", "))
		}
		if line, ok := filegen(s); ok && slices.Contains(files, s.Address) {
			lines = append(lines, line)
		}
		c.Ledger.Use(s, c.Words(s)...)
	}
	t.put(append(job.One(dir), from...), "statistics", lines...)
}

// filegen writes a line of its kind as it was kept.
func filegen(s *syntax.Statement) (line string, ok bool) {
	line = "filegen " + s.Address
	for _, o := range s.Options {
		switch {
		case o.Text == "":
			line += " " + o.Name
		case o.Name == "type" || spell.PlainName(o.Text):
			line += " " + o.Name + " " + o.Text
		}
	}
	return line, s.Word == "filegen"
}

// putDSCP writes the mark of packets.
func (c *writer) putDSCP(t *clientText) {
	s := c.LastOf("dscp")
	if s == nil {
		return
	}
	if text := s.Argument(); len(text) <= 2 && spell.All(text, spell.IsDigit) && text <= "63" {
		t.put(job.One(s), "dscp", "dscp "+text)
	}
}
