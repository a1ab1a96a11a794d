package load

import (
	"ntsbridge/bridge/ntp"
)

// Maker makes the requests of one kind of authentication and verifies answers
// to them. Requests are made before the clock runs.
type Maker interface {
	// Name is the kind's name in tables.
	Name() string
	// Request returns a request with the given transmit timestamp.
	Request(transmit ntp.Timestamp) ([]byte, error)
	// MinAnswer is the least length of an answer that carries time and its
	// authenticator, octets; a shorter one is a refusal.
	MinAnswer() int
	// Verify checks an answer's authenticator against its request.
	Verify(request, answer []byte) error
}

// Plain makes requests without authentication.
type Plain struct{}

// Name implements Maker.
func (Plain) Name() string { return "none" }

// Request implements Maker.
func (Plain) Request(transmit ntp.Timestamp) ([]byte, error) { return header(transmit), nil }

// MinAnswer implements Maker.
func (Plain) MinAnswer() int { return ntp.HeaderLen }

// Verify implements Maker: nothing to verify.
func (Plain) Verify(_, _ []byte) error { return nil }

// header returns the header of a client's request as chrony sends it: all
// zero but version, mode, poll and transmit timestamp.
func header(transmit ntp.Timestamp) []byte {
	p := make([]byte, ntp.HeaderLen, 512)
	h := ntp.Header{Version: 4, Mode: ntp.ModeClient, Poll: 6, Precision: 32, Transmit: transmit}
	h.Encode(p)
	return p
}
