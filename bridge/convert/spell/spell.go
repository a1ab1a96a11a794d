// Package spell is how configurations are written: it splits lines into words,
// guesses what a misspelt word was, masks secrets, and makes foreign text fit
// for a terminal, a comment and JSON.
package spell

import (
	"strings"
	"unicode/utf8"
)

// Masked takes the place of a secret.
const Masked = "********"

// maxShownLine bounds what a report shows of a line, in octets.
const maxShownLine = 400

// Show returns a line for a report: secrets masked, one printable line.
func Show(line string) string { return Printable(Mask(line)) }

// Mask hides what stands behind pw, on any line and in any case, and on a
// line of crypto every word that is neither an option nor an option's value:
// behind a misspelt pw stands the password.
func Mask(line string) string {
	lower := AsciiLower(line)
	if !strings.Contains(lower, "pw") && !strings.Contains(lower, "crypto") && !strings.Contains(lower, "passw") {
		return line
	}
	var b strings.Builder
	last, before, crypto := 0, "", false
	for i, span := range wordSpans(line) {
		word := lower[span[0]:span[1]]
		if word[0] == '#' {
			break
		}
		if i == 0 {
			crypto = word == "crypto"
		}
		named := CryptoWord(before) && before != "pw"
		if passwordWord(before) || strings.HasPrefix(word, `pw"`) || crypto && i > 0 && !CryptoWord(word) && !named {
			b.WriteString(line[last:span[0]] + Masked)
			last = span[1]
		}
		before = word
	}
	return b.String() + line[last:]
}

// AsciiLower keeps every octet in its place.
func AsciiLower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c | 0x20
		}
	}
	return string(b)
}

func passwordWord(word string) bool {
	return word == "pw" || strings.HasPrefix(word, "passw") || strings.HasSuffix(word, "=pw")
}

// CryptoWord reports whether a word is an option of crypto in any release.
func CryptoWord(word string) bool {
	switch word {
	case "digest", "host", "ident", "pw", "randfile", "revoke", "cert", "sign", "leap", "gqpar", "iffpar", "mvpar", "gq", "rsakey":
		return true
	}
	return false
}

// wordSpans returns the places of the words of a line; a quoted string is one.
func wordSpans(line string) [][2]int {
	var spans [][2]int
	for i := 0; i < len(line); {
		if IsSpace(int(line[i])) {
			i++
			continue
		}
		begin := i
		for i < len(line) && !IsSpace(int(line[i])) {
			if line[i] == '"' {
				end := strings.IndexByte(line[i+1:], '"')
				if end < 0 {
					i = len(line)
					break
				}
				i += end + 1
			}
			i++
		}
		spans = append(spans, [2]int{begin, min(i, len(line))})
	}
	return spans
}

// Printable returns a line that a terminal, a comment and JSON can hold.
func Printable(line string) string {
	line = strings.TrimRight(line, " \t\r")
	cut := ""
	if len(line) > maxShownLine {
		n := maxShownLine
		for n > 0 && !utf8.RuneStart(line[n]) {
			n--
		}
		line, cut = line[:n], "..."
	}
	clean := true
	for _, r := range line {
		clean = clean && r != utf8.RuneError && (r >= ' ' && r != 0x7f && !control(r))
	}
	if clean {
		return line + cut
	}
	var b strings.Builder
	for _, r := range line {
		switch {
		case r == '\t':
			b.WriteByte(' ')
		case r == utf8.RuneError || r < ' ' || r == 0x7f || control(r):
			b.WriteByte('?')
		default:
			b.WriteRune(r)
		}
	}
	return b.String() + cut
}

// control reports characters that change how text is shown: C1 controls, line
// separators, direction marks and byte order marks.
func control(r rune) bool {
	return 0x80 <= r && r < 0xa0 || 0x200b <= r && r <= 0x200f || 0x2028 <= r && r <= 0x202e || 0x2066 <= r && r <= 0x2069 || r == 0xfeff
}

// IsComment reports whether a line of ntp.conf has no command.
func IsComment(line string) bool {
	for i := range len(line) {
		switch c := line[i]; {
		case c > 127 || IsSpace(int(c)):
		default:
			return c == '#'
		}
	}
	return true
}

// PlainName reports whether a name can be written: not empty, and without blanks,
// control characters and broken text.
func PlainName(s string) bool {
	for _, r := range s {
		if r <= ' ' || r == 0x7f || r == utf8.RuneError || control(r) {
			return false
		}
	}
	return s != ""
}

// PlainPath is plainName for file names, which may have blanks.
func PlainPath(s string) bool {
	return s != "" && PlainName(strings.ReplaceAll(s, " ", "_")) && !windowsPath(s)
}

// windowsPath reports whether a name begins with a drive's letter.
func windowsPath(s string) bool {
	return len(s) > 2 && 'a' <= s[0]|0x20 && s[0]|0x20 <= 'z' && s[1] == ':' && (s[2] == '\\' || s[2] == '/')
}

// Words splits a line as an operator reads it: without the comment, quotes
// kept together and taken off.
func Words(line string) []string {
	var list []string
	for _, span := range wordSpans(line) {
		word := line[span[0]:span[1]]
		if i := strings.IndexByte(word, '#'); i >= 0 && !strings.HasPrefix(word, `"`) {
			if i > 0 {
				list = append(list, word[:i])
			}
			break
		}
		if word = strings.Trim(word, `"`); word != "" {
			list = append(list, word)
		}
	}
	return list
}

var unhyphened = strings.NewReplacer("-", "", "_", "")

// Meant returns the word of a list that a misspelt word most likely is, or
// nothing. ntpd's words differ by so much that one slip is not ambiguous.
func Meant(word string, list []string) string {
	lower := unhyphened.Replace(AsciiLower(word))
	best, distance := "", 3
	for _, candidate := range list {
		if candidate == AsciiLower(word) {
			return candidate
		}
		limit := 1
		if len(candidate) > 5 {
			limit = 2
		}
		d := slips(lower, strings.ReplaceAll(candidate, "_", ""))
		switch {
		case d > limit || d > distance:
		case d == distance:
			best = "" // two are as near
		default:
			best, distance = candidate, d
		}
	}
	return best
}

// slips counts insertions, deletions, replacements and exchanges of neighbours.
func slips(a, b string) int {
	if abs(len(a)-len(b)) > 2 {
		return 3
	}
	prev2, prev, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			switch {
			case a[i-1] == b[j-1]:
				cost = 0
			case IsDigit(a[i-1]) || IsDigit(b[j-1]):
				cost = 3 // another number is no slip
			}
			row[j] = min(prev[j]+1, row[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], prev2[j-2]+1)
			}
		}
		prev2, prev, row = prev, row, prev2
	}
	return prev[len(b)]
}

func abs(n int) int {
	if n < 0 {
		return -n
	}
	return n
}

func IsSpace(c int) bool { return c == ' ' || '\t' <= c && c <= '\r' }

func IsDigit(c byte) bool { return '0' <= c && c <= '9' }

func IsHexDigit(c byte) bool { return IsDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'f' }

func All(s string, ok func(byte) bool) bool {
	for i := range len(s) {
		if !ok(s[i]) {
			return false
		}
	}
	return true
}

func IsVisible(c byte) bool { return c > ' ' && c < 0x7f }

func IsRefID(c byte) bool { return IsDigit(c) || 'A' <= c&^0x20 && c&^0x20 <= 'Z' }
