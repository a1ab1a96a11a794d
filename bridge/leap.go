package bridge

import (
	"bufio"
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/facebook/time/leaphash"

	"ntsbridge/autokey"
	"ntsbridge/bridge/ntp"
)

// leapExpiry is how long after the last leap second ntpd 4.2.8p15 says that
// its values are good, and leapWarning how long after the next one.
const (
	leapExpiry  = 25 * 24 * 3600
	leapWarning = 7 * 24 * 3600
)

// leapValues reads a leap-seconds.list (NIST and IERS form) and returns what
// ntpd would send of it at time now. A hash in the file must be right.
func leapValues(name string, text []byte, now time.Time) (v autokey.LeapValues, err error) {
	if err := checkLeapHash(name, text); err != nil {
		return v, err
	}
	seconds := uint64(ntp.TimestampFromTime(now).Seconds())
	var next uint64
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		entry, _, _ := strings.Cut(lines.Text(), "#")
		fields := strings.Fields(entry)
		if len(fields) == 0 {
			continue
		}
		if len(fields) < 2 {
			return v, fmt.Errorf("leap file %s line %d: wants the NTP seconds and TAI-UTC; get the file again", name, n)
		}
		at, err1 := strconv.ParseUint(fields[0], 10, 32)
		offset, err2 := strconv.ParseUint(fields[1], 10, 16)
		if err1 != nil || err2 != nil || at == 0 {
			return v, fmt.Errorf("leap file %s line %d: not NTP seconds and TAI-UTC; get the file again", name, n)
		}
		if at > seconds {
			next = at
			break
		}
		v = autokey.LeapValues{TAIOffset: uint32(offset), LastLeap: uint32(at), Expiry: uint32(at + leapExpiry)}
	}
	if err := lines.Err(); err != nil {
		return v, fmt.Errorf("leap file %s: %w", name, err)
	}
	if v == (autokey.LeapValues{}) {
		return v, fmt.Errorf("leap file %s: no leap second before now; is it the right file?", name)
	}
	if next > 0 {
		v.Expiry = uint32(next + leapWarning)
	}
	return v, nil
}

// checkLeapHash compares the file's SHA-1 with the one on its #h line.
func checkLeapHash(name string, text []byte) error {
	for line := range strings.Lines(string(text)) {
		want, ok := strings.CutPrefix(line, "#h")
		if !ok {
			continue
		}
		if got := leaphash.Compute(string(text)); !sameHash(got, want) {
			return fmt.Errorf("leap file %s: its hash is wrong; get the file again", name)
		}
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
