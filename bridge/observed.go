package bridge

import (
	"time"

	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/nke"
	"ntsbridge/bridge/ntp"
)

// handshakeResults are the inventory's words for how NTS-KE ends.
var handshakeResults = map[nke.Ending]inventory.HandshakeResult{
	nke.EndAgreed: inventory.HandshakeAgreed, nke.EndRefused: inventory.HandshakeRefused, nke.EndHandshake: inventory.HandshakeTLS,
	nke.EndNotAgreed: inventory.HandshakeNoAEAD, nke.EndBroken: inventory.HandshakeBroken,
}

// handshake tells the inventory of an NTS-KE connection.
func (b *Bridge) handshake(o nke.Observation) {
	h := inventory.Handshake{Addr: o.From.As16(), At: ntp.TimestampFromTime(time.Now()), Result: handshakeResults[o.Ending],
		Name: o.ServerName, Told: o.Offered != nil}
	for _, id := range o.Offered {
		h.Offered = append(h.Offered, uint16(id))
	}
	b.fleet.Handshake(h)
}

// observed is a configuration of NTS-KE that tells the inventory.
func (b *Bridge) observed(c nke.Config) nke.Config {
	c.Observe = b.handshake
	return c
}
