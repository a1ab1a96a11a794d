package control

import (
	"net/netip"
	"time"

	"ntsbridge/autokey"
	"ntsbridge/bridge/clock"
	"ntsbridge/bridge/ntp"
	"ntsbridge/bridge/source"
	"ntsbridge/bridge/source/refclock"
)

// Snapshot is what clock and sources were like at a moment. It holds values
// alone: the reports for chronyc and ntpq are functions of it.
type Snapshot struct {
	At     time.Time
	Uptime time.Duration         // on the clock of source.NTSStatus.LastKE
	Served *ntp.ClockState       // never nil
	Clock  *clock.TrackingReport // of the discipline; nil: no sources are followed
	Steers bool                  // Served comes from the discipline
	Panic  time.Duration         // clock.panic; 0: none
	Local  bool                  // Served is the clock of clock.mode local
	Smooth *Smoothing            // nil: the served time is not smoothed
	// Sources are all associations, as they are to be listed.
	Sources []SourceSnapshot
}

// SourceSnapshot is a source, a peer, a broadcast or a reference clock.
type SourceSnapshot struct {
	ID        uint16 // association ID
	Name      string // as configured; a reference clock's letters
	HostMode  ntp.Mode
	Pool      bool // a member of one: it is called by its address
	Ephemeral bool // no configuration names it
	Offline   bool // it is not asked, since somebody said so
	Options   Options
	MinPoll   int        // log2 s
	TTL       uint8      // of broadcasts
	Local     netip.Addr // this side, where it matters

	Auth      ntp.Kind
	KeyID     uint32 // symmetric, as the next two
	Algorithm string
	KeyBits   int
	Ident     string            // Autokey's group
	Autokey   *autokey.State    // nil: not begun, or no Autokey
	NTS       *source.NTSStatus // nil: likewise

	Event  ntp.PeerEvent // the last one, with Events; see ntp.PeerEvents
	Events uint8         // 0: none

	Status *source.Status   // of what runs; nil: nothing does, or it is a reference clock
	Clock  *ClockSnapshot   // nil: it is no reference clock
	Follow *FollowedByClock // what the discipline thinks of it; nil: it does not know it
	Why    string           // why it is not at work; empty: it is
}

// ClockSnapshot is a reference clock.
type ClockSnapshot struct {
	refclock.Status
	ReferenceID uint32
	Delay       time.Duration // root delay
}

// FollowedByClock is a source as the discipline sees it.
type FollowedByClock struct{ clock.SourceReport }

// Smoothing is chronyc's smoothing report: how the served time differs from the
// system clock.
type Smoothing struct {
	Offset    float64 // to be removed yet, s
	Frequency float64 // ppm
	Wander    float64 // ppm/s
	Age       float64 // of the last update, s
	Remaining float64 // s
}
