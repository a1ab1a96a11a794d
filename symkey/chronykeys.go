package symkey

import (
	"encoding/hex"
	"strings"
)

// maxChronyLine is what chronyd reads of a line at once, in octets.
const maxChronyLine = 2047

// ParseChronyKeys reads a chrony.keys file as chronyd 4.6.1 does: lines of
//
//	ID [TYPE] SECRET
//
// where a missing type is MD5 and a secret stands for itself unless it starts
// with HEX: (or ASCII:, which is taken off); lines starting with "!", ";", "#"
// or "%" are comments, but nothing behind a secret is. A bad line is skipped,
// the others load, so that the error is always nil.
//
// Two differences: of two keys with one identifier the first is taken, while
// chronyd's choice depends on its sorting; and key 0, which chronyd loads, is
// skipped, since that identifier marks a crypto-NAK. Both are found.
func ParseChronyKeys(name string, data []byte) (*File, error) {
	r := newReader(name, FormatChrony)
	pieces(data, maxChronyLine, func(line int, rest bool, piece []byte) {
		words := strings.FieldsFunc(string(piece), isCSpace)
		if len(words) == 0 || strings.IndexByte("!;#%", words[0][0]) >= 0 {
			return
		}
		r.line, r.id = line, 0
		if rest {
			r.find(Warning, "the line has more than %d octets: chronyd reads the rest as a line of its own", maxChronyLine)
		}
		if k := r.chronyKey(words); k != nil {
			r.add(k, false, "which of them chronyd uses is left to chance; delete one")
		}
	})
	return &r.file, nil
}

// isCSpace is isspace in the C locale.
func isCSpace(c rune) bool { return c == ' ' || '\t' <= c && c <= '\r' }

// chronyKey makes the key of a line's words. It returns nil if there is none.
func (r *reader) chronyKey(words []string) *Key {
	id, ok := r.chronyID(words[0])
	if !ok {
		return nil
	}
	r.id = id
	if len(words) == 1 || len(words) > 3 {
		r.find(Error, "key %d is skipped: the line is not ID [TYPE] SECRET; chronyd knows no comment and no address list behind a "+
			"secret", id)
		return nil
	}
	word, a := words[len(words)-1], &algorithms[0]
	if len(words) == 3 {
		if a = chronyAlgorithm(words[1]); a == nil {
			r.find(Error, "key %d is skipped: %s", id, chronyUnknownType(words[1]))
			return nil
		}
	} else if chronyAlgorithm(word) != nil {
		r.find(Warning, "key %d has no secret: chronyd takes the type for the secret of an MD5 key, which everybody can guess", id)
	} else {
		r.find(Note, "key %d has no type: MD5", id)
	}
	secret, ok := r.chronySecret(word)
	if !ok {
		return nil
	}
	k, err := newKey(id, a, secret, len(secret), nil)
	if err != nil {
		r.find(Error, "skipped by chronyd too: %v", err)
		return nil
	}
	return k
}

// chronyID reads a key identifier with C's strtoul, cut to 32 bits.
func (r *reader) chronyID(word string) (id uint32, ok bool) {
	magnitude, negative, whole := cInteger(word)
	id = uint32(magnitude)
	if negative && magnitude != 1<<64-1 {
		id = -id
	}
	switch {
	case strings.TrimLeft(word, "+-") == "" || !isDigit(strings.TrimLeft(word, "+-")[0]):
		r.find(Error, "the line is skipped: it does not start with a key number of 1 to 4294967295")
		return 0, false
	case id == 0:
		r.find(Error, "the line is skipped: key 0 (or a number that chronyd cuts to it) marks a crypto-NAK; give the key another "+
			"number on both sides")
		return 0, false
	case !whole || magnitude > 1<<32-1:
		r.find(Warning, "the key number is not plainly written: chronyd reads it as %d", id)
	}
	return id, true
}

// chronySecret decodes a secret. ok is false if it is an error.
func (r *reader) chronySecret(word string) (secret []byte, ok bool) {
	if text, found := strings.CutPrefix(word, "ASCII:"); found {
		word = text
	} else if digits, found := strings.CutPrefix(word, "HEX:"); found {
		secret, err := hex.DecodeString(digits)
		if err != nil || len(secret) == 0 {
			r.find(Error, "key %d is skipped: HEX: needs an even number of hex digits behind it", r.id)
			return nil, false
		}
		return secret, true
	} else if len(word) > maxLiteral && isHex(word) {
		r.find(Warning, "key %d: chronyd does not decode hex digits without HEX: before them", r.id)
	}
	if word == "" {
		r.find(Error, "key %d is skipped: the secret is empty", r.id)
		return nil, false
	}
	return []byte(word), true
}

// chronyUnknownType says what to do about a type that chronyd does not know,
// without repeating the word: in a broken line it may be a secret.
func chronyUnknownType(word string) string {
	if text, ok := refused[asciiUpper(word)]; ok {
		return text
	}
	switch a := algorithmNamed(word); {
	case a == nil:
		return "chronyd does not know its type; write one of MD5, SHA1, SHA256, SHA384, SHA512, SHA3-256, AES128, AES256"
	case a.chrony != "":
		return "chronyd has type " + a.name + " by the name " + a.chrony + " only"
	default:
		return "chronyd has no type " + a.name + "; make a new key of type AES256 or SHA256 on both sides"
	}
}
