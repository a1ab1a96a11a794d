package nke

import (
	"net/netip"

	"ntsbridge/nts"
	"ntsbridge/nts/aead"
)

// Ending is how a connection ended.
type Ending uint8

// The endings.
const (
	EndAgreed    Ending = iota // cookies were sent
	EndRefused                 // closed before TLS, by a rule or a limit
	EndHandshake               // TLS did not come about
	EndNotAgreed               // no protocol or algorithm in common, or a bad request
	EndBroken                  // the client went away or took too long
)

// Observation is what a connection showed of a client.
type Observation struct {
	From       netip.Addr
	Ending     Ending
	ServerName bool      // the client told the name that it wants (SNI)
	Offered    []aead.ID // algorithms, of those that are known here; nil: its request was not seen
}

// observe tells of a connection.
func (c *Config) observe(o Observation) {
	if c.Observe != nil {
		c.Observe(o)
	}
}

// endingOf is the ending that an outcome of a request means.
func endingOf(o nts.Outcome) Ending {
	if o == nts.Agreed {
		return EndAgreed
	}
	return EndNotAgreed
}
