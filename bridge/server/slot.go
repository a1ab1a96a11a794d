package server

import (
	"crypto/rand"
	"time"

	"ntsbridge/autokey"
	"ntsbridge/bridge/access"
	"ntsbridge/bridge/ntp"
	"ntsbridge/nts"
	"ntsbridge/symkey"
)

// State is what a reload replaces as a whole. It is immutable once given to
// the server; nil parts are switched off.
type State struct {
	Access  *access.Table
	Limiter *access.Limiter
	Keys    *symkey.Table
	Autokey *autokey.Server
	NTS     *nts.Server
	Query   Query    // mode 6
	Signing *Signing // of answers to Active Directory's clients
	// Excess bounds the octets by which Autokey's answers, to whomever, are
	// longer than the requests; nil: not bounded.
	Excess *access.Pool
}

// Query answers packets of mode 6, by which ntpq asks a server about itself.
// They take the slow lane: never is a worker held up by one.
type Query interface {
	// Admit tells whether a source may ask now. Any worker calls it, before
	// the request is queued. mono is the time in nanoseconds since any moment;
	// known sources proved lately that they are no forgery.
	Admit(mono int64, req *ntp.Request, known bool) bool
	// Answer returns the packets to send to an admitted request, and the
	// reason, ntp.ReasonOK if there are any. The slow lane calls it, one
	// request after the other.
	Answer(now ntp.Timestamp, mono int64, clock *ntp.ClockState, req *ntp.Request, known bool) ([][]byte, ntp.Reason)
}

// slot is one request on its way through the two passes.
type slot struct {
	req     ntp.Request
	verdict ntp.Verdict
	key     *symkey.Key
	nts     *nts.Session     // these two are large and apart, so that the
	autokey *autokey.Session // slots of a batch lie close together
	receive ntp.Timestamp    // receive timestamp as sent: the name of this answer
	sent    ntp.Timestamp    // transmit timestamp of the answer, 0: none
	judged  bool             // by open, so that it counts for the inventory of clients
	stampTX bool             // the kernel is to tell when the answer left
	ifindex uint32           // interface of arrival, for link-local answers
	device  uint32           // the one whose clock may have stamped it, 0: not known
}

// init gives the slot its sessions; that for NTS is seeded from the system.
func (s *slot) init() error {
	var seed [32]byte
	if _, err := rand.Read(seed[:]); err != nil {
		return err
	}
	s.nts, s.autokey = nts.NewSession(seed), new(autokey.Session)
	return nil
}

func drop(kind ntp.Kind, reason ntp.Reason) ntp.Verdict {
	return ntp.Verdict{Action: ntp.Drop, Reason: reason, Kind: kind}
}

// Signing is how answers to Active Directory's clients are signed: by Samba's
// ntp_signd.
type Signing struct {
	Socket  string
	Timeout time.Duration // for each answer, the time in the queue included
	Rate    *access.Pool  // bounds what Samba is asked, one unit for each answer
}
