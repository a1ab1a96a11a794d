package convert

import (
	"path"
	"strings"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/convert/chronyd"
	"ntsbridge/bridge/convert/client"
	"ntsbridge/bridge/convert/dialect"
	"ntsbridge/bridge/convert/draft"
	"ntsbridge/bridge/convert/job"
	"ntsbridge/bridge/convert/ntpd"
	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/restrict"
	"ntsbridge/bridge/convert/server"
	"ntsbridge/bridge/convert/spell"
	"ntsbridge/bridge/convert/syntax"
)

// The words of bridge/convert/job that callers need.
type (
	Input         = job.Input
	Options       = job.Options
	ClientOptions = job.ClientOptions
	Secret        = job.Secret
	Lost          = job.Lost
)

// The answers to questions.
const (
	LostStop     = job.LostStop
	LostRunning  = job.LostRunning
	LostIntended = job.LostIntended
)

// ClientFormats are the values of ClientOptions.Format.
var ClientFormats = job.ClientFormats

// Result is what came out. Output is nil if the report has questions or the
// input was rejected.
type Result struct {
	Report  *report.Report
	Output  []byte
	Secrets []Secret
	// Config is the output as the server reads it; nil for clients' formats.
	Config *config.Config

	restricts *restrict.List // what the daemon's access lists meant
}

// Convert converts one configuration. It never fails: what is wrong is in the
// report.
func Convert(in Input, opt Options) *Result {
	c := &job.Job{In: in, Opt: opt, Report: &report.Report{Input: in.Name, Output: "ntsbridge", Lines: []*report.Record{},
		Findings: []report.Finding{}}, Draft: draft.New()}
	if opt.Client != nil {
		c.Report.Output = opt.Client.Format
	}
	if err := syntax.CheckLength(in.Data); err != nil {
		c.Report.Note(report.Error, "too-long", "", "%v", err)
		return finish(c, nil)
	}
	c.Dialect = opt.Dialect
	if c.Dialect == "" || c.Dialect == "auto" {
		guess := named(dialect.Detect(in.Data), in)
		c.Dialect = guess.Dialect
		if guess.Why != "" {
			c.Report.Note(guess.Class, guess.Code, guess.Do, "%s", guess.Why)
		}
	}
	c.Report.Dialect = c.Dialect
	switch c.Dialect {
	case "ntp", "ntpsec":
		if !ntpd.Read(c) {
			return finish(c, nil)
		}
	case "chrony":
		chronyd.Read(c)
	default:
		allLines(c, syntax.SplitLines(in.Data))
		return finish(c, nil)
	}
	if opt.Client != nil {
		return finish(c, client.Write(c))
	}
	return finish(c, server.Write(c))
}

// named improves a guess by the name of the file.
func named(g dialect.Guess, in Input) dialect.Guess {
	ofNTPsec := strings.Contains(in.Path, "/ntpsec/")
	switch {
	case g.Dialect == "ntpsec" && ofNTPsec:
		return dialect.Guess{Dialect: "ntpsec"} // it says so itself
	case g.Dialect == "ntp" && ofNTPsec:
		return dialect.Guess{Dialect: "ntpsec"}
	case g.Unsure && strings.Contains(in.Path+"/"+path.Base(in.Name), "chrony") && !strings.Contains(path.Base(in.Name), "ntp"):
		return dialect.Guess{Dialect: "chrony"}
	}
	return g
}

// allLines accounts for the lines of an input that is not converted.
func allLines(c *job.Job, lines []string) {
	for i, text := range lines {
		r := &report.Record{File: c.In.Name, Line: i + 1, Text: spell.Show(text), Class: report.Comment}
		if !spell.IsComment(text) {
			r.Note(report.Error, "not-converted", "", "the file is not converted")
		}
		c.Report.Lines = append(c.Report.Lines, r)
	}
}

// finish ends the work.
func finish(c *job.Job, output []byte) *Result {
	for _, r := range c.Report.Lines {
		switch {
		case r.Class != report.Comment:
		case len(r.Became) > 0:
			r.Class = report.Kept
		case c.Dialect != "chrony" && c.Parsed != nil && !spell.IsComment(c.Parsed.Files[r.Index].Lines[r.Line-1]):
			r.Note(report.Error, "not-a-command", "correct the lines above", "%s does not read this line as a command of its own",
				c.Daemon())
		}
	}
	if len(c.Report.Questions) > 0 {
		output = nil
	}
	if c.Parsed != nil {
		c.Report.Host = c.Host()
	}
	c.Report.Written = output != nil
	c.Report.Finish()
	res := &Result{Report: c.Report, Output: output, restricts: c.Model.Restricts}
	if output != nil {
		res.Secrets = c.Secrets
		if c.Opt.Client == nil {
			res.Config = c.Draft.Config
		}
	}
	return res
}
