package ntp

import (
	"fmt"
	"sync/atomic"
)

// PeerEvent is a code of the peer status word (RFC 9327, section 3.2).
type PeerEvent uint8

// The events, with the numbers of ntpd.
const (
	PeerMobilized       PeerEvent = 1
	PeerDemobilized     PeerEvent = 2
	PeerUnreachable     PeerEvent = 3
	PeerReachable       PeerEvent = 4
	PeerRestarted       PeerEvent = 5
	PeerNoReply         PeerEvent = 6
	PeerRateKiss        PeerEvent = 7
	PeerDenied          PeerEvent = 8
	PeerLeapArmed       PeerEvent = 9
	PeerSystemPeer      PeerEvent = 10
	PeerClockEvent      PeerEvent = 11
	PeerBadAuth         PeerEvent = 12
	PeerPopcorn         PeerEvent = 13
	PeerInterleaved     PeerEvent = 14
	PeerInterleaveError PeerEvent = 15
)

var peerEventWords = [...]string{"unspec", "mobilize", "demobilize", "unreachable", "reachable", "restart", "no_reply", "rate_exceeded",
	"access_denied", "leap_armed", "sys_peer", "clock_event", "bad_auth", "popcorn", "interleave_mode", "interleave_error"}

// String returns the event as ntpd's protostats name it.
func (e PeerEvent) String() string {
	if int(e) < len(peerEventWords) {
		return peerEventWords[e]
	}
	return fmt.Sprintf("event %d", uint8(e))
}

// PeerEvents keeps the last event of an association and how often it came in a
// row.
// The zero value has none. It is safe for concurrent use.
type PeerEvents struct {
	packed atomic.Uint32 // count above 8 bits of code
}

// maxPeerEvents is how far is counted.
const maxPeerEvents = 15

// Record records an event. The count is that of the same event in a row, up to
// 15: so ntpd 4.2.8p15, while older ones count other events and begin anew
// with the same.
func (p *PeerEvents) Record(e PeerEvent) {
	for {
		old := p.packed.Load()
		count := uint32(1)
		if PeerEvent(old) == e {
			count = min(old>>8+1, maxPeerEvents)
		}
		if p.packed.CompareAndSwap(old, count<<8|uint32(e)) {
			return
		}
	}
}

// Last returns the last event and the count, 0 and 0: none.
func (p *PeerEvents) Last() (e PeerEvent, count uint8) {
	v := p.packed.Load()
	return PeerEvent(v), uint8(v >> 8)
}
