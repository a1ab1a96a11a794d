package convert

import (
	"io/fs"
	"path"
	"slices"
	"strings"
)

// maxChronyDepth is how deep chronyd includes.
const maxChronyDepth = 10

// chronyParser reads a command per line, its words separated by blanks,
// comments only on lines of their own.
type chronyParser struct {
	result *Parsed
	files  fs.FS // of the host; nil: not at hand
	read   Reader
}

// parseChrony reads a chrony.conf and what it includes: files are the host's.
func parseChrony(name string, data []byte, files fs.FS, read Reader) *Parsed {
	p := &chronyParser{result: &Parsed{}, files: files, read: read}
	p.file(name, data, -1, 0, 0)
	return p.result
}

// otherChrony are the directives whose arguments are looked at where their
// meaning is worked out, and those of older releases.
var otherChrony = strings.Fields("server pool peer refclock local commandkey generatecommandkey linux_hz linux_freq_scale opencommands cmdallow cmddeny")

// knownChrony reports whether a word, in lower case, is a directive of chronyd.
func knownChrony(word string) bool {
	_, ok := chronyArguments[word]
	return ok || slices.Contains(otherChrony, word)
}

func (p *chronyParser) file(name string, data []byte, by, byLine, depth int) {
	lines := splitLines(data)
	index := len(p.result.Files)
	p.result.Files = append(p.result.Files, File{Name: name, By: by, ByLine: byLine, Lines: lines})
	for i, line := range lines {
		list := strings.Fields(line)
		if len(list) == 0 || strings.IndexByte("!;#%", list[0][0]) >= 0 {
			continue
		}
		s := &Statement{Word: asciiLower(list[0]), File: index, Line: i + 1}
		for _, w := range list[1:] {
			s.Options = append(s.Options, Option{Kind: valueString, Text: w})
		}
		if !knownChrony(s.Word) {
			p.result.Diagnostics = append(p.result.Diagnostics, Diagnostic{File: index, Line: i + 1, At: i + 1, Syntax: true, Text: "syntax error, unexpected " + show(list[0])})
			continue
		}
		p.result.Statements = append(p.result.Statements, s)
		p.include(s, depth)
	}
}

// include reads the files of include, confdir and sourcedir.
func (p *chronyParser) include(s *Statement, depth int) {
	var patterns []string
	switch s.Word {
	case "include":
		patterns = []string{s.argument()}
	case "confdir", "sourcedir":
		ext := map[string]string{"confdir": "/*.conf", "sourcedir": "/*.sources"}[s.Word]
		for _, o := range s.Options {
			patterns = append(patterns, o.Text+ext)
		}
	default:
		return
	}
	missing := Missing{Name: strings.Join(patterns, " "), File: s.File, Line: s.Line}
	if p.files == nil || depth >= maxChronyDepth || len(p.result.Files) > maxFiles {
		missing.Err = errUnknownHost
		if p.files != nil {
			missing.Err = ErrTooLong
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
				err = CheckLength(data)
			}
			if err != nil {
				missing.Name, missing.Err = name, err
				p.result.Unread = append(p.result.Unread, missing)
				continue
			}
			if p.lines() > maxInputLines {
				return
			}
			p.file("/"+name, data, s.File, s.Line, depth+1)
		}
	}
}

func (p *chronyParser) lines() (n int) {
	for _, f := range p.result.Files {
		n += len(f.Lines)
	}
	return n
}
