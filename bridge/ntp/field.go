package ntp

import "encoding/binary"

// FieldHeaderLen is the length of an extension field's type and length.
const FieldHeaderLen = 4

// Extension field types of NTS (RFC 8915, section 7.5).
const (
	FieldUniqueIdentifier  uint16 = 0x0104
	FieldCookie            uint16 = 0x0204 // also Autokey's AUTO request
	FieldCookiePlaceholder uint16 = 0x0304
	FieldAuthenticator     uint16 = 0x0404
)

// Field is one extension field of a packet (RFC 7822, section 3).
type Field struct {
	Type   uint16
	Offset int // of the field's first octet in the packet
	Length int // octets with the 4 of type and length
}

// Body returns the field without type and length.
func (f Field) Body(packet []byte) []byte {
	return packet[f.Offset+FieldHeaderLen : f.Offset+f.Length]
}

// FieldAt reads the extension field that starts at offset. ok is false if its
// length is below 4, not a multiple of 4, or beyond the end of the packet.
// RFC 7822 asks for at least 16 octets, Autokey's fields have 8: the caller
// who cares checks.
func FieldAt(packet []byte, offset int) (f Field, ok bool) {
	if offset < HeaderLen || len(packet)-offset < FieldHeaderLen {
		return Field{}, false
	}
	length := int(binary.BigEndian.Uint16(packet[offset+2:]))
	if length < FieldHeaderLen || length%4 != 0 || length > len(packet)-offset {
		return Field{}, false
	}
	return Field{binary.BigEndian.Uint16(packet[offset:]), offset, length}, true
}

// AppendField appends an extension field with the given body, zero-padded to
// a multiple of 4 octets and to at least minLen octets in all.
func AppendField(dst []byte, fieldType uint16, body []byte, minLen int) []byte {
	length := max(FieldHeaderLen+(len(body)+3)&^3, (minLen+3)&^3)
	dst = binary.BigEndian.AppendUint16(dst, fieldType)
	dst = binary.BigEndian.AppendUint16(dst, uint16(length))
	dst = append(dst, body...)
	for n := length - FieldHeaderLen - len(body); n > 0; n-- {
		dst = append(dst, 0)
	}
	return dst
}
