package material

import (
	"fmt"
	"os"
	"strconv"
	"strings"
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

// LeapValues reads a leap-seconds.list (NIST and IERS form) and returns what
// ntpd would send of it at time now, and the end of the table's validity ("#@"
// and NTP seconds; 0 if it has none). A hash in the file must be right.
func LeapValues(name string, text []byte, now time.Time) (v autokey.LeapValues, expire uint32, err error) {
	table, err := leap.Parse(name, text, leap.Options{})
	if err != nil {
		return v, 0, err
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
		return v, 0, fmt.Errorf("leap second table %s: no leap second before now; is it the right file?", name)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "#@"); ok {
			if at, err := strconv.ParseUint(strings.TrimSpace(rest), 10, 32); err == nil {
				expire = uint32(at)
			}
			break
		}
	}
	return v, expire, nil
}

// maxLeapFile is the longest table that is read, octets.
const maxLeapFile = 1 << 20

// leapFile reads what Autokey's clients may fetch.
func (k *loader) leapFile(out *Autokey) {
	name := k.config.Autokey.LeapFile
	text, err := readFile(name, maxLeapFile)
	if err == nil {
		out.Leap, out.LeapExpire, err = LeapValues(name, text, k.opt.Now)
	}
	if err != nil {
		k.find(NotServed, "autokey.leap_file", "%v: Autokey's clients get no leap seconds", err)
		return
	}
	expires := ntp.Timestamp(uint64(out.LeapExpire) << 32).Time(k.opt.Now.Truncate(time.Second))
	switch {
	case out.LeapExpire == 0:
		k.findIn(Warning, name, 0, "has no line #@ with the date of expiry; is it a leap second list?")
	case expires.Before(k.opt.Now):
		k.findIn(Warning, name, 0, "expired on "+expires.UTC().Format(time.DateOnly)+"; get the file anew from IERS")
	}
}

// ReadLeap reads the table of leap seconds that clock.leap names, or looks for
// the system's if it names none.
func ReadLeap(file string, now time.Time) (*leap.Table, error) {
	if file == "" {
		return leap.Find(os.DirFS("/"), now)
	}
	return leap.Load(os.DirFS("/"), strings.TrimPrefix(file, "/"), leap.Options{})
}

// leapTable reads the table for the clock. One that is looked for need not be
// there; without one a majority of the sources decides.
func (k *loader) leapTable() {
	c := &k.config.Clock.Leap
	if c.Table == "none" {
		return
	}
	if c.File != "" && !k.public("clock.leap.file", c.File) {
		return
	}
	var err error
	if k.Leap, err = ReadLeap(c.File, k.opt.Now); err != nil {
		k.Leap = nil
		if c.File != "" {
			k.find(NotServed, "clock.leap.file", "%v: a majority of the sources decides about leap seconds", err)
		}
		return
	}
	grade := Warning
	if c.File == "" {
		grade = Note // the system's
	}
	if w := k.Leap.Warning(k.opt.Now); w != "" {
		k.findIn(grade, k.Leap.Source, 0, w)
		k.Findings[len(k.Findings)-1].Dated = true
	}
}
