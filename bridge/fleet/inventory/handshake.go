package inventory

import "ntsbridge/bridge/ntp"

// HandshakeResult is how an NTS-KE connection ended.
type HandshakeResult uint8

// The results.
const (
	HandshakeNone    HandshakeResult = iota
	HandshakeAgreed                  // cookies were sent
	HandshakeRefused                 // closed before TLS: rule or limit
	HandshakeTLS                     // TLS did not come about
	HandshakeNoAEAD                  // no protocol or algorithm in common, or a bad request
	HandshakeBroken                  // the client went away or took too long
	handshakeResults
)

var handshakeNames = [handshakeResults]string{"", "agreed", "refused", "tls-failed", "not-agreed", "broken"}

// String returns the result's name.
func (r HandshakeResult) String() string {
	if r < handshakeResults {
		return handshakeNames[r]
	}
	return "invalid"
}

// Handshake is one NTS-KE connection.
type Handshake struct {
	Addr    [16]byte
	At      ntp.Timestamp
	Result  HandshakeResult
	Offered []uint16 // AEADs
	Name    bool     // the client told the server's name (SNI)
	Told    bool     // Name and Offered are known
}

// aeads are those that a bit stands for.
var aeads = [...]uint16{15, 16, 17, 30}

// SeeHandshake takes an NTS-KE connection. TCP proves the address.
func (v *Inventory) SeeHandshake(h *Handshake) bool {
	now := seconds(h.At)
	rank := Answered
	if h.Result == HandshakeAgreed {
		rank = Authenticated
	}
	ref := v.row(&h.Addr, rank, now)
	if ref == 0 {
		return false
	}
	c := v.clients.at(ref)
	c.last = now
	c.result, c.handshake = uint8(h.Result), now
	if h.Result == HandshakeAgreed {
		c.handshakes = add32(c.handshakes, 1)
	} else {
		c.failures = inc16(c.failures)
	}
	if h.Told {
		c.offered, c.sni = 0, 2
		for _, id := range h.Offered {
			for i, known := range aeads {
				if id == known {
					c.offered |= 1 << i
				}
			}
		}
		if h.Name {
			c.sni = 1
		}
	}
	v.promote(c, rank)
	v.touch(ref, c)
	return true
}
