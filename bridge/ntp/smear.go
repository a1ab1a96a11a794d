package ntp

import "time"

// Smear is how the served clock differs from the system's around a leap second
// that is spread over hours: by a line that is good for some seconds around
// ClockState.Updated. It is for answers to clients; peers, and what a host
// thinks of its own clock, are not smeared. The zero value is no smear.
type Smear struct {
	Enabled bool          // leap seconds are smeared here: clients are told of none, ever
	Active  bool          // one is being smeared now
	Alarm   bool          // the leap second is about to happen or does: timestamps cannot be trusted
	Offset  time.Duration // served minus system clock at ClockState.Updated, -1 s to 1 s
	Rate    float64       // growth of Offset, s/s
}

// smearReach bounds how far from Updated the line is believed.
const smearReach = 16 * time.Second

// SmearAt returns what Served adds to a timestamp of the system clock.
func (c *ClockState) SmearAt(t Timestamp) time.Duration {
	age := min(max(t.Sub(c.Updated), -smearReach), smearReach)
	return c.Smear.Offset + time.Duration(float64(age)*c.Smear.Rate)
}

// Served returns the timestamp that clients get for one of the system clock. Of
// an unknown one (0) nothing else becomes known.
func (c *ClockState) Served(t Timestamp) Timestamp {
	if !c.Smear.Active && c.Smear.Offset == 0 || t == 0 {
		return t
	}
	return t.Add(c.SmearAt(t))
}

// FillServed is Fill for answers to clients: with a smear no leap second is
// announced, and while it lasts the reference identifier tells its offset as
// ntpd's does (SmearReferenceID) and the reference timestamp is moved by it, so
// that it stays behind the others.
func (c *ClockState) FillServed(h *Header, now Timestamp) {
	c.Fill(h, now)
	if !c.Smear.Enabled || h.Leap == LeapUnknown {
		return
	}
	h.Leap = LeapNone
	if c.Smear.Alarm {
		h.Leap = LeapUnknown
	}
	if c.Smear.Active {
		offset := c.SmearAt(now)
		h.ReferenceID = SmearReferenceID(offset)
		if h.Reference != 0 {
			h.Reference = h.Reference.Add(offset)
		}
	}
}

// smearReference begins the reference identifier of a smeared answer.
const smearReference = 254 << 24

// SmearReferenceID returns the reference identifier that tells of a smear, as
// ntpd 4.2.8 makes it (draft-stenn-ntp-leap-smear-refid): 254 and the offset in
// 24 bits, two's complement, of which 22 are a fraction of the second.
func SmearReferenceID(offset time.Duration) uint32 {
	offset = min(max(offset, -2*time.Second), 2*time.Second-250) // what 24 bits hold
	scaled := int64(offset)<<22 + int64(time.Second)/2
	fixed := scaled / int64(time.Second)
	if scaled%int64(time.Second) < 0 {
		fixed-- // round down, as shifting does
	}
	return smearReference | uint32(fixed)&0xffffff
}

// ParseSmearReferenceID returns the offset that a reference identifier tells;
// ok is false for one that tells of no smear. 254.0.0.0/8 is no address of a
// server, but at stratum 2 and above an IPv6 server's hash may look like it.
func ParseSmearReferenceID(id uint32) (offset time.Duration, ok bool) {
	if id&0xff000000 != smearReference {
		return 0, false
	}
	fixed := int64(int32(id<<8) >> 8)
	return time.Duration(fixed * int64(time.Second) >> 22), true
}
