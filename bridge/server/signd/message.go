package signd

import (
	"encoding/binary"
	"errors"
	"fmt"

	"ntsbridge/bridge/ntp"
)

// SignatureLen is the length of a signature: key identifier and MD5 (MS-SNTP,
// section 2.2.2).
const SignatureLen = 4 + 16

// Lengths of the messages without the packet in them, and the longest reply
// that makes sense.
const (
	lengthLen = 4
	askLen    = 16
	replyLen  = 12
	maxReply  = replyLen + ntp.HeaderLen + SignatureLen
)

// Operations of the protocol.
const (
	opSign    = 0
	opSigned  = 3
	opFailure = 4
)

// ErrRefused says that Samba has no secret that it would sign with.
var ErrRefused = errors.New("ntp_signd refuses the account")

// AppendRequest appends the request to sign an answer for the account of a key
// identifier. Identifier is as it came, in the order of the wire.
func AppendRequest(dst []byte, identifier [4]byte, packet []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(askLen+len(packet)))
	dst = binary.BigEndian.AppendUint32(dst, 0) // version
	dst = binary.BigEndian.AppendUint32(dst, opSign)
	dst = binary.BigEndian.AppendUint32(dst, 1) // number of the request
	dst = append(dst, identifier[:]...)
	return append(dst, packet...)
}

// ReplyLen reads the length that goes before a reply.
func ReplyLen(b [lengthLen]byte) (int, error) {
	n := binary.BigEndian.Uint32(b[:])
	if n < replyLen || n > maxReply {
		return 0, fmt.Errorf("ntp_signd: reply of %d octets; %d to %d make sense", n, replyLen, maxReply)
	}
	return int(n), nil
}

// ParseReply returns the signature in a reply, its length left out, to a request
// with that packet. The error is ErrRefused if there is none for the account.
func ParseReply(reply, packet []byte) (signature []byte, err error) {
	if len(reply) < replyLen {
		return nil, fmt.Errorf("ntp_signd: reply of %d octets is cut off", len(reply))
	}
	if v := binary.BigEndian.Uint32(reply); v != 0 {
		return nil, fmt.Errorf("ntp_signd: reply of version %d; this program speaks version 0", v)
	}
	switch op := binary.BigEndian.Uint32(reply[4:]); op {
	case opSigned:
	case opFailure:
		return nil, ErrRefused
	default:
		return nil, fmt.Errorf("ntp_signd: reply with the code %d", op)
	}
	signed := reply[replyLen:]
	if len(signed) != len(packet)+SignatureLen || string(signed[:len(packet)]) != string(packet) {
		return nil, errors.New("ntp_signd: the reply is not to what was asked")
	}
	return signed[len(packet):], nil
}
