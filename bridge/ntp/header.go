package ntp

import "encoding/binary"

// HeaderLen is the length of the NTP header in octets (RFC 5905, section 7.3).
const HeaderLen = 48

// Leap is the leap indicator (RFC 5905, figure 9).
type Leap uint8

// The leap indicators.
const (
	LeapNone    Leap = 0 // no warning
	LeapInsert  Leap = 1 // last minute of the day has 61 seconds
	LeapDelete  Leap = 2 // last minute of the day has 59 seconds
	LeapUnknown Leap = 3 // alarm: clock not synchronised
)

// Mode is the association mode of a packet (RFC 5905, figure 10).
type Mode uint8

// The modes.
const (
	ModeReserved         Mode = 0 // NTPv1 clients send it
	ModeSymmetricActive  Mode = 1
	ModeSymmetricPassive Mode = 2
	ModeClient           Mode = 3
	ModeServer           Mode = 4
	ModeBroadcast        Mode = 5
	ModeControl          Mode = 6 // ntpq
	ModePrivate          Mode = 7 // ntpdc
)

// StratumUnsynchronised is the stratum of a clock that is not synchronised;
// on the wire it is sent as 0 (RFC 5905, figure 11).
const StratumUnsynchronised = 16

// Header is the NTP header (RFC 5905, figure 8).
type Header struct {
	Leap           Leap
	Version        uint8 // 0 to 7
	Mode           Mode
	Stratum        uint8
	Poll           int8 // log2 seconds
	Precision      int8 // log2 seconds
	RootDelay      Short
	RootDispersion Short
	ReferenceID    uint32
	Reference      Timestamp
	Origin         Timestamp
	Receive        Timestamp
	Transmit       Timestamp
}

// Decode reads the header from the first HeaderLen octets of p, which must be
// there.
func (h *Header) Decode(p []byte) {
	_ = p[HeaderLen-1]
	h.Leap = Leap(p[0] >> 6)
	h.Version = VersionOf(p)
	h.Mode = ModeOf(p)
	h.Stratum = p[1]
	h.Poll = int8(p[2])
	h.Precision = int8(p[3])
	h.RootDelay = Short(binary.BigEndian.Uint32(p[4:]))
	h.RootDispersion = Short(binary.BigEndian.Uint32(p[8:]))
	h.ReferenceID = binary.BigEndian.Uint32(p[12:])
	h.Reference = Timestamp(binary.BigEndian.Uint64(p[16:]))
	h.Origin = Timestamp(binary.BigEndian.Uint64(p[24:]))
	h.Receive = Timestamp(binary.BigEndian.Uint64(p[32:]))
	h.Transmit = Timestamp(binary.BigEndian.Uint64(p[40:]))
}

// Encode writes the header to the first HeaderLen octets of p, which must be
// there.
func (h *Header) Encode(p []byte) {
	_ = p[HeaderLen-1]
	p[0] = byte(h.Leap)<<6 | h.Version&7<<3 | byte(h.Mode)&7
	p[1] = h.Stratum
	p[2] = byte(h.Poll)
	p[3] = byte(h.Precision)
	binary.BigEndian.PutUint32(p[4:], uint32(h.RootDelay))
	binary.BigEndian.PutUint32(p[8:], uint32(h.RootDispersion))
	binary.BigEndian.PutUint32(p[12:], h.ReferenceID)
	binary.BigEndian.PutUint64(p[16:], uint64(h.Reference))
	binary.BigEndian.PutUint64(p[24:], uint64(h.Origin))
	binary.BigEndian.PutUint64(p[32:], uint64(h.Receive))
	binary.BigEndian.PutUint64(p[40:], uint64(h.Transmit))
}

// VersionOf returns the version of a packet of at least one octet.
func VersionOf(p []byte) uint8 { return p[0] >> 3 & 7 }

// ModeOf returns the mode of a packet of at least one octet.
func ModeOf(p []byte) Mode { return Mode(p[0] & 7) }

// KissCode returns the reference identifier of a kiss-o'-death packet, four
// ASCII letters (RFC 5905, section 7.4).
func KissCode(code string) uint32 {
	return binary.BigEndian.Uint32([]byte(code))
}
