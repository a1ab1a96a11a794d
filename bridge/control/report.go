package control

import (
	"fmt"
	"strconv"
	"time"

	"ntsbridge/bridge/ntp"
)

// The reports here are those of chronyc 4.6 on the clock and its sources, with
// its names, units and signs. Times are in seconds, rates in parts per million.

// ReferenceID is a reference identifier, as text eight hexadecimal digits.
type ReferenceID uint32

// String returns the identifier as chronyc shows it.
func (r ReferenceID) String() string { return fmt.Sprintf("%08X", uint32(r)) }

// MarshalText implements encoding.TextMarshaler.
func (r ReferenceID) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *ReferenceID) UnmarshalText(text []byte) error {
	v, err := strconv.ParseUint(string(text), 16, 32)
	if err != nil {
		return fmt.Errorf("reference identifier %.16q is not eight hexadecimal digits", text)
	}
	*r = ReferenceID(v)
	return nil
}

// Tracking is what is known of the clock: chronyc's tracking report.
type Tracking struct {
	ReferenceID ReferenceID `json:"reference_id"` // 0: not synchronised; 7F7F0101: the local clock itself
	// ReferenceName is the source that the identifier stands for: a name as
	// configured, an address, or a reference clock's letters. Empty: none.
	ReferenceName    string    `json:"reference_name"`
	ReferenceAddress string    `json:"reference_address,omitempty"`
	Stratum          uint8     `json:"stratum"`        // 1 to 15, 0: not synchronised
	ReferenceTime    time.Time `json:"reference_time"` // when the last sample was used; zero: never
	// SystemOffset is the system clock minus true time as it is estimated;
	// positive: fast.
	SystemOffset float64 `json:"system_offset"`
	// LastOffset is by how much the last update found the clock ahead of what
	// it was believed to be.
	LastOffset     float64  `json:"last_offset"`
	RMSOffset      float64  `json:"rms_offset"`      // long-term average of LastOffset
	Frequency      float64  `json:"frequency_ppm"`   // of the uncorrected clock; positive: fast
	Residual       float64  `json:"residual_ppm"`    // what the last update found beside Frequency
	Skew           float64  `json:"skew_ppm"`        // bound of the error of Frequency
	RootDelay      float64  `json:"root_delay"`      // to the stratum-1 server and back
	RootDispersion float64  `json:"root_dispersion"` // now
	UpdateInterval float64  `json:"update_interval"` // between the last two updates
	Leap           ntp.Leap `json:"leap"`            // 0 normal, 1 insert, 2 delete a second, 3 not synchronised

	// What chronyc does not have, or shows in its log.

	Poll    int    `json:"poll"`            // interval that the discipline is at, log2 seconds
	Updates uint64 `json:"updates"`         // since the start
	Steps   uint64 `json:"steps"`           // of the clock, since the start
	Foreign uint64 `json:"foreign_changes"` // changes of the clock by others
	Held    string `json:"held,omitempty"`  // why the clock is left alone; empty: it is not
}

// Synchronised reports whether the clock follows something that may be
// believed.
func (t *Tracking) Synchronised() bool { return t.Leap != ntp.LeapUnknown }

// SourceMode is how a source is followed.
type SourceMode string

// The modes, with chronyc's signs.
const (
	ModeServer         SourceMode = "server"   // ^ (broadcast servers, too)
	ModePeer           SourceMode = "peer"     // =
	ModeReferenceClock SourceMode = "refclock" // #
)

// SourceState is what selection made of a source.
type SourceState string

// The states, with chronyc's signs.
const (
	StateSelected    SourceState = "selected"     // * the best one
	StateCombined    SourceState = "combined"     // +
	StateNotCombined SourceState = "not combined" // - agrees, but others are preferred
	StateFalseticker SourceState = "falseticker"  // x
	StateTooVariable SourceState = "too variable" // ~
	StateUnusable    SourceState = "unusable"     // ?
)

// Source is a line of chronyc's sources report.
type Source struct {
	Mode    SourceMode  `json:"mode"`
	State   SourceState `json:"state"`
	Name    string      `json:"name"`              // as configured; a reference clock's letters
	Address string      `json:"address,omitempty"` // empty: a reference clock, or not resolved
	Stratum uint8       `json:"stratum"`           // as last heard, 0: never
	Poll    int         `json:"poll"`              // log2 seconds
	Reach   uint8       `json:"reach"`             // bit 0: the last request had an answer
	LastRx  int64       `json:"last_rx"`           // seconds since the last good sample, -1: none
	// Offset is by how much the local clock was ahead of the source at the last
	// sample, with what has been corrected since; Measured without.
	Offset   float64 `json:"offset"`
	Measured float64 `json:"measured_offset"`
	Error    float64 `json:"error"` // bound of the error of the offsets
	// Why says in words why the source is not selected. Empty: it is, or there
	// is nothing to say beyond State.
	Why string `json:"why,omitempty"`
}

// SourceStats is a line of chronyc's sourcestats report.
type SourceStats struct {
	Name    string `json:"name"`
	Address string `json:"address,omitempty"`
	Samples uint64 `json:"samples"` // the last ones of the source, at most 64: what follows is of them (NP)
	// Runs is how many runs of them missed on the same side what the filter
	// expected, where chronyd has runs of residuals after its regression (NR).
	Runs uint64 `json:"runs"`
	Span uint64 `json:"span"` // seconds from the oldest to the newest of them
	// Frequency is by how much the local clock, as it is corrected, is fast
	// against the source alone; Skew is the bound of its error.
	Frequency float64 `json:"frequency_ppm"`
	Skew      float64 `json:"skew_ppm"`
	Offset    float64 `json:"offset"`             // of the local clock against the source, estimated; positive: ahead
	Deviation float64 `json:"standard_deviation"` // of the samples from what was expected of each
	Error     float64 `json:"error"`              // bound of that of Offset, with what the source says of itself
}

// AuthMode is how packets to and from a source are protected.
type AuthMode string

// The modes, with chronyc's words for them. Autokey has one of its own: it is
// legacy-signed and never counts as authenticated.
const (
	AuthNone      AuthMode = "none"      // -
	AuthSymmetric AuthMode = "symmetric" // SK
	AuthNTS       AuthMode = "nts"       // NTS
	AuthAutokey   AuthMode = "autokey"   // AK
)

// AuthData is a line of chronyc's authdata report.
type AuthData struct {
	Name    string   `json:"name"`
	Address string   `json:"address,omitempty"`
	Mode    AuthMode `json:"mode"`
	// KeyID is the symmetric key, or which establishment of keys it is (NTS: 1
	// is the first one). 0: none, and of Autokey, whose keys live for a packet.
	KeyID uint32 `json:"key_id"`
	// Type is the algorithm: chronyc's number of a MAC, see MACNumber, or the
	// AEAD's of the registry of IANA. 0: none yet.
	Type uint16 `json:"type"`
	// KeyLength is in bits. Of Autokey it is 32, the cookie's, whatever the
	// digest: nothing else of a session key is secret.
	KeyLength int `json:"key_length"`
	// Last is the seconds since keys were established (NTS), or the cookie was
	// had (Autokey); -1: never, and with symmetric keys.
	Last     int64 `json:"last"`
	Attempts int   `json:"attempts"` // at establishing keys since the last success
	NAKs     int   `json:"naks"`     // since the last request that had an answer
	Cookies  int   `json:"cookies"`  // at hand
	// CookieLength is in octets; of Autokey 4 once there is a cookie.
	CookieLength int `json:"cookie_length"`
	// LegacySigned says that the mode does not protect against anybody who
	// tries: Autokey.
	LegacySigned bool `json:"legacy_signed,omitempty"`
	// Why says in words what the last attempt failed at. Empty: it did not, or
	// there is nothing to authenticate.
	Why string `json:"why,omitempty"`
}

// SelectData is a line of chronyc's selectdata report.
type SelectData struct {
	// State is chronyc's letter: N noselect, s not synchronised, M missing
	// samples, d/D distance too large, ~ jitter too large, w waiting for others,
	// S stale, O orphan, T not trusted, P not preferred, U waiting for more
	// sources, x falseticker, + combined, * the best one.
	State         string   `json:"state"`
	Name          string   `json:"name"`
	Address       string   `json:"address,omitempty"`
	Authenticated bool     `json:"authenticated"` // never by Autokey
	Configured    Options  `json:"configured"`
	Effective     Options  `json:"effective"`       // with what the mode for authentication adds
	LastRx        int64    `json:"last_rx"`         // seconds since the last good sample, -1: none
	Score         *float64 `json:"score,omitempty"` // against the best source; nil: not kept here
	// Low and High are the bounds within which the local clock's error lies
	// according to the source.
	Low  float64  `json:"low"`
	High float64  `json:"high"`
	Leap ntp.Leap `json:"leap"`
	Why  string   `json:"why,omitempty"` // as in Source
}

// Options are the selection options of a source.
type Options struct {
	NoSelect bool `json:"noselect,omitempty"`
	Prefer   bool `json:"prefer,omitempty"`
	Trust    bool `json:"trust,omitempty"`
	Require  bool `json:"require,omitempty"`
}

// macNumbers are chronyc's numbers of the algorithms of symmetric keys, by the
// names of package symkey, as chronyd 4.6.1 showed them.
var macNumbers = map[string]uint16{
	"MD5": 1, "SHA1": 2, "SHA256": 3, "SHA384": 4, "SHA512": 5, "SHA3-224": 6, "SHA3-256": 7, "SHA3-384": 8, "SHA3-512": 9,
	"AES128CMAC": 13, "AES256CMAC": 14,
}

// MACNumber returns chronyc's number of the algorithm of a symmetric key, and
// 0 for those that chrony does not have.
func MACNumber(algorithm string) uint16 { return macNumbers[algorithm] }

// Selection returns how ntpq shows a state. pps says that the source is a
// pulse that came once a second.
func (s SourceState) Selection(pps bool) Selection {
	switch s {
	case StateSelected:
		if pps {
			return SelectPPSPeer
		}
		return SelectSystemPeer
	case StateCombined:
		return SelectCandidate
	case StateNotCombined:
		return SelectBackup
	case StateFalseticker:
		return SelectFalsetick
	case StateTooVariable:
		return SelectOutlier
	}
	return SelectReject
}
