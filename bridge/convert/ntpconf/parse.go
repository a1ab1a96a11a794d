// Package ntpconf reads ntp.conf as ntpd 4.2.8p15 does, and as ntpsec 1.2 does:
// the grammar of the daemon, errors included, so that of a line which the daemon
// understands in part the same part is kept. What the statements mean is worked
// out elsewhere.
package ntpconf

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"ntsbridge/bridge/convert/syntax"
)

// parser is a parser of ntp.conf with the behaviour of the one that bison made
// for ntpd: what was complete before a wrong word is kept, and it goes on with
// the next line.
type parser struct {
	scanner
	grammar  *grammar
	read     syntax.Reader
	result   *syntax.Parsed
	ahead    token // valid if has
	has      bool
	quiet    int // tokens until errors are told again, as in bison
	place    syntax.Place
	total    int // octets
	lines    int
	includes int
}

// grammar is a dialect of ntp.conf.
type grammar struct {
	keywords    map[string]follow
	directives  map[string]func(p *parser, word string) bool
	association option
	// leastPoll is the shortest interval, log2 s; 0 but for ntpd.
	leastPoll int32
	// files returns the files *.conf of a directory, and what a name stands
	// for that another file names; nil: there are no directories, and names are
	// those of the working directory.
	files func(name, by string) (resolved string, inside []string)
}

func parse(g *grammar, name string, data []byte, read syntax.Reader) *syntax.Parsed {
	p := &parser{grammar: g, read: read, result: &syntax.Parsed{}}
	p.keywords = g.keywords
	if err := syntax.CheckLength(data); err != nil {
		p.result.Fatal = err.Error()
		return p.result
	}
	p.push(name, data, -1, 0)
	if g.files != nil {
		if _, beside := g.files("ntp.d", name); beside != nil { // as ntpsec has it
			p.file().after = func() { p.includeAll(beside, syntax.Place{}) }
		}
	}
	p.run()
	return p.result
}

// push makes a file the one that is read.
func (p *parser) push(name string, data []byte, by, byLine int) {
	p.result.Files = append(p.result.Files, syntax.File{Name: name, By: by, ByLine: byLine, Lines: syntax.SplitLines(data)})
	p.stack = append(p.stack, &inputFile{index: len(p.result.Files) - 1, data: data, back: none, line: 1})
	p.total += len(data)
	p.lines += bytes.Count(data, []byte{'\n'}) + 1
}

func (p *parser) run() {
	defer func() {
		switch e := recover().(type) {
		case nil:
		case *fatalError:
			p.result.Fatal = e.Error()
			p.result.Ends = &syntax.End{File: p.file().index, Line: e.line, Text: e.text}
		default:
			panic(e)
		}
	}()
	for p.command() {
	}
}

// peek returns the next token without taking it.
func (p *parser) peek() token {
	if !p.has {
		p.ahead, p.has = p.next(), true
	}
	return p.ahead
}

// take takes the next token; the parser has a place for it.
func (p *parser) take() token {
	t := p.peek()
	p.has = false
	if p.quiet > 0 {
		p.quiet--
	}
	return t
}

// command reads one command and its end; it reports false at the end of all.
func (p *parser) command() bool {
	f := p.file()
	p.place = syntax.Place{File: f.index, Line: f.line}
	t := p.peek()
	if t.kind == tokenEnd {
		p.stopped(f)
		return false
	}
	if t.kind != tokenEOC {
		// The word may stand behind lines that ended an inclusion.
		f = p.file()
		p.place = syntax.Place{File: f.index, Line: t.line}
		if !p.directive() {
			return p.recover()
		}
	}
	if p.peek().kind != tokenEOC {
		return p.recover()
	}
	p.take()
	return true
}

// stopped notes where reading ended if that is not the end of the file.
func (p *parser) stopped(f *inputFile) {
	if f.off < len(f.data) && p.result.Ends == nil {
		p.result.Ends = &syntax.End{File: f.index, Line: f.line,
			Text: "a NUL character: ntpd ignores everything after it, without a message"}
	}
}

// recover reports a syntax error at the next token and skips the line.
func (p *parser) recover() bool {
	f := p.file()
	told := p.quiet == 0
	if told {
		f.errorLine, f.errorCol = f.tokenLine, f.tokenCol
	}
	d := syntax.Diagnostic{File: p.place.File, At: p.place.Line, Line: f.errorLine, Column: f.errorCol, Syntax: true, Repeat: !told,
		Text: "syntax error, unexpected " + p.peek().name()}
	p.lose(f)
	p.quiet = 3
	for p.peek().kind != tokenEOC {
		if p.peek().kind == tokenEnd {
			if told {
				p.result.Diagnostics = append(p.result.Diagnostics, d)
			}
			p.stopped(f)
			return false
		}
		p.has = false
	}
	p.result.Diagnostics = append(p.result.Diagnostics, d)
	p.take()
	return true
}

// lose notes what ntpd did not read of the line for the last statement on it.
func (p *parser) lose(f *inputFile) {
	n := len(p.result.Statements)
	if n == 0 {
		return
	}
	s := p.result.Statements[n-1]
	if s.File != f.index || s.Line != f.tokenLine || s.File != p.place.File || s.Line != p.place.Line {
		return
	}
	lines := p.result.Files[s.File].Lines
	if s.Line <= len(lines) && f.tokenCol < len(lines[s.Line-1]) {
		s.Lost = strings.TrimSpace(lines[s.Line-1][f.tokenCol:])
	}
}

// keep adds a statement.
func (p *parser) keep(s *syntax.Statement) *syntax.Statement {
	s.File, s.Line = p.place.File, p.place.Line
	p.result.Statements = append(p.result.Statements, s)
	return s
}

// say adds one of ntpd's remarks about a value.
func (p *parser) say(format string, args ...any) {
	f := p.file()
	p.result.Diagnostics = append(p.result.Diagnostics, syntax.Diagnostic{
		File: p.place.File, Line: p.place.Line, At: p.place.Line, Column: f.tokenCol, Text: fmt.Sprintf(format, args...),
	})
}

// keyword takes the next token if it is one of the given words.
func (p *parser) keyword(words string) (string, bool) {
	t := p.peek()
	if t.kind != tokenKeyword || !slices.Contains(FieldsOf(words), t.text) {
		return "", false
	}
	p.take()
	return t.text, true
}

// special takes the next token if it is the given character.
func (p *parser) special(c string) bool {
	if t := p.peek(); t.kind != tokenSpecial || t.text != c {
		return false
	}
	p.take()
	return true
}

// value takes a value of one of the types; ok is false if there is none.
func (p *parser) value(kinds ...tokenKind) (syntax.Option, bool) {
	t := p.peek()
	if !slices.Contains(kinds, t.kind) {
		return syntax.Option{}, false
	}
	p.take()
	o := syntax.Option{Text: t.text}
	switch t.kind {
	case tokenInteger:
		o.Kind, o.Int = syntax.ValueInt, int64(t.integer)
	case tokenUint:
		o.Kind, o.Int = syntax.ValueInt, int64(uint32(t.integer))
	case tokenDouble:
		o.Kind, o.Double = syntax.ValueDouble, t.double
	case tokenString:
		o.Kind = syntax.ValueString
	}
	return o, true
}

// include reads a file in place of its name or, with some daemons, the files
// of a directory.
func (p *parser) include(name string) {
	if p.grammar.files == nil {
		p.includeOne(name, p.place)
		return
	}
	resolved, inside := p.grammar.files(name, p.result.Files[p.place.File].Name)
	if inside == nil {
		p.includeOne(resolved, p.place)
		return
	}
	p.includeAll(inside, p.place)
}

// includeAll reads files one after the other.
func (p *parser) includeAll(names []string, by syntax.Place) {
	for i, name := range names {
		if p.includeOne(name, by) {
			if rest := names[i+1:]; len(rest) > 0 {
				p.file().after = func() { p.includeAll(rest, by) }
			}
			return
		}
	}
}

// includeOne makes a file the one that is read; it reports false if it
// cannot be.
func (p *parser) includeOne(name string, by syntax.Place) bool {
	missing := syntax.Missing{Name: name, File: by.File, Line: by.Line}
	switch {
	case len(p.stack) > syntax.MaxIncludeDepth:
		missing.TooDeep = true
		missing.Err = fmt.Errorf("included files are %d deep", syntax.MaxIncludeDepth)
	case p.includes >= syntax.MaxFiles:
		missing.Err = fmt.Errorf("with more than %d files: %w", syntax.MaxFiles, syntax.ErrTooLong)
	default:
		p.includes++
		data, err := p.read(name)
		if err == nil && (p.total+len(data) > syntax.MaxInputLen || p.lines+bytes.Count(data, []byte{'\n'}) >= syntax.MaxInputLines) {
			err = fmt.Errorf("with it: %w", syntax.ErrTooLong)
		}
		if err == nil {
			p.push(name, data, by.File, by.Line)
			return true
		}
		missing.Err = err
	}
	p.result.Unread = append(p.result.Unread, missing)
	return false
}

// directive reads one command up to the first word that cannot continue it. It
// reports false if nothing complete was there.
func (p *parser) directive() bool {
	t := p.peek()
	read := p.grammar.directives[t.text]
	if t.kind != tokenKeyword || read == nil {
		return false
	}
	p.take()
	return read(p, t.text)
}
