package statlog

import (
	"net/netip"
	"time"

	"ntsbridge/bridge/ntp"
)

// Measurement is one exchange with a source, or one sample of a reference
// clock. Offsets are what the source is ahead by, as ntpd and chronyd write
// them.
type Measurement struct {
	At       time.Time  // system clock
	Name     string     // of a reference clock: its code; else Address counts
	Address  netip.Addr // of the source; invalid: a reference clock
	Local    netip.Addr
	Header   ntp.Header // of the answer
	T        [4]ntp.Timestamp
	Offset   float64 // s
	Delay    float64 // s
	Spread   float64 // dispersion, s
	Poll     int8    // ours, log2 s
	Accepted bool
	Loop     bool

	Interleaved, Authenticated bool
	TX, RX                     byte // who took our timestamps: D, K, H as chronyd has it

	Source Source
}

// Source is what is known of a source after the measurement.
type Source struct {
	Samples   int
	Deviation float64 // of its estimate, s
	Estimate  float64 // its offset, s; positive: the source is ahead
	Frequency float64 // s/s
	Skew      float64 // s/s
	Jitter    float64 // s
	Selected  byte    // ntpd's selection code, 0 to 7
	Reach     bool
	Event     uint8 // ntpd's: their number, up to 15, and the code of the last, four bits each
}

// Update is the clock after an update.
type Update struct {
	At             time.Time
	Name           string
	Address        netip.Addr
	Leap           ntp.Leap
	Stratum        uint8
	Frequency      float64 // of the oscillator, s/s; positive: fast
	Skew           float64
	Offset         float64 // s, that the last sample showed; positive: the clock was fast
	Sources        int     // combined
	Deviation      float64 // of the offset, s
	Remaining      float64 // s, to be added to the clock still
	RootDelay      float64
	RootDispersion float64
	Bound          float64 // of the clock's error, s
	Jitter         float64 // RMS of offsets, s
	Poll           int
}

// System is what a server counted since the last line, or since its start.
type System struct {
	At       time.Time
	Uptime   time.Duration
	Received uint64 // packets
	Answered uint64
	Current  uint64 // of this version of NTP
	Older    uint64
	Denied   uint64
	BadForm  uint64
	BadAuth  uint64
	Declined uint64
	Limited  uint64 // rate exceeded
	Kissed   uint64
}
