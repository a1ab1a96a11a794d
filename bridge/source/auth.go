package source

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"ntsbridge/bridge/ntp"
	"ntsbridge/symkey"
)

// Authenticator protects the packets of one association. It belongs to the
// association's goroutine.
type Authenticator interface {
	// Kind is what samples are marked with.
	Kind() ntp.Kind
	// Prepare does for the next packet what needs no timestamp. poll is the
	// poll interval.
	Prepare(m Moment, poll time.Duration) error
	// Seal completes a packet whose header is p[:48] and returns its length;
	// p has maxPacket octets.
	Seal(p []byte) (int, error)
	// Open judges a packet from the other side.
	Open(m Moment, p []byte) Judgement
}

// Judgement is what an authenticator makes of a packet.
type Judgement struct {
	Usable  bool  // the header may be used for time
	Again   bool  // another packet should follow soon: a handshake goes on
	Waiting bool  // the other side is not ready yet
	Answer  bool  // the other side asked something (Autokey in symmetric modes)
	Err     error // why the packet is dropped
}

// maxPacket is the longest packet sent or received, octets.
const maxPacket = 2304

// None is no authentication.
type None struct{}

// Kind implements Authenticator.
func (None) Kind() ntp.Kind { return ntp.KindNone }

// Prepare implements Authenticator.
func (None) Prepare(Moment, time.Duration) error { return nil }

// Seal implements Authenticator.
func (None) Seal([]byte) (int, error) { return ntp.HeaderLen, nil }

// Open implements Authenticator. Extension fields and MACs are ignored.
func (None) Open(_ Moment, p []byte) Judgement {
	switch l := ntp.Classify(p, noKeys{}); {
	case l.Defect == ntp.ReasonCryptoNAK:
		return Judgement{Err: ErrCryptoNAK}
	case l.Defect != ntp.ReasonOK:
		return Judgement{Err: errPacket}
	}
	return Judgement{Usable: true}
}

// noKeys is an empty key table.
type noKeys struct{}

// FullMACLen implements ntp.Keys.
func (noKeys) FullMACLen(uint32) (int, bool) { return 0, false }

// Symmetric is a symmetric key.
type Symmetric struct {
	key     *symkey.Key
	table   *symkey.Table
	scratch *symkey.Scratch
}

// NewSymmetric makes an authenticator with one key.
func NewSymmetric(key *symkey.Key) (*Symmetric, error) {
	if key == nil {
		return nil, errors.New("source: no key")
	}
	table, err := symkey.NewTable([]*symkey.Key{key}, symkey.TrustAll)
	if err != nil {
		return nil, err
	}
	return &Symmetric{key, table, symkey.NewScratch()}, nil
}

// Format hides the key, whatever the verb.
func (s *Symmetric) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "symmetric(%d)", s.key.ID()) }

// Kind implements Authenticator.
func (*Symmetric) Kind() ntp.Kind { return ntp.KindSymmetric }

// Prepare implements Authenticator.
func (*Symmetric) Prepare(Moment, time.Duration) error { return nil }

// Seal implements Authenticator.
func (s *Symmetric) Seal(p []byte) (int, error) {
	n := s.key.Seal(p, ntp.HeaderLen, s.key.WireLen(ntp.VersionOf(p)), s.scratch)
	if n == 0 {
		return 0, fmt.Errorf("source: key %d makes no MAC for version %d", s.key.ID(), ntp.VersionOf(p))
	}
	return n, nil
}

// Open implements Authenticator.
func (s *Symmetric) Open(_ Moment, p []byte) Judgement {
	l := ntp.Classify(p, s.table)
	switch {
	case l.Defect == ntp.ReasonCryptoNAK:
		return Judgement{Err: ErrCryptoNAK}
	case l.Defect != ntp.ReasonOK:
		return Judgement{Err: errPacket}
	case l.Kind != ntp.KindSymmetric:
		return Judgement{Err: fmt.Errorf("%w: no MAC of key %d", ErrNotAuthentic, s.key.ID())}
	case binary.BigEndian.Uint32(p[l.MAC:]) != s.key.ID():
		return Judgement{Err: fmt.Errorf("%w: MAC of key %d, not of %d", ErrNotAuthentic, l.KeyID, s.key.ID())}
	case !s.key.Verify(p, l.MAC, s.scratch):
		return Judgement{Err: fmt.Errorf("%w: wrong MAC under key %d", ErrNotAuthentic, s.key.ID())}
	}
	return Judgement{Usable: true}
}
