package observe

import (
	"math"
	"time"

	"ntsbridge/bridge/ntp"
)

// Programs that are known.
const (
	Chronyd = "chronyd"
	NTPD    = "ntpd"
	NTPsec  = "ntpsec"
)

// State is what a program says of the clock that it disciplines. It is
// immutable.
type State struct {
	Program        string
	Leap           ntp.Leap // LeapUnknown: not synchronised
	Stratum        uint8    // of this host; 0 or 16: not synchronised
	ReferenceID    uint32
	Reference      ntp.Timestamp // when the clock was last updated; 0: not known
	RootDelay      time.Duration
	RootDispersion time.Duration // at At, with what the system clock still differs from the program's time
	Offset         time.Duration // how far the program says the system clock is off, without sign
	At             time.Time     // when the program said so
}

// Synchronised reports whether the program calls its clock synchronised.
func (s *State) Synchronised() bool {
	return s.Leap != ntp.LeapUnknown && s.Stratum > 0 && s.Stratum < ntp.StratumUnsynchronised
}

// maxSeconds is the largest root delay or dispersion that is believed: beyond
// the short format's range nothing can be told to a client.
const maxSeconds = 65535

// duration turns seconds into a duration; ok is false outside of 0 to
// maxSeconds, and for what is no number.
func duration(seconds float64) (d time.Duration, ok bool) {
	if !(seconds >= 0 && seconds <= maxSeconds) {
		return 0, false
	}
	return time.Duration(math.Ceil(seconds * 1e9)), true
}
