package load

import (
	"errors"

	"ntsbridge/bridge/ntp"
	"ntsbridge/symkey"
)

// Symmetric makes requests with the MAC of a symmetric key.
type Symmetric struct {
	key     *symkey.Key
	scratch *symkey.Scratch
}

// NewSymmetric returns a maker for the key.
func NewSymmetric(key *symkey.Key) *Symmetric {
	return &Symmetric{key, symkey.NewScratch()}
}

// Name implements Maker.
func (s *Symmetric) Name() string { return s.key.Algorithm() }

// Request implements Maker.
func (s *Symmetric) Request(transmit ntp.Timestamp) ([]byte, error) {
	p := header(transmit)
	n := s.key.Seal(p[:cap(p)], len(p), s.key.WireLen(4), s.scratch)
	if n == 0 {
		return nil, errors.New("the key makes no MAC")
	}
	return p[:n], nil
}

// MinAnswer implements Maker: a crypto-NAK is shorter.
func (s *Symmetric) MinAnswer() int { return ntp.HeaderLen + 4 + s.key.WireLen(4) }

// Verify implements Maker. The answer's MAC must stand directly behind the
// header.
func (s *Symmetric) Verify(_, answer []byte) error {
	if !s.key.Verify(answer, ntp.HeaderLen, s.scratch) {
		return errors.New("the MAC does not verify")
	}
	return nil
}
