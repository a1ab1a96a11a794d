package symkey

import (
	"encoding/hex"
	"fmt"
	"math"
	"net/netip"
	"strings"
)

// Limits of ntpd's and ntpsec's key files.
const (
	maxNTPKeyID   = 65535 // above are Autokey's
	maxNTPLine    = 511   // octets, what fgets reads at once
	maxLiteral    = 20    // characters of a secret that stands for itself
	maxHexDigits  = 64    // of a longer one: what counts
	minHexOctets  = maxLiteral/2 + 1
	maxHexOctets  = maxHexDigits / 2
	maxNTPFields  = 4
	maxPrefixRead = 1000 // ntpd stops reading a prefix length above it
)

// ntpDialect is what tells ntpsec's reader from ntpd's.
type ntpDialect struct {
	format    Format
	daemon    string
	algorithm func(string) *algorithm
	addresses bool // the fourth word is an address list
	lastWins  bool // of two keys with one identifier
	duplicate string
	bad       string // what a bad line does
	padding   string // of a short cipher key
}

var ntpdDialect = ntpDialect{
	format: FormatNTP, daemon: "ntpd", algorithm: ntpdAlgorithm, addresses: true,
	duplicate: "ntpd uses that one; delete this line",
	bad:       "ntpd rejects the whole file for it",
	padding:   "zeros",
}

var ntpsecDialect = ntpDialect{
	format: FormatNTPsec, daemon: "ntpsec", algorithm: ntpsecAlgorithm, lastWins: true,
	duplicate: "ntpsec uses this one; delete that line",
	bad:       "ntpsec skips the line",
	padding:   "zeros or with whatever an earlier key left in memory: make a new key of the full length",
}

// ParseNTPKeys reads an ntp.keys file as ntpd 4.2.8p15 does: lines of
//
//	ID TYPE SECRET [ADDRESS[/BITS][,...]]
//
// A secret of up to 20 characters stands for itself, a longer one is hex of
// which 64 digits count; "#" ends a line even inside a secret; a carriage
// return belongs to the word before it. A type that ntpd does not know costs
// that key. Any other mistake costs the whole file: then the error wraps
// ErrRejected and names the first place, and the File still comes, with no Keys
// and what could be read in Readable.
func ParseNTPKeys(name string, data []byte) (*File, error) {
	file := parseNTP(name, data, &ntpdDialect)
	first, n := file.errorsIn()
	if n == 0 {
		return file, nil
	}
	file.Readable, file.Keys = file.Keys, nil
	more := ""
	if n > 1 {
		more = fmt.Sprintf(" (and %d more errors)", n-1)
	}
	return file, fmt.Errorf("%s line %d: %s%s: %w; correct or delete the line", name, first.Line, first.Text, more, ErrRejected)
}

// ParseNTPsecKeys reads an ntp.keys file as ntpsec 1.2.3 does: as ntpd, but
// with more types, with no address lists, with the last of several equal
// identifiers winning, and with bad lines skipped. The error is always nil.
func ParseNTPsecKeys(name string, data []byte) (*File, error) {
	return parseNTP(name, data, &ntpsecDialect), nil
}

func parseNTP(name string, data []byte, d *ntpDialect) *File {
	r := newReader(name, d.format)
	pieces(data, maxNTPLine, func(line int, rest bool, piece []byte) {
		words, cut := ntpWords(string(piece))
		if len(words) == 0 {
			return
		}
		r.line, r.id = line, 0
		if rest {
			r.find(Warning, "the line has more than %d octets: %s reads the rest as a line of its own; split it", maxNTPLine, d.daemon)
		}
		if k := r.ntpKey(words, cut, d); k != nil {
			r.add(k, d.lastWins, d.duplicate)
		}
	})
	return &r.file
}

// ntpWords splits a line as ntpd does: only blanks and tabs separate, "#" ends
// it. cut is the number of the word that a "#" ended directly, or 0. Beyond
// one word more than the fields nothing is read.
func ntpWords(line string) (words []string, cut int) {
	line, _, comment := strings.Cut(line, "#")
	for len(words) <= maxNTPFields {
		line = strings.TrimLeft(line, " \t")
		if line == "" {
			return words, 0
		}
		end := strings.IndexAny(line, " \t")
		if end < 0 {
			words = append(words, line)
			if comment {
				cut = len(words)
			}
			return words, cut
		}
		words = append(words, line[:end])
		line = line[end:]
	}
	return words, 0
}

// ntpKey makes the key of a line's words. It returns nil if there is none.
func (r *reader) ntpKey(words []string, cut int, d *ntpDialect) *Key {
	id, ok := r.ntpID(words[0], d)
	if !ok {
		return nil
	}
	r.id = id
	if len(words) < 2 {
		r.find(Error, "key %d has no type: %s; write ID TYPE SECRET", id, d.bad)
		return nil
	}
	a := d.algorithm(words[1])
	if a == nil {
		r.find(Warning, "key %d is skipped: %s", id, d.unknownType(words[1]))
	}
	if len(words) < 3 {
		r.find(Error, "key %d has no secret: %s; write ID TYPE SECRET", id, d.bad)
		return nil
	}
	secret, ok := r.ntpSecret(words[2], cut == 3, d)
	if !ok {
		return nil
	}
	var addresses []netip.Prefix
	if d.addresses && len(words) > 3 {
		if addresses, ok = r.ntpAddresses(words[3]); !ok {
			return nil
		}
		words = words[1:]
	}
	if len(words) > 3 {
		r.find(Note, "what follows on the line is ignored by %s; put a # before it", d.daemon)
	}
	if a == nil {
		return nil
	}
	given := len(secret)
	k, err := newKey(id, a, r.fitCipher(secret, a, d), given, addresses)
	if err != nil {
		r.find(Error, "%v", err)
		return nil
	}
	return k
}

// ntpID reads a key identifier with C's atoi.
func (r *reader) ntpID(word string, d *ntpDialect) (id uint32, ok bool) {
	magnitude, negative, whole := cInteger(word)
	magnitude = min(magnitude, math.MaxInt64)
	value := uint32(magnitude)
	if negative {
		value = -value
	}
	if value == 0 || value > maxNTPKeyID {
		r.find(Error, "the line does not start with a key number of 1 to %d: %s", maxNTPKeyID, d.bad)
		return 0, false
	}
	if !whole || magnitude > maxNTPKeyID {
		r.find(Warning, "the key number is not plainly written: %s reads it as %d", d.daemon, value)
	}
	return value, true
}

// unknownType says what to do about a type that the daemon does not know. It
// repeats the word only if that is a name of an algorithm elsewhere: in a broken
// line it may be a secret.
func (d *ntpDialect) unknownType(word string) string {
	if text, ok := refused[asciiUpper(word)]; ok {
		return text
	}
	if a := algorithmNamed(word); a != nil {
		text := fmt.Sprintf("%s has no type %s", d.daemon, asciiUpper(word))
		if a.ntpd != "" {
			return text + "; write " + firstName(a.ntpd)
		}
		return text + "; change key and type on both sides, for example to AES128CMAC"
	}
	switch asciiUpper(word) {
	case "A", "N", "S":
		return "types A, N and S are DES keys of old releases, which ntpd does not have any more; make a new key of type AES128CMAC"
	case "SHA":
		return d.daemon + " has no type SHA (that is SHA-0); write SHA1 if SHA1 is meant"
	}
	return d.daemon + " does not know its type; change it, for example to AES128CMAC or SHA256"
}

// ntpSecret decodes a secret. ok is false if it is an error.
func (r *reader) ntpSecret(word string, cut bool, d *ntpDialect) (secret []byte, ok bool) {
	if strings.HasSuffix(word, "\r") && len(word) <= maxLiteral {
		r.find(Warning, "key %d: the carriage return at the end of the line is part of the secret, and so it is on every client that "+
			"works: convert the line ends on all sides or on none", r.id)
	}
	if cut {
		r.find(Warning, "key %d: the # directly behind the secret starts a comment; if it was meant as a part of the secret, it is "+
			"none", r.id)
	}
	if len(word) <= maxLiteral {
		switch {
		case len(word) > 1 && word[0] == '"' && word[len(word)-1] == '"':
			r.find(Warning, "key %d: the quotes are part of the secret", r.id)
		case len(word) >= 16 && len(word)%2 == 0 && isHex(word):
			r.find(Warning, "key %d: up to %d characters stand for themselves: these hex digits are not decoded", r.id, maxLiteral)
		}
		return []byte(word), true
	}
	digits := word[:min(len(word), maxHexDigits)]
	if !isHex(digits) {
		if isHex(strings.TrimSuffix(digits, "\r")) {
			r.find(Error, "key %d: the carriage return at the end of the line makes the secret bad hex: %s; convert the line ends",
				r.id, d.bad)
		} else {
			r.find(Error, "key %d: a secret of more than %d characters has to be hex: %s", r.id, maxLiteral, d.bad)
		}
		return nil, false
	}
	if len(word) > maxHexDigits {
		r.find(Warning, "key %d: only the first %d digits of the secret count, of %d", r.id, maxHexDigits, len(word))
	}
	if len(digits)%2 != 0 {
		r.find(Warning, "key %d: the secret has an odd number of hex digits; the last does not count", r.id)
	}
	secret, err := hex.DecodeString(digits[:len(digits)&^1])
	return secret, err == nil
}

// fitCipher pads a secret with zeros or cuts it to what the cipher takes, as
// ntpd and ntpsec do.
func (r *reader) fitCipher(secret []byte, a *algorithm, d *ntpDialect) []byte {
	switch {
	case a.aesKey == 0 || len(secret) == a.aesKey:
		return secret
	case len(secret) > a.aesKey:
		r.find(Warning, "key %d: %s cuts the secret of %d octets to %s's %d", r.id, d.daemon, len(secret), a.name, a.aesKey)
		return secret[:a.aesKey]
	}
	r.find(Warning, "key %d: %s pads the secret of %d octets to %s's %d with %s", r.id, d.daemon, len(secret), a.name, a.aesKey, d.padding)
	return append(secret, make([]byte, a.aesKey-len(secret))...)
}

// ntpAddresses reads an address list. ok is false if it has an error.
func (r *reader) ntpAddresses(list string) (prefixes []netip.Prefix, ok bool) {
	ok = true
	for item := range strings.SplitSeq(list, ",") {
		if p, good := r.ntpAddress(item); good {
			prefixes = append(prefixes, p)
		} else {
			ok = false
		}
	}
	return prefixes, ok
}

// ntpAddress reads ADDRESS[/BITS]. A prefix that is too long for the family
// is logged by ntpd and stands for the address alone.
func (r *reader) ntpAddress(item string) (p netip.Prefix, ok bool) {
	text, bitsText, hasBits := strings.Cut(item, "/")
	bits := 0
	for i := range len(bitsText) {
		if !isDigit(bitsText[i]) || bits > maxPrefixRead {
			r.find(Error, "key %d: a prefix length in the address list is no number: %s", r.id, ntpdDialect.bad)
			return p, false
		}
		bits = 10*bits + int(bitsText[i]-'0')
	}
	if strings.HasPrefix(text, "[") && strings.HasSuffix(text, "]") {
		text = text[1 : len(text)-1]
	}
	addr, err := netip.ParseAddr(text)
	if err != nil {
		r.find(Error, "key %d: the address list has an item that is no address: %s", r.id, ntpdDialect.bad)
		return p, false
	}
	addr = addr.WithZone("")
	switch {
	case !hasBits:
		bits = addr.BitLen()
	case bits > addr.BitLen():
		r.find(Warning, "key %d: prefix length %d in the address list is over %d; taken for the address alone", r.id, bits, addr.BitLen())
		bits = addr.BitLen()
	case bits == 0:
		r.find(Warning, "key %d: prefix length 0 in the address list allows every address of its family", r.id)
	}
	return netip.PrefixFrom(addr, bits), true
}
