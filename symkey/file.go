package symkey

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrRejected is wrapped by the error about a file that the daemon does not
// load at all.
var ErrRejected = errors.New("ntpd rejects the whole file and authenticates nothing with it")

// Severity grades a Finding.
type Severity uint8

// The severities.
const (
	Note    Severity = iota // worth knowing
	Warning                 // works, but not as it seems or not safely
	Error                   // the line, or with ntpd the whole file, is void
)

// String returns the severity's name.
func (s Severity) String() string {
	switch s {
	case Note:
		return "note"
	case Warning:
		return "warning"
	case Error:
		return "error"
	}
	return "invalid"
}

// Format is the dialect of a key file.
type Format uint8

// The formats.
const (
	FormatNTP    Format = iota // ntpd 4.2.8p15
	FormatChrony               // chronyd 4.6.1
	FormatNTPsec               // ntpsec 1.2.3
)

// String returns the format's name as used in configuration.
func (f Format) String() string {
	switch f {
	case FormatNTP:
		return "ntp"
	case FormatChrony:
		return "chrony"
	case FormatNTPsec:
		return "ntpsec"
	}
	return "invalid"
}

// Finding is one remark about a line of a key file. It never contains a secret,
// nor a word of the file that might be one.
type Finding struct {
	Line     int    // from 1
	KeyID    uint32 // 0 if the line's key identifier is not known
	Severity Severity
	Text     string
}

// File is a key file as its daemon would load it.
type File struct {
	Name   string
	Format Format
	// Keys are the keys that the daemon uses, in file order, one for each
	// identifier. A file that ntpd rejects has none.
	Keys []*Key
	// Readable are the keys that could be read from a file that ntpd rejects:
	// for reports and for an operator's decision, never for use unasked.
	Readable []*Key
	Findings []Finding // by line
}

// ParseAuto reads a file in the format that detectFormat finds.
func ParseAuto(name string, data []byte) (*File, error) {
	if detectFormat(name, data) == FormatChrony {
		return ParseChronyKeys(name, data)
	}
	return ParseNTPKeys(name, data)
}

// detectFormat tells ntpd's key files from chronyd's. The first line that only
// one of them can mean decides:
//
//   - chronyd: a comment with "!", ";" or "%"; a secret with HEX: or ASCII:;
//     a key identifier above 65535; type AES128 or AES256; a key without a type;
//   - ntpd: a type that chronyd does not have (M, md5, AES128CMAC); more than
//     three words; more than 20 hex digits without HEX:.
//
// If no line decides, the file is chronyd's if its name has "chrony" in it,
// else ntpd's. ntpsec's files look like ntpd's: FormatNTPsec is never found.
func detectFormat(name string, data []byte) Format {
	for line := range bytes.Lines(data) {
		if f, ok := formatOfLine(strings.Fields(string(line))); ok {
			return f
		}
	}
	if strings.Contains(name[strings.LastIndexByte(name, '/')+1:], "chrony") {
		return FormatChrony
	}
	return FormatNTP
}

// formatOfLine tells the format of a line by its words; ok is false if it
// could be either's.
func formatOfLine(words []string) (f Format, ok bool) {
	if len(words) == 0 || words[0][0] == '#' {
		return 0, false
	}
	if strings.IndexByte("!;%", words[0][0]) >= 0 {
		return FormatChrony, true
	}
	id, err := strconv.ParseUint(words[0], 10, 32)
	if err != nil || len(words) == 1 {
		return 0, false
	}
	kind, secret := words[1], words[len(words)-1]
	switch {
	case len(words) <= 3 && (strings.HasPrefix(secret, "HEX:") || strings.HasPrefix(secret, "ASCII:")):
		return FormatChrony, true
	case len(words) == 2:
		return FormatChrony, algorithmNamed(kind) == nil && kind != "M"
	case kind == "AES128" || kind == "AES256" || id > maxNTPKeyID && len(words) == 3:
		return FormatChrony, true
	case len(words) > 3 || len(secret) > maxLiteral && isHex(secret):
		return FormatNTP, true
	}
	return FormatNTP, ntpdAlgorithm(kind) != nil && chronyAlgorithm(kind) == nil
}

// reader collects what comes out of one file.
type reader struct {
	file  File
	line  int
	id    uint32
	place map[uint32]int // identifier to index in file.Keys
	lines map[uint32]int // identifier to the line of that key
}

func newReader(name string, format Format) *reader {
	return &reader{
		file:  File{Name: name, Format: format},
		place: make(map[uint32]int), lines: make(map[uint32]int),
	}
}

func (r *reader) find(s Severity, format string, args ...any) {
	r.file.Findings = append(r.file.Findings, Finding{r.line, r.id, s, fmt.Sprintf(format, args...)})
}

// add takes a key in; lastWins says which of two with one identifier stays.
func (r *reader) add(k *Key, lastWins bool, duplicate string) {
	for _, text := range k.Weaknesses() {
		r.find(Warning, "key %d: %s", k.id, text)
	}
	at, there := r.place[k.id]
	if !there {
		r.place[k.id] = len(r.file.Keys)
		r.lines[k.id] = r.line
		r.file.Keys = append(r.file.Keys, k)
		return
	}
	r.find(Warning, "key %d is already on line %d: %s", k.id, r.lines[k.id], duplicate)
	if lastWins {
		r.file.Keys[at] = k
		r.lines[k.id] = r.line
	}
}

// errorsIn counts the findings that are errors and returns the first.
func (f *File) errorsIn() (first Finding, n int) {
	for _, finding := range f.Findings {
		if finding.Severity == Error {
			if n == 0 {
				first = finding
			}
			n++
		}
	}
	return first, n
}

// pieces calls yield for every piece of data that C's fgets with a buffer of
// limit+1 octets reads, without its newline and what follows a NUL. line is the
// line it lies on, rest tells that the piece is the rest of a longer line.
func pieces(data []byte, limit int, yield func(line int, rest bool, piece []byte)) {
	line, rest := 1, false
	for len(data) > 0 {
		n := min(limit, len(data))
		ended := false
		if i := bytes.IndexByte(data[:n], '\n'); i >= 0 {
			n, ended = i+1, true
		}
		piece := bytes.TrimSuffix(data[:n], []byte{'\n'})
		if i := bytes.IndexByte(piece, 0); i >= 0 {
			piece = piece[:i]
		}
		yield(line, rest, piece)
		data = data[n:]
		rest = !ended
		if ended {
			line++
		}
	}
}

// cInteger reads an integer as C's strtoul and atoi do: blanks, a sign, then
// digits up to the first other octet, saturating at 64 bits. whole tells that
// the word is digits and nothing else.
func cInteger(word string) (magnitude uint64, negative, whole bool) {
	s := strings.TrimLeft(word, " \t\n\v\f\r")
	if s != "" && (s[0] == '-' || s[0] == '+') {
		negative = s[0] == '-'
		s = s[1:]
	}
	digits := 0
	for digits < len(s) && isDigit(s[digits]) {
		digits++
	}
	magnitude, err := strconv.ParseUint(s[:digits], 10, 64)
	if err != nil && digits > 0 {
		magnitude = 1<<64 - 1
	}
	return magnitude, negative, digits > 0 && digits == len(word)
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isHex(s string) bool {
	for i := range len(s) {
		if c := s[i] | 0x20; !isDigit(s[i]) && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
