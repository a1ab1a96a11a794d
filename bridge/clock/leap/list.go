package leap

import (
	"crypto/fips140"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/facebook/time/leaphash"
)

// errHash is the error of a leap-seconds.list whose hash is not that of its
// content.
var errHash = errors.New("its hash is wrong; get the file again")

// parseList reads a leap-seconds.list: lines of NTP seconds and TAI-UTC from
// then on, "#$" and "#@" with the NTP seconds of its last change and of its
// end, and "#h" with the SHA-1 hash of all those numbers.
func (t *Table) parseList(text string, ignoreHash bool) error {
	number := 0
	for line := range strings.Lines(text) {
		number++
		if err := t.listLine(strings.TrimRight(line, "\r\n")); err != nil {
			return fmt.Errorf("line %d: %w; get the file again", number, err)
		}
	}
	if ignoreHash {
		return nil
	}
	return t.checkHash(text)
}

func (t *Table) listLine(line string) (err error) {
	if rest, ok := strings.CutPrefix(line, "#$"); ok {
		t.updated, err = listTime(rest)
		return err
	}
	if rest, ok := strings.CutPrefix(line, "#@"); ok {
		t.expires, err = listTime(rest)
		return err
	}
	entry, _, _ := strings.Cut(line, "#")
	fields := strings.Fields(entry)
	if len(fields) == 0 {
		return nil
	}
	if len(fields) < 2 {
		return errors.New("wants the NTP seconds and TAI-UTC")
	}
	at, err1 := strconv.ParseInt(fields[0], 10, 64)
	tai, err2 := strconv.Atoi(fields[1])
	if err1 != nil || err2 != nil {
		return errors.New("not NTP seconds and TAI-UTC")
	}
	return t.add(at-unixEpochNTP, tai)
}

// listTime reads NTP seconds; what follows them is a comment.
func listTime(s string) (time.Time, error) {
	fields := strings.Fields(s)
	if len(fields) == 0 {
		return time.Time{}, errors.New("wants NTP seconds after #$ and #@")
	}
	v, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil || v < unixEpochNTP || v > maxTime+unixEpochNTP {
		return time.Time{}, errors.New("no NTP seconds after #$ or #@")
	}
	return time.Unix(v-unixEpochNTP, 0).UTC(), nil
}

// checkHash compares the content's hash with the one on the #h line.
func (t *Table) checkHash(text string) error {
	for line := range strings.Lines(text) {
		want, ok := strings.CutPrefix(line, "#h")
		if !ok {
			continue
		}
		var have string
		// It finds a file that was damaged, and protects nothing.
		fips140.WithoutEnforcement(func() { have = leaphash.Compute(text) })
		if !sameHash(have, want) {
			return errHash
		}
		t.Hashed = true
		return nil
	}
	return nil
}

// sameHash compares groups of hex digits, which NIST writes without leading
// zeros.
func sameHash(a, b string) bool {
	x, y := strings.Fields(a), strings.Fields(b)
	if len(x) != len(y) {
		return false
	}
	for i := range x {
		m, err1 := strconv.ParseUint(x[i], 16, 32)
		n, err2 := strconv.ParseUint(y[i], 16, 32)
		if err1 != nil || err2 != nil || m != n {
			return false
		}
	}
	return true
}
