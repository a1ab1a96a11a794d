package autokey

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Op is the operation code of a message (RFC 5906, section 10).
type Op uint8

// The operation codes.
const (
	OpNull  Op = 0
	OpAssoc Op = 1 // association: host name and status word
	OpCert  Op = 2 // certificate
	OpCook  Op = 3 // cookie
	OpAuto  Op = 4 // autokey values
	OpLeap  Op = 5 // leap second values
	OpSign  Op = 6 // certificate to be signed
	OpIFF   Op = 7
	OpGQ    Op = 8
	OpMV    Op = 9
)

var opNames = [...]string{
	"NULL", "ASSOC", "CERT", "COOK", "AUTO", "LEAP", "SIGN", "IFF", "GQ", "MV",
}

// String returns the name as ntpd logs it.
func (o Op) String() string {
	if int(o) < len(opNames) {
		return opNames[o]
	}
	return fmt.Sprintf("op-%d", uint8(o))
}

// Version is the protocol version in every message.
const Version = 2

const (
	bitResponse = 0x8000 // of the type word
	bitError    = 0x4000

	shortLen = 8  // type, length, association ID
	nameLen  = 20 // the same, timestamp, filestamp, value length
	valueLen = 24 // the same and the signature length

	// maxMessageLen is the length of the longest message, octets.
	maxMessageLen = 2048
	// maxNameLen is the length of the longest host name, octets.
	maxNameLen = 512
)

// Code is the first half of a message's first word: response bit, error bit,
// version and operation code. It stands where the type of other extension
// fields does. (The tables of RFC 5906 have its octets swapped; RFC 9748 put
// that right.)
type Code uint16

// Request returns the code of a request.
func Request(op Op) Code { return Version<<8 | Code(op) }

// Op returns the operation code.
func (c Code) Op() Op { return Op(c) }

// Version returns the protocol version, 0 to 63.
func (c Code) Version() uint8 { return uint8(c >> 8 & 0x3f) }

// response reports whether the response bit is set.
func (c Code) response() bool { return c&bitResponse != 0 }

// Error reports whether the error bit is set.
func (c Code) Error() bool { return c&bitError != 0 }

// Message is one message, an extension field (RFC 5906, section 10). The
// slices alias the packet that it was read from.
type Message struct {
	Code          Code
	AssociationID uint32
	// Short is the form of 8 octets, without what follows.
	Short     bool
	Timestamp uint32 // NTP seconds of the signature, 0: not synchronised
	Filestamp uint32 // NTP seconds of the file; in ASSOC the status word
	Value     []byte
	Signature []byte
}

// ErrMessage says that an extension field is not a well-formed message.
var ErrMessage = errors.New("autokey: malformed message")

// parseMessage reads a message from an extension field, which begins with
// type and length. Lengths of value and signature, both with padding, must
// fit the field. Version and bits are not judged.
func parseMessage(field []byte) (Message, error) {
	if len(field) < shortLen || len(field)%4 != 0 || int(binary.BigEndian.Uint16(field[2:])) != len(field) {
		return Message{}, fmt.Errorf("%w: length", ErrMessage)
	}
	m := Message{
		Code:          Code(binary.BigEndian.Uint16(field)),
		AssociationID: binary.BigEndian.Uint32(field[4:]),
		Short:         len(field) == shortLen,
	}
	if m.Short {
		return m, nil
	}
	if len(field) < valueLen {
		return Message{}, fmt.Errorf("%w: %d octets are neither the short nor the long form", ErrMessage, len(field))
	}
	m.Timestamp = binary.BigEndian.Uint32(field[8:])
	m.Filestamp = binary.BigEndian.Uint32(field[12:])
	var rest []byte
	var ok bool
	if m.Value, rest, ok = cutPadded(field[16:]); !ok {
		return Message{}, fmt.Errorf("%w: value length", ErrMessage)
	}
	if m.Signature, _, ok = cutPadded(rest); !ok {
		return Message{}, fmt.Errorf("%w: signature length", ErrMessage)
	}
	return m, nil
}

// cutPadded reads a length and that many octets, padded to a multiple of 4.
func cutPadded(b []byte) (data, rest []byte, ok bool) {
	if len(b) < 4 {
		return nil, nil, false
	}
	n := uint64(binary.BigEndian.Uint32(b))
	padded := (n + 3) &^ 3
	if b = b[4:]; padded > uint64(len(b)) {
		return nil, nil, false
	}
	return b[:n:n], b[padded:], true
}

// len returns the length of the message as an extension field, octets.
func (m *Message) len() int {
	if m.Short {
		return shortLen
	}
	return valueLen + pad4(len(m.Value)) + pad4(len(m.Signature))
}

func pad4(n int) int { return (n + 3) &^ 3 }

// append appends the message as an extension field. Its length must not be
// above maxMessageLen.
func (m *Message) Append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(m.Code))
	dst = binary.BigEndian.AppendUint16(dst, uint16(m.len()))
	dst = binary.BigEndian.AppendUint32(dst, m.AssociationID)
	if m.Short {
		return dst
	}
	dst = binary.BigEndian.AppendUint32(dst, m.Timestamp)
	dst = binary.BigEndian.AppendUint32(dst, m.Filestamp)
	dst = appendPadded(dst, m.Value)
	return appendPadded(dst, m.Signature)
}

// appendPadded appends length and octets, zero-padded to a multiple of 4.
func appendPadded(dst, data []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(data)))
	dst = append(dst, data...)
	for n := pad4(len(data)) - len(data); n > 0; n-- {
		dst = append(dst, 0)
	}
	return dst
}

// appendSigned appends the octets that the signature of m covers: timestamp,
// filestamp, value length and the value without padding.
func (m *Message) appendSigned(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, m.Timestamp)
	dst = binary.BigEndian.AppendUint32(dst, m.Filestamp)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(m.Value)))
	return append(dst, m.Value...)
}
