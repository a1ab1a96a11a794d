package remote

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"ntsbridge/bridge/statedir"
)

// TokenPrefix is what tokens begin with, so that searches for secrets that got
// somewhere find them.
const TokenPrefix = "ntsb_"

// hashPrefix is what the hash of a token begins with in the file.
const hashPrefix = "sha256:"

// Limits of a file of tokens.
const (
	maxTokens    = 1000
	maxTokenName = 64
	maxTokenLen  = 256
)

// Tokens are those of a file.
type Tokens struct{ list []token }

type token struct {
	name string
	role Role
	hash [sha256.Size]byte
}

// Len returns how many there are.
func (t *Tokens) Len() int {
	if t == nil {
		return 0
	}
	return len(t.list)
}

// NewToken makes a token, and the line of the file that stands for it.
func NewToken(name string, role Role) (secret, line string, err error) {
	if err := checkName(name); err != nil {
		return "", "", err
	}
	var b [32]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", "", err
	}
	secret = TokenPrefix + hex.EncodeToString(b[:])
	hash := sha256.Sum256([]byte(secret))
	return secret, fmt.Sprintf("%s %v %s%x", name, role, hashPrefix, hash), nil
}

// ParseRole reads read or write.
func ParseRole(s string) (Role, error) { return parseRole(s) }

func checkName(name string) error {
	ok := name != "" && len(name) <= maxTokenName
	for _, c := range []byte(name) {
		ok = ok && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-_.@", c) >= 0)
	}
	if !ok {
		return fmt.Errorf("the name must be 1 to %d of the letters a-z, A-Z, 0-9 and -_.@", maxTokenName)
	}
	return nil
}

// ReadTokens reads a file that nobody but its owner may read.
func ReadTokens(path string) (*Tokens, error) {
	text, err := statedir.ReadSecret(path)
	if err != nil {
		return nil, err
	}
	t, err := ParseTokens(text)
	if err != nil {
		return nil, fmt.Errorf("%s:%w", path, err)
	}
	return t, nil
}

// ParseTokens reads lines of name, role and hash. An error begins with the
// number of the line and never repeats what could be a token.
func ParseTokens(text []byte) (*Tokens, error) {
	t := new(Tokens)
	seen := make(map[string]bool)
	lines := bufio.NewScanner(bytes.NewReader(text))
	n := 0
	for lines.Scan() {
		n++
		fields := strings.Fields(lines.Text())
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		one, err := parseToken(fields)
		if err == nil && seen[one.name] {
			err = fmt.Errorf("the name %s stands for another token already; choose another one", one.name)
		}
		if err == nil && len(t.list) == maxTokens {
			err = fmt.Errorf("more than %d tokens", maxTokens)
		}
		if err != nil {
			return nil, fmt.Errorf("%d: %w", n, err)
		}
		seen[one.name] = true
		t.list = append(t.list, one)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%d: %w", n+1, err)
	}
	if len(t.list) == 0 {
		return nil, errors.New(" no token in it; `ntsbridge secret token` makes one")
	}
	return t, nil
}

func parseToken(fields []string) (t token, err error) {
	if len(fields) != 3 {
		return t, errors.New("a line has a name, read or write, and sha256:HASH, as `ntsbridge secret token` makes it")
	}
	if err := checkName(fields[0]); err != nil {
		return t, err
	}
	t.name = fields[0]
	if fields[1] != Read.String() && fields[1] != Write.String() {
		return t, errors.New("the second word is the role, read or write")
	}
	t.role, _ = parseRole(fields[1])
	digits, ok := strings.CutPrefix(fields[2], hashPrefix)
	hash, err := hex.DecodeString(digits)
	if !ok || err != nil || len(hash) != len(t.hash) {
		return t, errors.New("the third word is sha256: and 64 hex digits, the hash and never the token itself " +
			"(printf %s TOKEN | sha256sum)")
	}
	copy(t.hash[:], hash)
	return t, nil
}

// find returns who has a token, in a time that does not depend on which it is
// or how much of it is right.
func (t *Tokens) find(secret string) (name string, role Role) {
	if t == nil || secret == "" || len(secret) > maxTokenLen {
		return "", Nobody
	}
	return t.findHash(sha256.Sum256([]byte(secret)))
}

// findHash is find for the hash of a token.
func (t *Tokens) findHash(hash [sha256.Size]byte) (name string, role Role) {
	if t == nil {
		return "", Nobody
	}
	at := -1
	for i := range t.list {
		at = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(hash[:], t.list[i].hash[:]), i, at)
	}
	if at < 0 {
		return "", Nobody
	}
	return t.list[at].name, t.list[at].role
}
