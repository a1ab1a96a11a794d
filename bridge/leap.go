package bridge

import (
	"fmt"
	"time"

	"ntsbridge/autokey"
	"ntsbridge/bridge/clock/leap"
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
	table, err := leap.Parse(name, text, leap.Options{})
	if err != nil {
		return v, err
	}
	for _, e := range table.Entries() {
		at := ntp.TimestampFromTime(e.At).Seconds()
		if e.At.After(now) {
			v.Expiry = at + leapWarning
			break
		}
		v = autokey.LeapValues{TAIOffset: uint32(e.TAI), LastLeap: at, Expiry: at + leapExpiry}
	}
	if v.LastLeap == 0 {
		return v, fmt.Errorf("leap second table %s: no leap second before now; is it the right file?", name)
	}
	return v, nil
}
