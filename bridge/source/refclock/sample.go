package refclock

import (
	"time"

	"ntsbridge/bridge/ntp"
)

// Sample is what a clock says at the end of a poll.
type Sample struct {
	Raw        int64         // CLOCK_MONOTONIC_RAW at the reading, ns
	System     int64         // the system clock then, Unix time, ns
	Offset     time.Duration // to be added to System
	Dispersion time.Duration // precision of the readings and standard error of their mean
	Deviation  time.Duration // of a single reading, as those of the poll show it; of fewer than four it means little
	Readings   int           // that the sample was made from, those trimmed included
	Leap       ntp.Leap      // never LeapUnknown
	Stratum    uint8         // of the clock, as configured: 0 is a primary one
}

// Reference returns the clock's time at the sample, Unix time in ns.
func (s *Sample) Reference() int64 { return s.System + int64(s.Offset) }

// Reason says what became of a reading, or of the readings of a poll.
type Reason uint8

// The reasons.
const (
	reasonOK             Reason = iota
	reasonMalformed             // lengths, mark, mode or fields are no sample
	reasonTorn                  // the segment changed while it was read
	reasonUnsynchronised        // the clock says that it has no time (leap 3)
	reasonInsane                // a time before 2000 or after 2096, or no number
	reasonOld                   // taken more than 5 s before it came
	reasonFuture                // taken after it came: stamped by another clock
	reasonStepped               // taken around a step of the system clock
	reasonRepeated              // as the one before, or the clock stands still
	reasonBackwards             // taken, or by its time, before the one before
	reasonJumped                // too far from what the one before promised
	reasonUnnumbered            // a pulse, and nothing to number its second
	reasonEdge                  // a pulse too far from where it was expected
	reasonTAI                   // in TAI, and its offset from UTC is not known
	reasonDispersion            // the filtered sample exceeds MaxDispersion
	reasonCount          = iota
)

var reasonNames = [reasonCount]string{
	"ok", "malformed", "torn", "unsynchronised", "insane", "old", "future", "stepped", "repeated",
	"backwards", "jumped", "unnumbered", "edge", "tai", "dispersion",
}

// String returns the reason's name as used in counters.
func (r Reason) String() string {
	if int(r) < len(reasonNames) {
		return reasonNames[r]
	}
	return "invalid"
}

// stamp is what a driver read.
type stamp struct {
	reason     Reason // not reasonOK: nothing else counts
	reference  int64  // the clock's time, Unix time, ns; of a pulse only the part of its period counts
	pulse      bool
	system     int64 // system clock at the reading, Unix time, ns; unset with onBase
	raw        int64 // base at the reading, with onBase
	onBase     bool
	dispersion time.Duration // that the driver knows of
	leap       ntp.Leap
}

// reading is a stamp that was checked and brought to the base.
type reading struct {
	raw, system, reference int64 // ns
	dispersion             time.Duration
	leap                   ntp.Leap
}

// The years 2000 and 2096, Unix time in ns. A clock that is older than any of
// its users is broken; the discipline's own range ends with the other.
const (
	minTime = int64(946_684_800e9)
	maxTime = int64(4e18)
)

func saneReference(unix int64) bool { return unix >= minTime && unix <= maxTime }

// saneSystem is less strict: a host without a battery starts in 1970.
func saneSystem(unix int64) bool { return unix >= 0 && unix <= maxTime }
