// Package ntpd works out what ntpd 4.2.8p15, and the one of ntpsec 1.2, does with
// a configuration that bridge/convert/ntpconf has read: in which order settings
// take effect, which lines it drops when it runs, and what its words stand for.
//
// What one line does may depend on any other: a restriction drops a source, a
// source answers a question about a key.
package ntpd

import (
	"strings"

	"ntsbridge/bridge/convert/job"
	"ntsbridge/bridge/convert/ntpconf"
	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/syntax"
)

// Read works out what ntpd, or ntpsec's, does with a configuration. It reports
// false if nothing can be made of it.
func Read(work *job.Job) bool {
	c := &reader{Job: work}
	c.CommandLine()
	c.fromDHCP()
	c.parse(nil)
	if c.Parsed.Fatal != "" {
		c.Account(c.syntaxError)
		c.Report.Note(report.Error, "fatal", "correct the line; ntpd does not start with it", "ntpd exits while it reads this file: %s",
			c.Parsed.Fatal)
		return false
	}
	if c.Opt.Client != nil {
		// Whatever was lost: the output serves nobody, and authenticates.
		c.Account(c.syntaxError)
		c.buildClient()
		return true
	}
	if fixes := c.decide(); len(fixes) > 0 {
		c.parse(fixes)
	}
	c.Account(c.syntaxError)
	for mark, fixed := range c.fixed {
		r := c.Records[mark]
		if r.Did = fixed; len(c.StatementsOn(mark)) == 0 {
			r.Note(report.Folded, "decided", "delete the line", "%s", fixed)
		}
	}
	c.tellNumbers()
	c.build()
	return true
}

// fromDHCP tells of the file that Debian's start script takes in place of
// /etc/ntp.conf, with the servers that DHCP named.
func (c *reader) fromDHCP() {
	for _, name := range []string{"/run/ntp.conf.dhcp", "/var/lib/ntp/ntp.conf.dhcp"} {
		if c.In.Files != nil && c.In.Path == "/etc/ntp.conf" && !c.Missing(name) {
			c.Report.Note(report.Dangerous, "dhcp", "convert "+name+" instead", "%s is there: ntpd runs with it, and not with this file",
				name)
		}
	}
}

// parse reads the configuration, with some lines replaced.
func (c *reader) parse(fixes map[syntax.Place]string) {
	original := c.Parsed
	read := c.Read
	data := c.In.Data
	if len(fixes) > 0 {
		files := 0
		data = replaceLines(data, fixes, 0)
		read = func(name string) ([]byte, error) {
			content, err := c.Read(name)
			if err == nil {
				files++
				content = replaceLines(content, fixes, files)
			}
			return content, err
		}
	}
	switch c.Dialect {
	case "ntpsec":
		c.Parsed = ntpconf.ParseNTPsec(c.In.Name, data, read, c.ntpsecFiles)
	default:
		c.Parsed = ntpconf.Parse(c.In.Name, data, read)
	}
	if original != nil && len(original.Files) == len(c.Parsed.Files)+c.startFiles() {
		c.Parsed.Files = original.Files[:len(c.Parsed.Files)] // as written
	}
	c.addStart()
	c.readNumbers()
	c.Index()
}

// replaceLines puts other lines in place of those of a file.
func replaceLines(data []byte, fixes map[syntax.Place]string, file int) []byte {
	lines := strings.Split(string(data), "\n")
	for mark, text := range fixes {
		if mark.File == file && mark.Line <= len(lines) {
			lines[mark.Line-1] = text
		}
	}
	return []byte(strings.Join(lines, "\n"))
}

// buildClient works out what of the effective configuration a client needs.
func (c *reader) buildClient() {
	c.Quietly(c.buildRestricts) // whom the host serves, how often, and with what
	c.Quietly(c.buildLimits)
	c.Quietly(c.buildListen)
	c.buildOrphan()
	c.buildKeys()
	c.buildSources()
}

// startFiles is how many files of the host have settings of the command line.
func (c *reader) startFiles() int {
	seen := make(map[string]bool)
	for _, setting := range c.Start.Settings {
		seen[setting.Where] = true
	}
	return len(seen)
}

// addStart puts the settings of the command line in front of those of the file,
// which go before them: each has a line of its own in the account, below the
// file that has it.
func (c *reader) addStart() {
	files := make(map[string]int)
	var statements []*syntax.Statement
	for _, setting := range c.Start.Settings {
		at, ok := files[setting.Where]
		if !ok {
			at = len(c.Parsed.Files)
			files[setting.Where] = at
			c.Parsed.Files = append(c.Parsed.Files, syntax.File{Name: setting.Where, By: -1})
		}
		f := &c.Parsed.Files[at]
		f.Lines = append(f.Lines, "ntpd "+setting.Written)
		for _, s := range ntpconf.Parse("", []byte(setting.Line+"\n"), syntax.NoFiles).Statements {
			s.File, s.Line = at, len(f.Lines)
			statements = append(statements, s)
		}
	}
	c.Parsed.Statements = append(statements, c.Parsed.Statements...)
}
