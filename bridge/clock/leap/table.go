package leap

import (
	"fmt"
	"slices"
	"time"

	"ntsbridge/bridge/ntp"
)

// unixEpochNTP is the Unix epoch in NTP seconds (RFC 5905, section 6).
const unixEpochNTP = 2208988800

// tai1972 is TAI-UTC in seconds when leap seconds began, on 1 January 1972.
const tai1972 = 10

// begin is 1 January 1972, Unix time.
const begin = 63072000

// Bounds of what a table may say: years 1972 to 2200, TAI-UTC -200 to 200 s.
const (
	maxTime = 7258118400
	maxTAI  = 200
)

// Format is the form of a table's file.
type Format uint8

// The formats.
const (
	FormatList       Format = iota // leap-seconds.list
	FormatLeapSecond               // the tz database's leapseconds
	FormatTZif                     // compiled zone with leap seconds, right/UTC
)

// Entry is one change of TAI-UTC.
type Entry struct {
	At   time.Time // UTC, the first second with the new value: midnight after the leap second
	TAI  int       // TAI-UTC from then on, s
	Leap ntp.Leap  // LeapNone where the table begins or has a gap
}

// Table is what one file says of leap seconds. It is immutable.
type Table struct {
	Source  string // path of the file, for messages
	Format  Format
	Hashed  bool // the file had a hash, which is right
	entries []Entry
	updated time.Time
	expires time.Time
}

// Entries returns all changes, oldest first.
func (t *Table) Entries() []Entry { return slices.Clone(t.entries) }

// Expired reports whether the table says of itself that it is out of date. What
// it says of the past stays right.
func (t *Table) Expired(now time.Time) bool { return !t.expires.IsZero() && !now.Before(t.expires) }

// after returns the index of the first entry after now.
func (t *Table) after(now time.Time) int {
	i, _ := slices.BinarySearchFunc(t.entries, now, func(e Entry, now time.Time) int {
		if e.At.After(now) {
			return 1
		}
		return -1
	})
	return i
}

// At returns TAI-UTC in seconds; ok is false before the table begins. During an
// inserted second, which UTC has no number for, it is still the old value.
func (t *Table) At(now time.Time) (tai int, ok bool) {
	i := t.after(now)
	if i == 0 {
		return 0, false
	}
	return t.entries[i-1].TAI, true
}

// Next returns the first leap second after a time: at is the midnight that
// follows it. ok is false if the table has none.
func (t *Table) Next(after time.Time) (at time.Time, leap ntp.Leap, ok bool) {
	for _, e := range t.entries[t.after(after):] {
		if e.Leap != ntp.LeapNone {
			return e.At, e.Leap, true
		}
	}
	return time.Time{}, ntp.LeapNone, false
}

// Month returns whether there is a leap second at the end of now's month (UTC).
// known is false when the table cannot tell: it has expired by then, or does
// not say when it expires and has none. It then leaves the decision to others,
// whereas a valid table without a leap second overrules them.
func (t *Table) Month(now time.Time) (leap ntp.Leap, known bool) {
	now = now.UTC()
	end := time.Date(now.Year(), now.Month()+1, 1, 0, 0, 0, 0, time.UTC)
	if at, leap, ok := t.Next(now); ok && at.Equal(end) {
		return leap, true
	}
	first := t.entries[0].At
	return ntp.LeapNone, !now.Before(first) && !t.expires.IsZero() && !t.expires.Before(end)
}

// Nearest returns the leap second nearest to a time, past or to come, for a
// smear that may reach over it.
func (t *Table) Nearest(now time.Time) (e Event, ok bool) {
	for _, entry := range t.entries {
		if entry.Leap == ntp.LeapNone {
			continue
		}
		if !ok || entry.At.Sub(now).Abs() < e.At.Sub(now).Abs() {
			e, ok = Event{entry.At, entry.Leap}, true
		}
	}
	return e, ok
}

// warnBefore is how long before the end of a table's validity Warning begins:
// the next file has been out for months by then.
const warnBefore = 28 * 24 * time.Hour

// Warning returns what an operator should know of the table's age, empty if all
// is well.
func (t *Table) Warning(now time.Time) string {
	const remedy = "update the tzdata package, or fetch leap-seconds.list anew"
	switch {
	case t.expires.IsZero():
		return ""
	case t.Expired(now):
		return fmt.Sprintf("leap second table %s expired on %s: a newer leap second would not be in it; %s",
			t.Source, t.expires.Format(time.DateOnly), remedy)
	case t.Expired(now.Add(warnBefore)):
		return fmt.Sprintf("leap second table %s expires on %s; %s", t.Source, t.expires.Format(time.DateOnly), remedy)
	}
	return ""
}

// add appends an entry given as Unix time and judges it by its predecessor.
func (t *Table) add(at int64, tai int) error {
	if at < 0 || at > maxTime || tai < -maxTAI || tai > maxTAI {
		return fmt.Errorf("leap second at Unix time %d with TAI-UTC %d s is out of range", at, tai)
	}
	if at%86400 != 0 {
		return fmt.Errorf("leap second at Unix time %d is not at the end of a UTC day", at)
	}
	e := Entry{At: time.Unix(at, 0).UTC(), TAI: tai}
	if n := len(t.entries); n > 0 {
		last := t.entries[n-1]
		if !e.At.After(last.At) {
			return fmt.Errorf("leap second of %s follows that of %s", e.At.Format(time.DateOnly), last.At.Format(time.DateOnly))
		}
		switch tai - last.TAI {
		case 1:
			e.Leap = ntp.LeapInsert
		case -1:
			e.Leap = ntp.LeapDelete
		}
	}
	t.entries = append(t.entries, e)
	return nil
}
