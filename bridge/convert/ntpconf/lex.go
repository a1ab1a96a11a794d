package ntpconf

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"ntsbridge/bridge/convert/spell"
)

// maxWord is the longest word of ntpd's scanner, in octets; at one of this
// length it exits.
const maxWord = 1024

// tokenKind is the class of a token; a special character stands for itself.
type tokenKind uint8

const (
	tokenEnd     tokenKind = iota // of everything
	tokenEOC                      // end of command: end of line
	tokenKeyword                  // text is the keyword
	tokenString
	tokenInteger
	tokenUint
	tokenDouble
	tokenSpecial // text is the character
)

// token is one token and, for numbers, its value as ntpd computes it.
type token struct {
	kind    tokenKind
	text    string
	integer int32 // of Integer and Uint (in its 32 bits)
	double  float64
	line    int // where it begins; ntpd does not keep that for single characters
}

// name returns ntpd's name of the token in its messages.
func (t token) name() string {
	switch t.kind {
	case tokenEnd:
		return "$end"
	case tokenEOC:
		return "T_EOC"
	case tokenKeyword:
		return tokenName(t.text)
	case tokenString:
		return "T_String"
	case tokenInteger:
		return "T_Integer"
	case tokenUint:
		return "T_U_int"
	case tokenDouble:
		return "T_Double"
	}
	if t.text == "," || t.text == ";" {
		return "$undefined"
	}
	return "'" + t.text + "'"
}

// special are the characters that are tokens by themselves.
const special = "{}(),;|="

// none stands for no character: the end of a file.
const none = -1

// inputFile is one file on the scanner's stack.
type inputFile struct {
	index int // in the parser's list of files
	data  []byte
	off   int
	back  int // character to read again, or none
	line  int // from 1
	col   int // from 0, in octets

	backLine, backCol int // position before the last line feed

	tokenLine, tokenCol int // of the last word
	errorLine, errorCol int // of the last syntax error

	after func() // makes another file the one that is read, if there is one
}

// get returns the next character, or none. Characters above 127 are skipped,
// as ntpd does; a missing last line feed is made up.
func (f *inputFile) get() int {
	c := none
	switch {
	case f.back != none:
		c, f.back = f.back, none
		f.col++
	default:
		for f.off < len(f.data) && f.data[f.off] > 127 {
			f.off++
			f.col++
		}
		if f.off < len(f.data) {
			c = int(f.data[f.off])
			f.off++
			f.col++
		}
	}
	if c == none && f.col != 0 {
		c = '\n'
	}
	if c == '\n' {
		f.backLine, f.backCol = f.line, f.col
		f.line++
		f.col = 0
	}
	return c
}

// unget gives the last character back.
func (f *inputFile) unget(c int) {
	if c == none {
		return
	}
	f.back = c
	if c == '\n' {
		f.line, f.col = f.backLine, f.backCol
	}
	f.col--
}

// scanner makes tokens of a stack of files.
type scanner struct {
	keywords  map[string]follow
	stack     []*inputFile
	follow    follow
	simulator bool // inside a simulator block commands end with ";"
	word      []byte
}

// fatalError is something in the file for which ntpd exits.
type fatalError struct {
	line int
	text string
}

func (e *fatalError) Error() string { return fmt.Sprintf("line %d: %s", e.line, e.text) }

func (s *scanner) file() *inputFile { return s.stack[len(s.stack)-1] }

// pop leaves an included file; it reports false in the main one.
func (s *scanner) pop() bool {
	f := s.file()
	s.stack = s.stack[:len(s.stack)-1]
	if f.after != nil {
		before := len(s.stack)
		next := f.after
		f.after = nil
		if next(); len(s.stack) > before { // it takes the place of this one
			return true
		}
	}
	if len(s.stack) == 0 {
		s.stack = append(s.stack, f)
		return false
	}
	return true
}

// flush makes everything end here.
func (s *scanner) flush() {
	f := s.stack[0]
	f.off, f.back, f.col = len(f.data), none, 0
	s.stack = s.stack[:1]
}

func (s *scanner) endsCommand(c int) bool {
	if s.simulator {
		return c == ';'
	}
	return c == '\n'
}

func isSpecial(c int) bool {
	return c == 0 || c > 0 && c < 128 && strings.IndexByte(special, byte(c)) >= 0
}

// next returns the next token. It panics with a *fatalError where ntpd exits.
func (s *scanner) next() token {
	anyQuoted := false // also an empty string makes a string of the word behind it
	for {
		f := s.file()
		c := f.get()
		for c != none && spell.IsSpace(c) && !s.endsCommand(c) {
			c = f.get()
		}
		switch {
		case c == none:
			if !s.pop() {
				return token{kind: tokenEnd}
			}
			return token{kind: tokenEOC}
		case s.endsCommand(c):
			s.follow = followToken
			return token{kind: tokenEOC}
		case isSpecial(c) && s.follow == followToken:
			if c == 0 {
				return token{kind: tokenEnd} // to ntpd's parser, 0 is the end
			}
			if c == '=' && !s.simulator {
				s.follow = followString
			}
			return token{kind: tokenSpecial, text: string(rune(c)), line: f.line}
		}
		f.unget(c)
		f.tokenLine, f.tokenCol = f.line, f.col
		quoted, ok := s.readWord(f)
		anyQuoted = anyQuoted || quoted
		if ok {
			t := s.classify(string(s.word), anyQuoted)
			t.line = f.tokenLine
			return t
		}
	}
}

// readWord reads a word into s.word; ok is false if there was a comment or an
// empty string instead, which ntpd passes over.
func (s *scanner) readWord(f *inputFile) (quoted, ok bool) {
	s.word = s.word[:0]
	c := f.get()
	for ; c != none; c = f.get() {
		if spell.IsSpace(c) || s.endsCommand(c) || c == '"' || s.follow == followToken && isSpecial(c) {
			break
		}
		if c == '#' {
			for c != none && c != '\n' {
				c = f.get()
			}
			break
		}
		s.add(f, c)
	}
	if c != '"' {
		f.unget(c)
		return false, len(s.word) > 0
	}
	c = f.get()
	for ; c != none && c != '"' && c != '\n'; c = f.get() {
		s.add(f, c)
	}
	if c != '"' {
		f.unget(c)
	}
	return true, len(s.word) > 0
}

func (s *scanner) add(f *inputFile, c int) {
	s.word = append(s.word, byte(c))
	if len(s.word) >= maxWord {
		panic(&fatalError{f.tokenLine, fmt.Sprintf("a word of %d octets or more: ntpd exits at it", maxWord)})
	}
}

// classify turns a word into a token.
func (s *scanner) classify(word string, quoted bool) token {
	if i := strings.IndexByte(word, 0); i >= 0 {
		word = word[:i] // C ends it here
	}
	if s.follow == followToken && !quoted {
		if f, ok := s.keywords[word]; ok {
			s.follow = f
			if word == "server" && s.simulator {
				s.follow = followToken
			}
			return token{kind: tokenKeyword, text: word}
		}
		return s.number(word)
	}
	// Any word beginning with -4 or -6 is the family where a string must follow.
	if strings.HasPrefix(word, "-4") || strings.HasPrefix(word, "-6") {
		return token{kind: tokenKeyword, text: word[:2]}
	}
	if s.follow == followString {
		s.follow = followToken
	}
	if strings.Trim(word, " \t\n\v\f\r") == "" {
		return token{kind: tokenEOC} // a string of blanks ends a command, as a line end does
	}
	return token{kind: tokenString, text: word}
}

// number classifies a word that is neither keyword nor certainly a string.
func (s *scanner) number(word string) token {
	switch {
	case isInteger(word):
		v, ok := cInt(word)
		if !ok {
			panic(&fatalError{s.file().tokenLine, "a number that cannot be represented: ntpd exits at it"})
		}
		return token{kind: tokenInteger, text: word, integer: v}
	case strings.HasPrefix(word, "0x") || strings.HasPrefix(word, "0X"):
		if !spell.All(word[2:], spell.IsHexDigit) {
			break
		}
		if len(word) == 2 {
			panic(&fatalError{s.file().tokenLine, "0x without digits: ntpd exits at it"})
		}
		return token{kind: tokenUint, text: word, integer: int32(cUint(word[2:], 16))}
	case spell.All(word, spell.IsDigit):
		return token{kind: tokenUint, text: word, integer: int32(cUint(word, 10))}
	}
	if isDouble(word) {
		v, err := strconv.ParseFloat(strings.TrimRight(word, "eE+-"), 64)
		if err == nil || v != 0 {
			return token{kind: tokenDouble, text: word, double: v}
		}
	}
	return token{kind: tokenString, text: word}
}

// isInteger follows ntpd: a minus sign and any digits (even none), or digits
// whose value, in the 32 bits that C's %u keeps, fits into an int.
func isInteger(word string) bool {
	if rest, ok := strings.CutPrefix(word, "-"); ok {
		return spell.All(rest, spell.IsDigit)
	}
	return word != "" && spell.All(word, spell.IsDigit) && int32(cUint(word, 10)) >= 0
}

// cUint is C's strtoul cut to 32 bits.
func cUint(digits string, base int) uint32 {
	v, err := strconv.ParseUint(digits, base, 64)
	if err != nil && digits != "" {
		v = math.MaxUint64
	}
	return uint32(v)
}

// cInt is C's strtol cut to 32 bits; ok is false where ntpd exits.
func cInt(word string) (v int32, ok bool) {
	wide, err := strconv.ParseInt(word, 10, 64)
	if err != nil && errors.Is(err, strconv.ErrSyntax) {
		return 0, true // the minus sign alone
	}
	return int32(wide), err == nil || int32(wide) != 0
}

// isDouble follows ntpd: sign, digits with a point, exponent.
func isDouble(word string) bool {
	word = strings.TrimLeft(word[:min(1, len(word))], "+-") + word[min(1, len(word)):]
	digits := func() int {
		n := 0
		for n < len(word) && spell.IsDigit(word[n]) {
			n++
		}
		word = word[n:]
		return n
	}
	n := digits()
	if rest, ok := strings.CutPrefix(word, "."); ok {
		word = rest
		n += digits()
	}
	if n == 0 || word == "" {
		return n > 0
	}
	if word[0] != 'e' && word[0] != 'E' {
		return false
	}
	word = word[1:]
	if word != "" && (word[0] == '+' || word[0] == '-') {
		word = word[1:]
	}
	digits()
	return word == ""
}
