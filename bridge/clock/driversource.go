package clock

import (
	"net/netip"
	"time"

	"ntsbridge/bridge/clock/discipline"
	"ntsbridge/bridge/ntp"
)

// SourceInfo says what a source is, for what we serve while we follow it.
type SourceInfo struct {
	Name     string     // for the log
	Address  netip.Addr // of a server
	Refclock string     // of a reference clock: its code, up to four characters (GPS, PPS, PHC0)
}

// ReferenceID returns the reference identifier of a clock that follows the
// source (RFC 5905, section 7.3): its IPv4 address, the first four octets of
// the MD5 digest of its IPv6 address, or the reference clock's code.
func (s SourceInfo) ReferenceID() uint32 { return 0 }

// AddSource adds a source.
func (d *Driver) AddSource(c discipline.SourceConfig, info SourceInfo) (discipline.SourceID, error) {
	return 0, nil
}

// RemoveSource forgets a source. The clock does not move.
func (d *Driver) RemoveSource(id discipline.SourceID) {}

// Sample takes in an exchange, timed on the free-running base. Of a reference
// clock T1 equals T4 and T2 equals T3, and the stratum is that of the
// reference clock, usually 0.
func (d *Driver) Sample(x discipline.Sample) discipline.Verdict { return discipline.Accepted }

// Missed says that a request found no answer.
func (d *Driver) Missed(id discipline.SourceID) {}

// RateLimited obeys a verified kiss-o'-death RATE.
func (d *Driver) RateLimited(id discipline.SourceID) {}

// Denied obeys a verified kiss-o'-death DENY or RSTR.
func (d *Driver) Denied(id discipline.SourceID) {}

// Next says that a request was just sent to a source, and returns when to send
// the next one.
func (d *Driver) Next(id discipline.SourceID) time.Duration { return time.Minute }

// Source returns the report of a source, and false if there is none.
func (d *Driver) Source(id discipline.SourceID) (SourceReport, bool) { return SourceReport{}, false }

// SourceReport is what chronyc's sources and sourcestats show.
type SourceReport struct {
	discipline.SourceStatus
	Info SourceInfo
	Age  time.Duration // of the last accepted sample; negative: none
}

// TrackingReport is what chronyc's tracking shows.
type TrackingReport struct {
	discipline.Tracking
	State     *ntp.ClockState // as served
	System    time.Time       // system clock at the report
	Selected  SourceInfo      // the source State is about; zero for none
	Fallback  bool            // the fallback stratum is served
	Refused   bool            // by MaxChange
	Alarm     bool            // somebody else steers the clock
	Leap      ntp.Leap        // armed leap second
	LeapAt    time.Time       // month that begins after it
	Kernel    Kernel
	Corrected float64 // rate correction in force, s/s
}

// State returns what to serve; it is never nil.
func (d *Driver) State() *ntp.ClockState { return &ntp.ClockState{Leap: ntp.LeapUnknown} }

// Tracking returns the report as of now.
func (d *Driver) Tracking() TrackingReport { return TrackingReport{} }
