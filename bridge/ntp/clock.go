package ntp

import "time"

// ClockState is an immutable snapshot of the served clock, as a server needs
// it to fill in a header (RFC 5905, section 7.3). A server holds it behind an
// atomic pointer; whoever owns the clock replaces it.
type ClockState struct {
	Leap           Leap // LeapUnknown: not synchronised, nothing to be trusted
	Stratum        uint8
	Precision      int8 // log2 seconds
	ReferenceID    uint32
	Reference      Timestamp     // when the clock was last set or corrected
	RootDelay      time.Duration // at Updated
	RootDispersion time.Duration // at Updated
	Drift          float64       // growth of RootDispersion, seconds per second
	Updated        Timestamp     // when this snapshot was true
	Smear          Smear         // of what servers tell their clients
}

// Synchronised reports whether the clock may be served as good time.
func (c *ClockState) Synchronised() bool {
	return c.Leap != LeapUnknown && c.Stratum > 0 && c.Stratum < StratumUnsynchronised
}

// Fill writes the clock's part of a header for time now, as peers need it: with
// leap seconds, unsmeared. A clock that is not
// synchronised gives leap 3 and stratum 0, which is how stratum 16 is sent.
func (c *ClockState) Fill(h *Header, now Timestamp) {
	h.Precision = c.Precision
	h.ReferenceID = c.ReferenceID
	h.Reference = c.Reference
	h.RootDelay = ShortFromDuration(c.RootDelay)
	age := max(now.Sub(c.Updated), 0)
	h.RootDispersion = ShortFromDuration(c.RootDispersion + time.Duration(float64(age)*c.Drift))
	if c.Synchronised() {
		h.Leap, h.Stratum = c.Leap, c.Stratum
		return
	}
	h.Leap, h.Stratum = LeapUnknown, 0
}
