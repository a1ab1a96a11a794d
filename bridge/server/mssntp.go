package server

import (
	"encoding/binary"

	"ntsbridge/bridge/access"
	"ntsbridge/bridge/ntp"
)

// Lengths of requests for such an answer (MS-SNTP, sections 2.2.1 and 2.2.3).
const (
	msSNTPLen         = ntp.HeaderLen + 4 + 16
	msSNTPExtendedLen = ntp.HeaderLen + 4 + 4 + 64
)

// useOldKey is a flag of the extended form, and the bit of a key identifier that
// says the same in the short one: the account's former secret is to be used.
const (
	useOldKey    = 1
	oldSelection = 0x80
)

// isMSSNTP reports whether a request asks for a signature of Active Directory:
// an account's identifier and room for a checksum, which is all zero.
func isMSSNTP(p []byte) bool {
	switch len(p) {
	case msSNTPLen:
		return isZero(p[ntp.HeaderLen+4:])
	case msSNTPExtendedLen: // reserved octet, flags, hints, hash: then the checksum
		return isZero(p[ntp.HeaderLen+8:])
	}
	return false
}

func isZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// accountOf returns the account's relative identifier, which the wire has in
// little-endian order.
func accountOf(p []byte) uint32 {
	return binary.LittleEndian.Uint32(p[ntp.HeaderLen:]) &^ (oldSelection << 24)
}

// identifierOf returns the key identifier that Samba is asked with. Samba knows
// the short form only; a client takes that as the answer to both (MS-SNTP,
// section 3.1.5.1).
func identifierOf(p []byte) (id [4]byte) {
	copy(id[:], p[ntp.HeaderLen:])
	if len(p) == msSNTPExtendedLen && p[ntp.HeaderLen+5]&useOldKey != 0 {
		id[3] |= oldSelection
	}
	return id
}

// judgeMSSNTP judges a request whose answer Samba is to sign. It costs Samba some
// work, and anybody can forge it: the rate limit of its address goes first.
func (h *handler) judgeMSSNTP(req *ntp.Request, rule *access.Rule) ntp.Verdict {
	v := ntp.Verdict{Action: ntp.Defer, Kind: ntp.KindNone, Marks: ntp.MSSNTP, KeyID: req.Layout.KeyID}
	if d := h.state.Limiter.Allow(req.From.Addr(), h.mono, rule.Rate); d == access.Limited || d == access.Kissed {
		v.Action, v.Reason = ntp.Drop, ntp.ReasonRateLimited
	}
	return v
}
