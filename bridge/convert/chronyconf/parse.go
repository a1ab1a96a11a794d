// Package chronyconf reads chrony.conf as chronyd 4.6 does: a directive per
// line, its words separated by blanks, comments on lines of their own. What the
// statements mean is worked out elsewhere.
package chronyconf

import (
	"io/fs"
	"ntsbridge/bridge/convert/spell"
	"ntsbridge/bridge/convert/syntax"
	"path"
	"slices"
	"strings"
)

// maxDepth is how deep chronyd includes.
const maxDepth = 10

// parser reads a command per line, its words separated by blanks,
// comments only on lines of their own.
type parser struct {
	result *syntax.Parsed
	files  fs.FS // of the host; nil: not at hand
	read   syntax.Reader
}

// Parse reads a chrony.conf and what it includes: files are the host's.
func Parse(name string, data []byte, files fs.FS, read syntax.Reader) *syntax.Parsed {
	p := &parser{result: &syntax.Parsed{}, files: files, read: read}
	p.file(name, data, -1, 0, 0)
	return p.result
}

// otherDirectives are the directives whose arguments are looked at where their
// meaning is worked out, and those of older releases.
var otherDirectives = strings.Fields("server pool peer refclock commandkey generatecommandkey linux_hz linux_freq_scale opencommands")

// Known reports whether a word, in lower case, is a directive of chronyd.
func Known(word string) bool {
	_, ok := arguments[word]
	return ok || slices.Contains(otherDirectives, word)
}

func (p *parser) file(name string, data []byte, by, byLine, depth int) {
	lines := syntax.SplitLines(data)
	index := len(p.result.Files)
	p.result.Files = append(p.result.Files, syntax.File{Name: name, By: by, ByLine: byLine, Lines: lines})
	for i, line := range lines {
		list := strings.Fields(line)
		if len(list) == 0 || strings.IndexByte("!;#%", list[0][0]) >= 0 {
			continue
		}
		s := &syntax.Statement{Word: spell.AsciiLower(list[0]), File: index, Line: i + 1}
		for _, w := range list[1:] {
			s.Options = append(s.Options, syntax.Option{Kind: syntax.ValueString, Text: w})
		}
		if !Known(s.Word) {
			p.result.Diagnostics = append(p.result.Diagnostics, syntax.Diagnostic{File: index, Line: i + 1, At: i + 1, Syntax: true,
				Text: "syntax error, unexpected " + spell.Show(list[0])})
			continue
		}
		p.result.Statements = append(p.result.Statements, s)
		p.include(s, depth)
	}
}

// include reads the files of include, confdir and sourcedir.
func (p *parser) include(s *syntax.Statement, depth int) {
	var patterns []string
	switch s.Word {
	case "include":
		patterns = []string{s.Argument()}
	case "confdir", "sourcedir":
		ext := map[string]string{"confdir": "/*.conf", "sourcedir": "/*.sources"}[s.Word]
		for _, o := range s.Options {
			patterns = append(patterns, o.Text+ext)
		}
	default:
		return
	}
	missing := syntax.Missing{Name: strings.Join(patterns, " "), File: s.File, Line: s.Line}
	if p.files == nil || depth >= maxDepth || len(p.result.Files) > syntax.MaxFiles {
		missing.Err = syntax.ErrUnknownHost
		if p.files != nil {
			missing.Err = syntax.ErrTooLong
		}
		p.result.Unread = append(p.result.Unread, missing)
		return
	}
	for _, pattern := range patterns {
		found, _ := fs.Glob(p.files, strings.TrimPrefix(path.Clean("/"+pattern), "/"))
		slices.Sort(found)
		for _, name := range found {
			data, err := p.read("/" + name)
			if err == nil {
				err = syntax.CheckLength(data)
			}
			if err != nil {
				missing.Name, missing.Err = name, err
				p.result.Unread = append(p.result.Unread, missing)
				continue
			}
			if p.lines() > syntax.MaxInputLines {
				return
			}
			p.file("/"+name, data, s.File, s.Line, depth+1)
		}
	}
}

func (p *parser) lines() (n int) {
	for _, f := range p.result.Files {
		n += len(f.Lines)
	}
	return n
}
