package nts

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Record types of NTS-KE (RFC 8915, section 7.6). RecordCompliantExport is
// chrony's (4.6.1 and later): non-critical, empty, it asks for AES-128-GCM-SIV
// keys exported as the RFC says.
const (
	RecordEndOfMessage    uint16 = 0
	RecordNextProtocol    uint16 = 1
	RecordError           uint16 = 2
	RecordWarning         uint16 = 3
	RecordAEAD            uint16 = 4
	RecordCookie          uint16 = 5
	RecordServer          uint16 = 6
	RecordPort            uint16 = 7
	RecordCompliantExport uint16 = 1024
)

// Error codes of an error record (RFC 8915, section 4.1.3).
const (
	ErrorUnrecognizedCritical uint16 = 0
	ErrorBadRequest           uint16 = 1
	ErrorInternal             uint16 = 2
)

// ProtocolNTPv4 is the next protocol identifier of NTPv4 (RFC 8915, section 7.7).
const ProtocolNTPv4 uint16 = 0

const (
	recordHeaderLen = 4
	criticalBit     = 1 << 15
)

// MaxMessage is the longest request in octets that a server takes, as in
// chrony. A usual request has 16 to 30, a usual response below 1500.
const MaxMessage = 16384

// MaxResponse is the longest response in octets that a client takes (RFC 8915,
// section 4).
const MaxResponse = 65536

// Errors of NTS-KE messages.
var (
	ErrTruncated = errors.New("nts: message ends inside a record or before its end-of-message record")
	ErrTooLong   = errors.New("nts: message too long")
	ErrMalformed = errors.New("nts: malformed message")
)

// Record is one NTS-KE record (RFC 8915, section 4).
type Record struct {
	Critical bool
	Type     uint16 // 0 to 32767
	Body     []byte // at most 65535 octets
}

// AppendRecord appends the record to a message. Type and body must be in range.
func AppendRecord(dst []byte, r Record) []byte {
	word := r.Type &^ criticalBit
	if r.Critical {
		word |= criticalBit
	}
	dst = binary.BigEndian.AppendUint16(dst, word)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(r.Body)))
	return append(dst, r.Body...)
}

// NextRecord reads the first record of a message and returns what follows it.
// The body is a part of msg. ErrTruncated means that the record is not
// complete yet.
func NextRecord(msg []byte) (r Record, rest []byte, err error) {
	if len(msg) < recordHeaderLen {
		return Record{}, nil, ErrTruncated
	}
	word := binary.BigEndian.Uint16(msg)
	end := recordHeaderLen + int(binary.BigEndian.Uint16(msg[2:]))
	if end > len(msg) {
		return Record{}, nil, ErrTruncated
	}
	r = Record{word&criticalBit != 0, word &^ criticalBit, msg[recordHeaderLen:end:end]}
	return r, msg[end:], nil
}

// Complete tells a reader whether it has a whole message: the octets up to and
// with the first end-of-message record, or 0 if more have to come. What cannot
// become a message of at most limit octets is ErrTooLong.
func Complete(buf []byte, limit int) (octets int, err error) {
	for rest := buf; ; {
		if used := len(buf) - len(rest); len(rest) >= recordHeaderLen &&
			used+recordHeaderLen+int(binary.BigEndian.Uint16(rest[2:])) > limit {
			return 0, ErrTooLong
		}
		r, tail, err := NextRecord(rest)
		if err != nil {
			if len(buf) >= limit {
				return 0, ErrTooLong
			}
			return 0, nil
		}
		if r.Type == RecordEndOfMessage {
			return len(buf) - len(tail), nil
		}
		rest = tail
	}
}

// body returns the records before the end-of-message record, which must be
// critical, empty and the last one (RFC 8915, section 4.1.1).
func body(msg []byte) ([]Record, error) {
	if len(msg) > MaxResponse {
		return nil, ErrTooLong
	}
	var records []Record
	for {
		r, rest, err := NextRecord(msg)
		if err != nil {
			return nil, err
		}
		if r.Type != RecordEndOfMessage {
			records = append(records, r)
			msg = rest
			continue
		}
		if !r.Critical || len(r.Body) != 0 || len(rest) != 0 {
			return nil, fmt.Errorf("%w: end-of-message record is not critical, not empty or not the last", ErrMalformed)
		}
		return records, nil
	}
}

// uint16s reads a body of 16-bit numbers. ok is false for an odd length.
func uint16s(body []byte) (list []uint16, ok bool) {
	if len(body)%2 != 0 {
		return nil, false
	}
	for ; len(body) > 0; body = body[2:] {
		list = append(list, binary.BigEndian.Uint16(body))
	}
	return list, true
}

func uint16Record(critical bool, recordType uint16, values ...uint16) Record {
	var b []byte
	for _, v := range values {
		b = binary.BigEndian.AppendUint16(b, v)
	}
	return Record{critical, recordType, b}
}

var endOfMessage = Record{Critical: true, Type: RecordEndOfMessage}
