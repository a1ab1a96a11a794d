package clock

import (
	"encoding/binary"
	"net/netip"

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
// source (RFC 5905, section 7.3): that of its address, or the reference
// clock's code.
func (s SourceInfo) ReferenceID() uint32 {
	if s.Refclock != "" {
		var id [4]byte
		copy(id[:], s.Refclock)
		return binary.BigEndian.Uint32(id[:])
	}
	return ntp.ReferenceID(s.Address)
}

// driven is a source with what the discipline does not know of it.
type driven struct {
	info   SourceInfo
	config discipline.SourceConfig
	orphan bool // has no real time: its last stratum was that of orphans, or more
	barred bool // measured only, because it is an orphan
	parent bool // an orphan that is followed, because there is no other source

	stratum uint8 // as last heard
	misses  int   // requests without an answer since
}
