package clock

import (
	"time"

	"ntsbridge/bridge/clock/observe"
	"ntsbridge/bridge/ntp"
)

// Kernel is what the kernel says of the system clock, adjtimex(2).
type Kernel struct {
	Synchronised bool          // not STA_UNSYNC and not TIME_ERROR
	Leap         ntp.Leap      // pending leap second; never LeapUnknown
	MaxError     time.Duration // bound of the error, grows by 500 ppm between updates
	EstError     time.Duration // estimated error
	TAI          int           // TAI-UTC in seconds, 0 if nobody told the kernel
	Loop         bool          // the kernel's own loop steers the clock: STA_PLL, STA_FLL or PPS
	LeapOver     bool          // TIME_OOP or TIME_WAIT: the leap second is running or was, and Leap is still set
}

// Mode is where served time gets its right to be believed from.
type Mode uint8

// The modes.
const (
	Observe Mode = iota // from the kernel, and the program that disciplines it where it tells
	Local               // from the configuration: always synchronised
)

// Policy turns what the kernel says into what is served.
type Policy struct {
	Mode          Mode
	Stratum       uint8 // served while the clock is trusted, 1 to 15; Observe: if no program tells
	Fallback      uint8 // Observe: stratum served while the kernel says unsynchronised; 0: the alarm
	ReferenceID   uint32
	MinDispersion time.Duration // least root dispersion
	MaxError      time.Duration // Observe: above it the clock is not trusted
	Drift         float64       // growth of root dispersion, s/s
	Precision     int8          // log2 seconds, see MeasurePrecision
}

// localReference is the reference identifier of a clock that nothing outside
// stands behind: 127.127.1.1 as ntpd shows its local clock, and chrony.
const localReference = 127<<24 | 127<<16 | 1<<8 | 1

// Served computes snapshots from successive looks at the kernel. The zero
// value with a Policy is ready; it is not for concurrent use.
type Served struct {
	Policy Policy
	// Program is what the program that disciplines the clock says of it, nil if
	// nobody tells or it was too long ago. Observe only.
	Program   *observe.State
	last      Kernel
	reference ntp.Timestamp
}

// Update returns what to serve from now on. The reference timestamp is the
// moment of the look that first saw a smaller error bound, which is when the
// disciplining program last updated the clock.
func (s *Served) Update(k Kernel, now ntp.Timestamp) *ntp.ClockState {
	if s.reference == 0 || k.MaxError < s.last.MaxError || s.Policy.Mode == Local {
		s.reference = now
	}
	s.last = k
	p := s.Policy
	c := &ntp.ClockState{
		Leap: k.Leap, Stratum: p.Stratum, Precision: p.Precision, ReferenceID: p.ReferenceID,
		Reference: s.reference, RootDispersion: p.MinDispersion, Drift: p.Drift, Updated: now,
	}
	if p.Mode == Local {
		return c
	}
	if k.Synchronised && k.MaxError <= p.MaxError && (s.Program == nil || s.Program.Synchronised()) {
		c.RootDispersion = max(p.MinDispersion, k.MaxError)
		if s.Program != nil {
			s.follow(c)
		}
		return c
	}
	if p.Fallback == 0 {
		return &ntp.ClockState{Leap: ntp.LeapUnknown, Stratum: ntp.StratumUnsynchronised,
			Precision: p.Precision, RootDispersion: max(p.MinDispersion, k.MaxError), Drift: p.Drift, Updated: now}
	}
	c.Leap, c.Stratum, c.ReferenceID = ntp.LeapNone, p.Fallback, localReference
	return c
}

// follow replaces what is configured, or guessed from the kernel, by what the
// program says. Its stratum is this host's own, and its root dispersion better
// than the kernel's bound, which grows by 500 ppm. Whether the clock is
// synchronised both must say: the program may not be the one that disciplines
// the clock, and the kernel may have been left as it is by one that ended.
func (s *Served) follow(c *ntp.ClockState) {
	d := s.Program
	c.Stratum, c.ReferenceID, c.RootDelay = d.Stratum, d.ReferenceID, d.RootDelay
	age := max(c.Updated.Sub(ntp.TimestampFromTime(d.At)), 0)
	c.RootDispersion = max(s.Policy.MinDispersion, d.RootDispersion+time.Duration(float64(age)*s.Policy.Drift))
	if d.Leap != ntp.LeapNone {
		c.Leap = d.Leap
	}
	if d.Reference != 0 && d.Reference.Sub(c.Updated) <= 0 {
		c.Reference = d.Reference
	}
}

// MeasurePrecision returns the precision of a clock, log2 seconds: the least
// step between two readings (RFC 5905, section 6: the time to read it, or its
// resolution, whichever is larger). now returns nanoseconds.
func MeasurePrecision(now func() int64) int8 {
	least := int64(time.Second)
	for range 200 {
		first := now()
		next := now()
		for range 1000 {
			if next != first {
				break
			}
			next = now()
		}
		if d := next - first; d > 0 && d < least {
			least = d
		}
	}
	precision := int8(0)
	for limit := int64(time.Second) / 2; limit >= least && precision > -30; limit /= 2 {
		precision--
	}
	return precision
}
