package autokey

import (
	"fmt"

	"ntsbridge/bridge/ntp"
)

// MaxResponseLen is the length of the longest answer in octets: header,
// message, key identifier and MAC. Seal needs a buffer of that length.
const MaxResponseLen = ntp.HeaderLen + maxMessageLen + 4 + maxMACLen

// Session carries one request from Open to Seal. It belongs to the caller,
// who uses it for one request after the other. The zero value is ready; the
// first use allocates.
type Session struct {
	// Known is set by the caller before Open for a client of which it knows that
	// it receives at its address: it may spend what the budget keeps back from
	// strangers.
	Known bool
	// Op is the operation of the first message; OpNull if there is none.
	Op Op
	// HasMessage says that the request has a message and Op is valid.
	HasMessage bool
	// Event is what became of the message.
	Event Event
	// Cached says that the answer was made for an earlier, equal request.
	Cached bool
	// Cost is what was taken from the budget, in its units.
	Cost int
	// OctetsIn and OctetsOut are the lengths of request and answer; the answer
	// to a message can be longer.
	OctetsIn, OctetsOut int

	scratch  Scratch
	key      [maxDigestLen]byte // session key of the answer
	keyLen   int
	field    [maxMessageLen]byte // the answer's message
	fieldLen int
	call     call // in here, since an allocation a request is too much
}

// Format hides the session key, whatever the verb.
func (s *Session) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "session(%v %v)", s.Op, s.Event) }

// reset prepares the session for a request.
func (s *Session) reset(d Digest, octetsIn int) {
	s.scratch.use(d)
	s.Op, s.HasMessage, s.Event, s.Cached, s.Cost = OpNull, false, EventOK, false, 0
	s.OctetsIn, s.OctetsOut = octetsIn, 0
	s.keyLen, s.fieldLen = 0, 0
}
