package server

import (
	"net/netip"

	"ntsbridge/bridge/ntp"
)

// Peering is a packet of mode 1 (symmetric active), 2 (passive), 4 (server) or
// 5 (broadcast): it may belong to an association of this host.
type Peering struct {
	Data []byte // good until the handler returns
	From netip.AddrPort
	// To is the local address that answers leave from, invalid if the kernel
	// has to choose it; Destination is the one in the packet, which may be a
	// broadcast or multicast address.
	To, Destination netip.Addr
	Received        ntp.Timestamp
}

// PeeringHandler takes packets of associations, from any worker and before
// access rules and rate limits. It reports whether the packet belongs to one;
// if not, the server deals with it as with any other. It must not block.
type PeeringHandler func(*Peering) bool

// peeringMode tells whether packets of a mode are shown to the handler.
func peeringMode(m ntp.Mode) bool {
	const modes = 1<<ntp.ModeSymmetricActive | 1<<ntp.ModeSymmetricPassive | 1<<ntp.ModeServer | 1<<ntp.ModeBroadcast
	return modes>>m&1 != 0
}
