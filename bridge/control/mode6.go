package control

import (
	"encoding/binary"
	"strings"

	mode6 "github.com/facebook/time/ntp/control"

	"ntsbridge/bridge/ntp"
)

// Mode 6 is how ntpq asks (RFC 1305, appendix B; RFC 9327). What is here
// follows ntpd 4.2.8p15, octet for octet, but only reads: status, association
// list, variables of the system and of associations. It knows no traps, no
// MRU list, no reference clocks, no configuration and no authentication.

// QuerySource is where the answers to mode 6 requests come from. It is asked
// by one goroutine at a time.
type QuerySource interface {
	// System returns the system variables. clock is what is served.
	System(now ntp.Timestamp, clock *ntp.ClockState) *SystemVariables
	// Associations returns all associations, in the order in which they are to
	// be listed; ntpd lists the youngest first. Identifiers are not 0 and
	// differ.
	Associations(now ntp.Timestamp) []Association
}

const (
	queryHeaderLen = 12  // octets (RFC 9327, figure 1)
	queryDataLen   = 468 // octets of data in one packet, at most
	// maxFragments is how many packets one answer has at most; ntpq takes no
	// more.
	maxFragments = 32
	// maxValueLen is the length of a value that a request for a variable may
	// carry, octets. It is of no use when reading.
	maxValueLen = 127
)

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

// queryError is the error code in the upper half of the status of an error
// response (RFC 9327, section 3, figure 5).
type queryError uint8

const (
	errNone        queryError = 0
	errPermission  queryError = 1 // authentication is missing
	errFormat      queryError = 2 // invalid message length or format
	errOperation   queryError = 3 // invalid operation code
	errAssociation queryError = 4 // unknown association identifier
	errVariable    queryError = 5 // unknown variable name
)

// query is a request that can be answered.
type query struct {
	head mode6.NTPControlMsgHead
	data []byte
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
	q.data = p[queryHeaderLen:][:q.head.Count] // what follows is padding, or a MAC that nothing here needs
	return q, errNone, true
}

// Respond answers one mode 6 request, of any octets, and returns the packets
// to send: none for what is to be ignored, else at most 32 of at most 480
// octets.
func Respond(src QuerySource, now ntp.Timestamp, clock *ntp.ClockState, request []byte) [][]byte {
	q, e, ok := parseQuery(request)
	if !ok {
		return nil
	}
	w := newQueryWriter(&q.head, clock.Leap)
	if e == errNone {
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
			w.associations(src.Associations(now))
		case mode6.OpReadVariables:
			return putVariables(w, systemVariables, defaultSystemVariables, q.data, sys)
		}
		return errNone
	case opReadClock: // there are no reference clocks
		return errAssociation
	case opWriteVars, opWriteClock, opSetTrap, opConfigure, opSaveConfig, opReadOrdered, opUnsetTrap:
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

// variable is a name that can be asked for. put writes it; it writes nothing
// where there is no value.
type variable[T any] struct {
	name string
	put  func(w *queryWriter, name string, from *T)
}

// putVariables writes the variables that a request names, in the order of the
// table and each once, or the default ones if it names none.
func putVariables[T any](w *queryWriter, table, defaults []variable[T], names []byte, from *T) queryError {
	wanted := make([]bool, len(table))
	named := false
	for rest := string(names); ; {
		name, next, e := nextName(rest)
		if e != errNone {
			return e
		}
		if name == "" {
			break
		}
		i := indexVariable(table, name)
		if i < 0 {
			return errVariable
		}
		wanted[i], named, rest = true, true, next
	}
	if !named {
		for _, v := range defaults {
			v.put(w, v.name, from)
		}
		return errNone
	}
	for i, v := range table {
		if wanted[i] {
			v.put(w, v.name, from)
		}
	}
	return errNone
}

// nextName cuts the first name off a list; it is empty at the end. A value
// behind the name is passed over. White space may stand before a name, not
// behind it.
func nextName(list string) (name, rest string, e queryError) {
	list = strings.TrimLeft(list, ", \t\r\n\v\f")
	item, rest, _ := strings.Cut(list, ",")
	name, value, assigned := strings.Cut(item, "=")
	if len(value) > maxValueLen || assigned && name == "" {
		return "", "", errFormat
	}
	return name, rest, errNone
}

func indexVariable[T any](table []variable[T], name string) int {
	for i := range table {
		if table[i].name == name {
			return i
		}
	}
	return -1
}

// pick returns the variables with the given names; it is for tables of this
// package.
func pick[T any](table []variable[T], names ...string) []variable[T] {
	picked := make([]variable[T], len(names))
	for i, name := range names {
		picked[i] = table[indexVariable(table, name)]
	}
	return picked
}

// nameList returns the names of a table, separated by commas.
func nameList[T any](table []variable[T]) string {
	names := make([]string, len(table))
	for i := range table {
		names[i] = table[i].name
	}
	return strings.Join(names, ",")
}
