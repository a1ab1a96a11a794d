package source

import (
	"net/netip"

	"ntsbridge/bridge/ntp"
)

// Packet is a packet that came to UDP port 123.
type Packet struct {
	Data []byte // good until the handler returns
	From netip.AddrPort
	// To is the local address that answers leave from; Destination is the one
	// in the packet: To, or a broadcast or multicast address.
	To, Destination netip.Addr
	Received        ntp.Timestamp
	Kind            StampKind // who took Received
}

// Handler takes the packets of modes 1 (symmetric active), 2 (passive), 4
// (server) and 5 (broadcast) that come to port 123. It reports whether the
// packet belongs to an association; if not, the server may answer it. It must
// not block and not keep Data.
type Handler func(Packet) bool

// Port is UDP port 123 of this host, which symmetric and broadcast
// associations share with the server. The server implements it with its own
// sockets; Listen is one for a host without server.
type Port interface {
	// Handle registers the handler; nil: none.
	Handle(Handler)
	// Send sends a packet from port 123 of a local address; an invalid one
	// leaves the choice to the kernel.
	Send(p []byte, from netip.Addr, to netip.AddrPort) error
	// Join makes packets to a multicast group arrive.
	Join(group netip.Addr) error
}

// forAssociation tells whether a handler is to see a packet.
func forAssociation(p []byte) bool {
	if len(p) < ntp.HeaderLen {
		return false
	}
	switch ntp.ModeOf(p) {
	case ntp.ModeSymmetricActive, ntp.ModeSymmetricPassive, ntp.ModeServer, ntp.ModeBroadcast:
		return true
	}
	return false
}
