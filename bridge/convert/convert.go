package convert

import (
	"bytes"
	"fmt"
	"io/fs"
	"net/netip"
	"ntsbridge/bridge/config"
	"ntsbridge/bridge/convert/draft"
	"ntsbridge/bridge/convert/ntpconf"
	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/restrict"
	"ntsbridge/bridge/convert/spell"
	"ntsbridge/bridge/convert/syntax"
	"path"
	"slices"
	"strings"
	"time"
)

// Input is a configuration and what lies around it.
type Input struct {
	Name string // for messages
	Data []byte
	// Files is the root directory of the host that the configuration is of: an
	// absolute name /etc/ntp.keys is asked for as etc/ntp.keys. nil: nothing of
	// the host is known, and what would be in its files is reported as unread.
	Files fs.FS
	// Path is the name of the configuration on its host, such as
	// /etc/ntpsec/ntp.conf; empty: unknown.
	Path string
}

// Lost says what to do about a line of which ntpd lost a word of security.
type Lost uint8

// The answers.
const (
	LostStop     Lost = iota // write nothing
	LostRunning              // convert what ntpd does
	LostIntended             // convert what was meant, if that can be told
)

// Options are the operator's decisions.
type Options struct {
	// Dialect is auto, ntp, ntpsec or chrony. Empty is auto.
	Dialect string
	// Decide answers questions; nil stops at every one.
	Decide func(report.Question) Lost
	// Addresses are what names of hosts and network interfaces stand for; the
	// name server is not asked.
	Addresses map[string][]netip.Addr
	// Hostname is the host's name, for Autokey's files; empty: unknown.
	Hostname string
	// KeysDir is the directory of Autokey's files that ntpd was compiled with.
	// Empty is /usr/local/etc.
	KeysDir string
	// DaemonOptions is the command line that the daemon is started with, such
	// as "-g". Empty: it is looked for among the files of the host.
	DaemonOptions string
	// PasswordFile is the name that the YAML gives the file with Autokey's
	// password. Required if there is one.
	PasswordFile string
	// NTSCert and NTSKey add NTS with this certificate; NTSSelfSigned with one
	// that is made on first start.
	NTSCert, NTSKey string
	NTSSelfSigned   bool
	// TakeoverUntil accepts the cookies of the ntpd that is replaced up to a
	// date; empty: clients of Autokey start anew.
	TakeoverUntil string
	// Now is for the validity of Autokey's certificates; zero: not judged.
	Now time.Time
	// Client asks for the configuration of a client instead.
	Client *ClientOptions
}

// Secret is content that goes into a file of its own, mode 0600.
type Secret struct {
	Name    string
	Content []byte
}

// String does not show the content.
func (s Secret) String() string { return s.Name }

// GoString is String.
func (s Secret) GoString() string { return s.Name }

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
	c := &conversion{in: in, opt: opt, report: &report.Report{Input: in.Name, Output: "ntsbridge", Lines: []*report.Record{}, Findings: []report.Finding{}}, draft: draft.New()}
	if opt.Client != nil {
		c.report.Output = opt.Client.Format
	}
	if err := syntax.CheckLength(in.Data); err != nil {
		c.report.Note(report.Error, "too-long", "", "%v", err)
		return c.result(nil)
	}
	c.dialect = opt.Dialect
	if c.dialect == "" || c.dialect == "auto" {
		guess := named(DetectDialect(in.Data), in)
		c.dialect = guess.Dialect
		if guess.Why != "" {
			c.report.Note(guess.Class, guess.Code, guess.Do, "%s", guess.Why)
		}
	}
	c.report.Dialect = c.dialect
	switch c.dialect {
	case "ntp", "ntpsec":
		return c.ntp()
	case "chrony":
		return c.chrony()
	}
	c.allLines(syntax.SplitLines(in.Data))
	return c.result(nil)
}

// named improves a guess by the name of the file.
func named(g Guess, in Input) Guess {
	ofNTPsec := strings.Contains(in.Path, "/ntpsec/")
	switch {
	case g.Dialect == "ntpsec" && ofNTPsec:
		return Guess{Dialect: "ntpsec"} // it says so itself
	case g.Dialect == "ntp" && ofNTPsec:
		return Guess{Dialect: "ntpsec"}
	case g.Unsure && strings.Contains(in.Path+"/"+path.Base(in.Name), "chrony") && !strings.Contains(path.Base(in.Name), "ntp"):
		return Guess{Dialect: "chrony"}
	}
	return g
}

// conversion is the work on one configuration.
type conversion struct {
	in      Input
	opt     Options
	dialect string
	parsed  *syntax.Parsed
	report  *report.Report
	records map[syntax.Place]*report.Record
	draft   *draft.Draft
	secrets []Secret
	model   model
	start   started

	byWord map[string][]*syntax.Statement
	byLine map[syntax.Place][]*syntax.Statement

	sourceNames, disabledWords, exceptions map[string]bool            // on first use
	bad                                    map[*syntax.Statement]bool // lines with which chronyd does not start
}

// allLines accounts for the lines of an input that is not converted.
func (c *conversion) allLines(lines []string) {
	for i, text := range lines {
		r := &report.Record{File: c.in.Name, Line: i + 1, Text: spell.Show(text), Class: report.Comment}
		if !spell.IsComment(text) {
			r.Note(report.Error, "not-converted", "", "the file is not converted")
		}
		c.report.Lines = append(c.report.Lines, r)
	}
}

// read is the Reader for files that the configuration names. A relative name
// is one of the directory in which ntpd is started, which is the root.
func (c *conversion) read(name string) ([]byte, error) {
	if c.in.Files == nil {
		return nil, syntax.ErrUnknownHost
	}
	data, err := fs.ReadFile(c.in.Files, rooted(name))
	if err == nil && len(data) > syntax.MaxInputLen {
		return nil, syntax.ErrTooLong
	}
	return data, err
}

// rooted turns a name on the host into one of Input.Files.
func rooted(name string) string {
	clean := strings.TrimPrefix(path.Clean("/"+name), "/")
	if clean == "" {
		return "."
	}
	return clean
}

// absolute returns a name as the daemon has it, whose directory is the root.
func absolute(name string) string { return path.Clean("/" + name) }

// ntp converts an ntp.conf.
func (c *conversion) ntp() *Result {
	c.parse(nil)
	if c.parsed.Fatal != "" {
		c.account()
		c.report.Note(report.Error, "fatal", "correct the line; ntpd does not start with it", "ntpd exits while it reads this file: %s", c.parsed.Fatal)
		return c.result(nil)
	}
	if c.opt.Client != nil {
		// Whatever was lost: the output serves nobody, and authenticates.
		c.account()
		c.buildClient()
		return c.client()
	}
	if fixes := c.decide(); len(fixes) > 0 {
		c.parse(fixes)
	}
	c.account()
	for _, s := range c.parsed.Statements {
		if fixed, ok := c.model.fixed[s.Place()]; ok {
			c.record(s).Did = fixed
		}
	}
	c.build()
	c.emit()
	return c.result(c.render())
}

// parse reads the configuration, with some lines replaced.
func (c *conversion) parse(fixes map[syntax.Place]string) {
	original := c.parsed
	read := c.read
	data := c.in.Data
	if len(fixes) > 0 {
		files := 0
		data = replaceLines(data, fixes, 0)
		read = func(name string) ([]byte, error) {
			content, err := c.read(name)
			if err == nil {
				files++
				content = replaceLines(content, fixes, files)
			}
			return content, err
		}
	}
	switch c.dialect {
	case "ntpsec":
		c.parsed = ntpconf.ParseNTPsec(c.in.Name, data, read, c.ntpsecFiles)
	default:
		c.parsed = ntpconf.Parse(c.in.Name, data, read)
	}
	if original != nil && len(original.Files) == len(c.parsed.Files) {
		c.parsed.Files = original.Files // as written
	}
	c.index()
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

// record returns the record of a statement's line.
func (c *conversion) record(s *syntax.Statement) *report.Record {
	return c.records[s.Place()]
}

// text returns a statement's line as written.
func (c *conversion) text(s *syntax.Statement) string {
	return c.lineText(s.Place())
}

func (c *conversion) lineText(m syntax.Place) string {
	lines := c.parsed.Files[m.File].Lines
	if m.Line < 1 || m.Line > len(lines) {
		return ""
	}
	return lines[m.Line-1]
}

// result ends the work.
func (c *conversion) result(output []byte) *Result {
	for _, r := range c.report.Lines {
		switch {
		case r.Class != report.Comment:
		case len(r.Became) > 0:
			r.Class = report.Kept
		case c.dialect != "chrony" && c.parsed != nil && !spell.IsComment(c.parsed.Files[r.Index].Lines[r.Line-1]):
			r.Note(report.Error, "not-a-command", "correct the lines above", "%s does not read this line as a command of its own", c.daemon())
		}
	}
	if len(c.report.Questions) > 0 {
		output = nil
	}
	c.report.Written = output != nil
	c.report.Finish()
	res := &Result{Report: c.report, Output: output, restricts: c.model.restricts}
	if output != nil {
		res.Secrets = c.secrets
		if c.opt.Client == nil {
			res.Config = c.draft.Config
		}
	}
	return res
}

// quote returns the original lines of a statement for a comment in the output.
func (c *conversion) quote(s *syntax.Statement) []string {
	f := c.parsed.Files[s.File]
	var list []string
	begin := s.Line - 1
	for begin > 0 && s.Line-begin < 4 {
		above := strings.TrimSpace(f.Lines[begin-1])
		if !strings.HasPrefix(above, "#") || strings.Trim(above, "#-= \t") == "" {
			break
		}
		begin--
	}
	for i := begin; i < s.Line-1; i++ {
		list = append(list, strings.TrimSpace(strings.TrimLeft(spell.Show(f.Lines[i]), " \t#")))
	}
	return append(list, fmt.Sprintf("%s:%d: %s", spell.Printable(path.Base(f.Name)), s.Line, strings.TrimSpace(spell.Show(f.Lines[s.Line-1]))))
}

// render writes the YAML, and proves that the server will read from it what
// was meant.
func (c *conversion) render() []byte {
	c.draft.Finish()
	c.draft.Places(func(path string, lines []*syntax.Statement) { c.became(path, lines...) })
	var out bytes.Buffer
	fmt.Fprintf(&out, "# ntsbridge, converted from %s (%s).\n", spell.Printable(c.in.Name), c.daemon())
	fmt.Fprintf(&out, "# Each setting stands below the line that it comes from; the report says what became of the others.\n")
	text, err := c.draft.YAML(c.quote)
	if err == nil {
		out.Write(text)
		err = c.prove(out.Bytes())
	}
	if err != nil {
		c.report.Note(report.Error, "mistake", "report it, with the input", "%v, and nothing is written; this is a mistake of ntsbridge", err)
		return nil
	}
	return out.Bytes()
}

// all returns the statements of the given words in file order.
func (c *conversion) all(words ...string) []*syntax.Statement {
	if len(words) == 1 {
		return c.byWord[words[0]]
	}
	var list []*syntax.Statement
	for _, s := range c.parsed.Statements {
		if slices.Contains(words, s.Word) && !c.bad[s] {
			list = append(list, s)
		}
	}
	return list
}

// lastOf returns the last statement of a word, the one that counts, and notes
// on the others that it replaces them.
func (c *conversion) lastOf(word string) *syntax.Statement {
	list := c.all(word)
	if len(list) == 0 {
		return nil
	}
	last := list[len(list)-1]
	for _, s := range list[:len(list)-1] {
		c.record(s).Note(report.Folded, "overridden", "delete the line", "line %d has the same setting, and the last one counts", last.Line)
	}
	return last
}
