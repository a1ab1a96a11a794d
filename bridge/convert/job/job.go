// Package job is the work on one configuration: what was read, the account of
// its lines, what the daemon does with it, and the configuration in the making.
// Readers (bridge/convert/ntpd, bridge/convert/chronyd) fill it, writers
// (bridge/convert/server, bridge/convert/client) write from it.
package job

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/convert/draft"
	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/restrict"
	"ntsbridge/bridge/convert/spell"
	"ntsbridge/bridge/convert/syntax"
)

// Daemon names the program whose configuration it is.
func (c *Job) Daemon() string {
	switch c.Dialect {
	case "ntpsec":
		return "ntpsec's ntpd"
	case "chrony":
		return "chronyd"
	}
	return "ntpd 4.2.8"
}

func (c *Job) StatementsOn(m syntax.Place) []*syntax.Statement { return c.byLine[m] }

// Index makes statements easy to find: hostile files have many.
func (c *Job) Index() {
	c.ByWord, c.byLine = make(map[string][]*syntax.Statement), make(map[syntax.Place][]*syntax.Statement)
	for _, s := range c.Parsed.Statements {
		c.ByWord[s.Word] = append(c.ByWord[s.Word], s)
		mark := s.Place()
		c.byLine[mark] = append(c.byLine[mark], s)
	}
}

// Job is the work on one configuration.
type Job struct {
	In      Input
	Opt     Options
	Dialect string
	Parsed  *syntax.Parsed
	Report  *report.Report
	Records map[syntax.Place]*report.Record
	Draft   *draft.Draft
	Secrets []Secret
	Ledger  Ledger
	Model   model
	Start   started

	ByWord map[string][]*syntax.Statement
	byLine map[syntax.Place][]*syntax.Statement

	Bad map[*syntax.Statement]bool // lines with which chronyd does not start
}

// Read is the Reader for files that the configuration names. A relative name
// is one of the directory in which ntpd is started, which is the root.
func (c *Job) Read(name string) ([]byte, error) {
	if c.In.Files == nil {
		return nil, syntax.ErrUnknownHost
	}
	data, err := fs.ReadFile(c.In.Files, Rooted(name))
	if err == nil && len(data) > syntax.MaxInputLen {
		return nil, syntax.ErrTooLong
	}
	return data, err
}

// Rooted turns a name on the host into one of Input.Files.
func Rooted(name string) string {
	clean := strings.TrimPrefix(path.Clean("/"+name), "/")
	if clean == "" {
		return "."
	}
	return clean
}

// SignSocket is the socket of Samba's ntp_signd in a directory.
func SignSocket(dir string) string { return path.Join(Absolute(dir), "socket") }

// Absolute returns a name as the daemon has it, whose directory is the root.
func Absolute(name string) string { return path.Clean("/" + name) }

// Record returns the record of a statement's line.
func (c *Job) Record(s *syntax.Statement) *report.Record {
	return c.Records[s.Place()]
}

// Text returns a statement's line as written.
func (c *Job) Text(s *syntax.Statement) string {
	return c.LineText(s.Place())
}

func (c *Job) LineText(m syntax.Place) string {
	lines := c.Parsed.Files[m.File].Lines
	if m.Line < 1 || m.Line > len(lines) {
		return ""
	}
	return lines[m.Line-1]
}

// Quote returns the original lines of a statement for a comment in the output.
func (c *Job) Quote(s *syntax.Statement) []string {
	f := c.Parsed.Files[s.File]
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
	return append(list, fmt.Sprintf("%s:%d: %s", spell.Printable(path.Base(f.Name)), s.Line,
		strings.TrimSpace(spell.Show(f.Lines[s.Line-1]))))
}

// All returns the statements of the given words in file order.
func (c *Job) All(words ...string) []*syntax.Statement {
	if len(words) == 1 {
		return c.ByWord[words[0]]
	}
	var list []*syntax.Statement
	for _, s := range c.Parsed.Statements {
		if slices.Contains(words, s.Word) && !c.Bad[s] {
			list = append(list, s)
		}
	}
	return list
}

// LastOf returns the last statement of a word, the one that counts, and notes
// on the others that it replaces them.
func (c *Job) LastOf(word string) *syntax.Statement {
	list := c.All(word)
	if len(list) == 0 {
		return nil
	}
	last := list[len(list)-1]
	for _, s := range list[:len(list)-1] {
		c.Record(s).Note(report.Folded, "overridden", "delete the line", "line %d has the same setting, and the last one counts", last.Line)
	}
	return last
}

// Disposition is what becomes of a word whatever its value.
type Disposition struct {
	Class    report.Class
	Code     string
	Text, Do string
}

func (c *Job) Apply(r *report.Record, d Disposition) {
	if d.Text == "" {
		r.Raise(d.Class)
		return
	}
	r.Note(d.Class, d.Code, d.Do, "%s", d.Text)
}

// Overridden notes a setting that a later line replaces.
func (c *Job) Overridden(s *syntax.Statement) bool {
	list := c.All(s.Word)
	last := list[len(list)-1]
	if s == last {
		return false
	}
	c.Record(s).Note(report.Folded, "overridden", "delete the line", "line %d has the same setting, and the last one counts", last.Line)
	return true
}

// Directory reports whether a name of the host is known to be a directory.
func (c *Job) Directory(name string) bool {
	if c.In.Files == nil {
		return false
	}
	f, err := c.In.Files.Open(Rooted(name))
	if err != nil {
		return false
	}
	defer f.Close()
	info, err := f.Stat()
	return err == nil && info.IsDir()
}

// Aeads reads the name of an algorithm, of ntpsec, or numbers, of chronyd.
func (c *Job) Aeads(r *report.Record, names ...string) (list []config.AEAD) {
	for _, name := range names {
		var id config.AEAD
		if id.UnmarshalText([]byte(name)) == nil {
			list = append(list, id)
		} else {
			r.Note(report.Unsupported, "nts-aead", "", "algorithm %s is not offered", spell.Printable(name))
		}
	}
	return list
}

// Resolve returns the addresses of a name, as far as they were given.
func (c *Job) Resolve(name string) (list []netip.Addr) {
	if a, ok := c.Opt.Addresses[name]; ok {
		return a
	}
	if strings.EqualFold(name, "localhost") {
		return []netip.Addr{restrict.Local4, restrict.Local6}
	}
	return nil
}

// Missing reports whether a file of the host is known not to be there.
func (c *Job) Missing(name string) bool {
	if c.In.Files == nil {
		return false
	}
	_, err := fs.Stat(c.In.Files, Rooted(name))
	return errors.Is(err, fs.ErrNotExist)
}

// Smear writes how a leap second is smeared: by half a wave of the cosine.
func (c *Job) Smear(length time.Duration, placement string, line *syntax.Statement) {
	leap := &c.Clock().Leap
	draft.Set(c.Draft, &leap.Smear, length, line)
	draft.Set(c.Draft, &leap.Shape, config.ShapeCosine)
	draft.Set(c.Draft, &leap.Placement, placement)
}

// Differences tells where the rules do not mean what the list meant.
func (c *Job) Differences() {
	d := c.Report.Access.Differences
	if len(d) == 0 {
		return
	}
	class, what := report.Approximated, "stricter"
	for i := range d {
		if d[i].Laxer {
			class, what = report.Dangerous, "less strict"
		}
	}
	c.Report.Note(class, "access-differs", "read the list of differences",
		"the access rules are %s than the restrict lines for some addresses, such as %s: %s before, %s now", what, d[0].Address, d[0].Old,
		d[0].New)
}

// Became notes on lines where they went, if that is no option of their own.
func (c *Job) Became(place string, lines ...*syntax.Statement) {
	for _, s := range lines {
		c.Record(s).Into(place)
	}
}

func LimitName(kod bool) string {
	if kod {
		return "limited-kod"
	}
	return "limited"
}

// Everywhere are the wildcard addresses with a port.
func Everywhere(port uint16) []netip.AddrPort {
	return []netip.AddrPort{netip.AddrPortFrom(restrict.Any6, port), netip.AddrPortFrom(restrict.Any4, port)}
}

// Seconds are a duration, put into a range.
func Seconds(v, from, upTo float64) time.Duration {
	return time.Duration(Within(v, from, upTo)*1e9 + 0.5)
}

// Within puts a number into a range; what is no number becomes its begin.
func Within(v, from, upTo float64) float64 {
	if !(v >= from) {
		v = from
	}
	return min(v, upTo)
}

// Bounded is Within for a value of a line, whose report says so if it is put
// to a bound.
func (c *Job) Bounded(s *syntax.Statement, name string, v, from, upTo float64) float64 {
	to := Within(v, from, upTo)
	if s != nil && to != v {
		c.Record(s).Note(report.Approximated, "range", "", "%s is put to %s: here it may be from %s to %s", name, number(to), number(from),
			number(upTo))
	}
	return to
}

// BoundedSeconds is Seconds for a value of a line.
func (c *Job) BoundedSeconds(s *syntax.Statement, name string, v, from, upTo float64) time.Duration {
	return time.Duration(c.Bounded(s, name, v, from, upTo)*1e9 + 0.5)
}

// number writes a bound as people do.
func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

// Longest is the largest duration that the output takes, s.
const Longest = 240000 * 3600

func One(s *syntax.Statement) []*syntax.Statement {
	if s == nil {
		return nil
	}
	return []*syntax.Statement{s}
}

// Clock are the options of the section clock.
func (c *Job) Clock() *config.Clock { return &c.Draft.Config.Clock }
