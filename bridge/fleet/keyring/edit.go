package keyring

import (
	"bytes"
	"fmt"
	"strconv"
	"time"

	"ntsbridge/symkey"
)

// Cut takes the lines of a key out of a key file. What is left and what was cut
// are whole lines; ok is false if there is none.
func Cut(text []byte, id uint32) (kept, cut []byte, ok bool) {
	for line := range bytes.Lines(text) {
		if n, isKey := numberOf(line); isKey && n == id {
			cut, ok = append(cut, line...), true
		} else {
			kept = append(kept, line...)
		}
	}
	if len(cut) > 0 && cut[len(cut)-1] != '\n' {
		cut = append(cut, '\n')
	}
	return kept, cut, ok
}

// numberOf reads the key identifier of a line, as ntpd and chronyd do.
func numberOf(line []byte) (id uint32, ok bool) {
	words := bytes.Fields(line)
	if len(words) < 2 {
		return 0, false
	}
	n, err := strconv.ParseUint(string(words[0]), 10, 32)
	return uint32(n), err == nil && n > 0
}

// Add appends a key to a key file, in its format.
func Add(text []byte, format symkey.Format, k *symkey.Key) ([]byte, error) {
	out := bytes.Clone(text)
	if len(out) > 0 && out[len(out)-1] != '\n' {
		out = append(out, '\n')
	}
	if format == symkey.FormatChrony {
		return symkey.AppendChronyKeysLine(out, k)
	}
	return symkey.AppendNTPKeysLine(out, k)
}

// Retired is the text that is kept of a key: its line, so that it can be put back,
// under a comment that says when it went and why.
func Retired(before, cut []byte, id uint32, why string, now time.Time) []byte {
	out := bytes.Clone(before)
	if why = clean(why); why != "" {
		why = ": " + why
	}
	out = fmt.Appendf(out, "# key %d retired %s%s\n", id, now.UTC().Format(time.RFC3339), why)
	return append(out, cut...)
}

// clean keeps a reason on its line.
func clean(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c < ' ' {
			b[i] = ' '
		}
	}
	return string(b)
}

// MadeAt reads when ntp-keygen made the keys of a file: the filestamp, NTP seconds,
// at the end of the name in its first line, as in "# ntpkey_MD5key_tick.3892345678".
func MadeAt(text []byte) (made time.Time, ok bool) {
	first, _, _ := bytes.Cut(text, []byte("\n"))
	i := bytes.LastIndexByte(first, '.')
	if !bytes.HasPrefix(first, []byte("# ntpkey_")) || i < 0 {
		return made, false
	}
	n, err := strconv.ParseUint(string(bytes.TrimSpace(first[i+1:])), 10, 32)
	if err != nil || n < unixEpoch {
		return made, false
	}
	return time.Unix(int64(n)-unixEpoch, 0), true
}

const unixEpoch = 2208988800 // NTP seconds
