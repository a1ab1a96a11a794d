package control

import (
	"encoding/binary"

	mode6 "github.com/facebook/time/ntp/control"

	"ntsbridge/bridge/ntp"
)

// Mode 6 is how ntpq asks (RFC 1305, appendix B; RFC 9327). What is here
// follows ntpd 4.2.8p15, octet for octet, but only reads: status, association
// list, variables of the system, of associations and of reference clocks, and
// for who has the key for it the lists of addresses and of access rules. The
// names that ntpsec's ntpq asks for beside are known too. It knows no traps and
// no configuration: what would change something is refused, with any key.

// QuerySource is where the answers to mode 6 requests come from. It is asked
// by one goroutine at a time.
type QuerySource interface {
	// System returns the system variables. clock is what is served.
	System(now ntp.Timestamp, clock *ntp.ClockState) *SystemVariables
	// Associations returns all associations, in the order in which they are to
	// be listed; ntpd lists the youngest first. Identifiers are not 0 and
	// differ.
	Associations(now ntp.Timestamp) []Association
	// Authority returns the keys by which a request can be authentic.
	Authority() Authority
	// Interfaces returns the addresses that are listened on.
	Interfaces() []InterfaceVariables
	// Restrictions returns the rules of access.
	Restrictions() []RestrictionVariables
}

// The operation codes that are not read-only, or that an ntpd can turn off
// (RFC 9327, section 2, and ntp_control.h). Those to read are in package
// mode6.
const (
	opUnspecified   = 0
	opWriteVars     = 3
	opReadClock     = 4
	opWriteClock    = 5
	opSetTrap       = 6
	opConfigure     = 8
	opSaveConfig    = 9
	opReadOrdered   = 11
	opUnsetTrap     = 31
	operationMask   = 0x1f
	controlFlagMask = 0xe0 // response, error, more
)

// query is a request that can be answered.
type query struct {
	head mode6.NTPControlMsgHead
	data []byte
	auth authentication
}

// parseQuery reads a request. ok is false for what gets no answer at all, as
// with ntpd: too short, a response, a fragment, another version or mode.
func parseQuery(p []byte) (q query, e queryError, ok bool) {
	if len(p) < queryHeaderLen {
		return q, errNone, false
	}
	if _, err := binary.Decode(p, binary.BigEndian, &q.head); err != nil {
		return q, errNone, false
	}
	version := q.head.GetVersion()
	if version < 1 || version > 4 || q.head.GetMode() != mode6.Mode ||
		q.head.REMOp&controlFlagMask != 0 || q.head.Offset != 0 {
		return q, errNone, false
	}
	if len(p)%4 != 0 || int(q.head.Count) > len(p)-queryHeaderLen {
		return q, errFormat, true
	}
	q.data = p[queryHeaderLen:][:q.head.Count] // what follows is padding, or a MAC
	return q, errNone, true
}

// Respond answers one mode 6 request, of any octets, and returns the packets
// to send: none for what is to be ignored, else at most 32 of at most 480
// octets, and a MAC if the request has one.
func Respond(src QuerySource, now ntp.Timestamp, clock *ntp.ClockState, request []byte) [][]byte {
	q, e, ok := parseQuery(request)
	if !ok {
		return nil
	}
	w := newQueryWriter(&q.head, clock.Leap)
	if e == errNone {
		w.auth = verify(request, len(q.data), src.Authority().Keys)
		q.auth = w.auth
		e = q.answer(w, src, now, clock)
	}
	if e != errNone {
		return [][]byte{w.failure(e)}
	}
	return w.finish()
}

func (q *query) answer(w *queryWriter, src QuerySource, now ntp.Timestamp, clock *ntp.ClockState) queryError {
	switch operation := q.head.REMOp & operationMask; operation {
	case opUnspecified, mode6.OpReadStatus, mode6.OpReadVariables:
		if q.head.AssociationID != 0 {
			return q.answerAssociation(w, src, now)
		}
		sys := src.System(now, clock)
		w.status(sys.Status.word(sys.Leap))
		switch operation {
		case mode6.OpReadStatus:
			putAssociations(w, src.Associations(now))
		case mode6.OpReadVariables:
			return putVariables(w, systemVariables, defaultSystemVariables, q.data, sys)
		}
		return errNone
	case opReadClock:
		return q.answerClock(w, src, now)
	case opReadOrdered:
		if by := src.Authority(); q.auth.allowed(&by) {
			return q.answerOrdered(w, src)
		}
		return errPermission
	case opWriteVars, opWriteClock, opSetTrap, opConfigure, opSaveConfig, opUnsetTrap:
		return errPermission
	}
	return errOperation
}

func (q *query) answerAssociation(w *queryWriter, src QuerySource, now ntp.Timestamp) queryError {
	for _, a := range src.Associations(now) {
		if a.ID != q.head.AssociationID {
			continue
		}
		w.status(a.Status.word(a.signed(), a.Reach != 0))
		switch q.head.REMOp & operationMask {
		case mode6.OpReadStatus:
			return putVariables(w, associationVariables, defaultAssociationVariables, nil, &a)
		case mode6.OpReadVariables:
			return putVariables(w, associationVariables, defaultAssociationVariables, q.data, &a)
		}
		return errNone
	}
	return errAssociation
}
