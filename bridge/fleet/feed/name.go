package feed

import (
	"bytes"
	"encoding/binary"

	"ntsbridge/bridge/ntp"
)

// The ASSOC request of Autokey: its type word, and where its value begins
// (RFC 5906, section 10: type, length, association ID, timestamp, filestamp,
// value length).
const (
	assocRequest = 0x0201
	assocValue   = 20
)

// AutokeyName returns the host name and the group that a client tells in an
// ASSOC request; ok is false if the packet is none. Nothing in it is verified:
// such requests have no secret.
func AutokeyName(packet []byte) (host, group string, ok bool) {
	f, ok := ntp.FieldAt(packet, ntp.HeaderLen)
	if !ok || f.Type != assocRequest || f.Length < assocValue {
		return "", "", false
	}
	b := packet[f.Offset : f.Offset+f.Length]
	n := int(binary.BigEndian.Uint32(b[assocValue-4:]))
	if n < 0 || n > len(b)-assocValue {
		return "", "", false
	}
	name, _, _ := bytes.Cut(b[assocValue:assocValue+n], []byte{0})
	h, g, _ := bytes.Cut(name, []byte{'@'})
	return string(h), string(g), true
}
