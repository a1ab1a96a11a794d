package autokey

import (
	"errors"
	"fmt"
)

// MessageError says what was wrong with a message.
type MessageError struct {
	Op    Op
	Event Event
	Err   error // the fact and the remedy; may be nil
}

// Error implements error.
func (e *MessageError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("autokey: %v: %v", e.Op, e.Event)
	}
	return fmt.Sprintf("autokey: %v: %v: %v", e.Op, e.Event, e.Err)
}

// Unwrap returns the cause.
func (e *MessageError) Unwrap() error { return e.Err }

// Errors of received packets, one for each class that a caller treats
// differently. A packet with any of them was dropped and changed nothing.
var (
	// ErrOrigin says that a packet is no answer to the last request: late,
	// repeated or forged.
	ErrOrigin = errors.New("autokey: not an answer to the last request")
	// ErrMAC says that a packet has a wrong MAC, or one of another length.
	ErrMAC = errors.New("autokey: wrong MAC")
	// ErrCryptoNAK says that the other side could not verify our MAC.
	ErrCryptoNAK = errors.New("autokey: crypto-NAK")
	// ErrPacket says that a packet cannot be an answer at all.
	ErrPacket = errors.New("autokey: not an Autokey packet of this association")
	// ErrSequence says that the key identifier does not follow from the last
	// one: packets were lost, or it is forged.
	ErrSequence = errors.New("autokey: key identifier out of sequence")
)

// Outcome is what became of a received packet.
type Outcome struct {
	// Usable says that the header may be used for time.
	Usable bool
	// Progress says that a step of the dance was done and another one is to
	// come, which need not wait for the next poll.
	Progress bool
	// Answer says that the other side asked something: the next packet carries
	// the response (symmetric modes only; ntpd sends it after 2 s).
	Answer bool
	// Restarted says that the association begins anew with ASSOC.
	Restarted bool
	// Waiting says that the server is not ready yet: it has no certificate to
	// give out, since it is not synchronised or has no signed one.
	Waiting bool
	// Op is the operation of the message that was handled; HasMessage says
	// that there was one.
	Op         Op
	HasMessage bool
	// Err says why a packet was dropped: ErrOrigin, ErrMAC, ErrCryptoNAK,
	// ErrPacket, ErrSequence or a *MessageError. Nil: it was good.
	Err error
}

// Event returns the event code of the outcome.
func (o *Outcome) Event() Event {
	var e *MessageError
	if errors.As(o.Err, &e) {
		return e.Event
	}
	return EventOK
}

func messageError(op Op, e Event, format string, args ...any) *MessageError {
	m := &MessageError{Op: op, Event: e}
	if format != "" {
		m.Err = fmt.Errorf(format, args...)
	}
	return m
}
