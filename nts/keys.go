package nts

import (
	"encoding/binary"
	"fmt"
	"io"

	"ntsbridge/nts/aead"
)

// ALPN is the application protocol of NTS-KE (RFC 8915, section 3).
const ALPN = "ntske/1"

// ExporterLabel is the TLS exporter's label (RFC 8915, section 5.1).
const ExporterLabel = "EXPORTER-network-time-security"

// maxKeyLen is the longest key of a supported AEAD in octets.
const maxKeyLen = 64

// Keys are what both ends of an NTS association share: the AEAD and one key
// for each direction (RFC 8915, section 5.1). They are also all that a cookie
// contains. The zero value is no keys.
type Keys struct {
	AEAD aead.ID
	both [2 * maxKeyLen]byte // AEAD.KeyLen() octets C2S, as many S2C, zeros
}

// NewKeys returns the keys for an AEAD. Both must have its key length.
func NewKeys(id aead.ID, c2s, s2c []byte) (Keys, error) {
	n := id.KeyLen()
	if n == 0 || len(c2s) != n || len(s2c) != n {
		return Keys{}, fmt.Errorf("nts: keys of %d and %d octets do not fit %v", len(c2s), len(s2c), id)
	}
	k := Keys{AEAD: id}
	copy(k.both[:], c2s)
	copy(k.both[n:], s2c)
	return k, nil
}

// C2S returns the key for requests, AEAD.KeyLen() octets.
func (k *Keys) C2S() []byte { return k.both[:k.AEAD.KeyLen()] }

// S2C returns the key for responses, AEAD.KeyLen() octets.
func (k *Keys) S2C() []byte {
	n := k.AEAD.KeyLen()
	return k.both[n : 2*n]
}

// Clear overwrites the keys.
func (k *Keys) Clear() { *k = Keys{} }

// Format tells the AEAD and nothing of the keys, whatever the verb.
func (k Keys) Format(s fmt.State, _ rune) {
	_, _ = io.WriteString(s, "nts.Keys("+k.AEAD.String()+", redacted)")
}

// Agreement is what NTS-KE settles about keys.
//
// chrony 4.4 to 4.6 exported AES-128-GCM-SIV keys (30) with the context of
// AES-SIV-CMAC-256 (15); the length was right. Since 4.6.1 a client that
// offers 30 adds an empty record 1024, a server that answers 30 returns it,
// and then both use context 30. Without it, both fall back to 15.
type Agreement struct {
	AEAD aead.ID
	// Compliant tells whether record 1024 was exchanged. It matters for
	// AES-128-GCM-SIV only.
	Compliant bool
}

// context returns the exporter context of RFC 8915, section 5.1: protocol,
// AEAD, and 0 for client to server or 1 for server to client.
func (a Agreement) context(direction byte) []byte {
	id := a.AEAD
	if id == aead.AES128GCMSIV && !a.Compliant {
		id = aead.AESSIVCMAC256
	}
	c := binary.BigEndian.AppendUint16(nil, ProtocolNTPv4)
	c = binary.BigEndian.AppendUint16(c, uint16(id))
	return append(c, direction)
}

// Exporter exports keying material from a TLS session (RFC 8446, section 7.5);
// (*tls.ConnectionState).ExportKeyingMaterial is one.
type Exporter func(label string, context []byte, octets int) ([]byte, error)

// Export derives the keys of the agreement from a TLS session.
func (a Agreement) Export(export Exporter) (Keys, error) {
	n := a.AEAD.KeyLen()
	if n == 0 {
		return Keys{}, fmt.Errorf("nts: %w: %v", aead.ErrAlgorithm, a.AEAD)
	}
	c2s, err := export(ExporterLabel, a.context(0), n)
	if err != nil {
		return Keys{}, fmt.Errorf("nts: export of the client-to-server key: %w", err)
	}
	s2c, err := export(ExporterLabel, a.context(1), n)
	if err != nil {
		return Keys{}, fmt.Errorf("nts: export of the server-to-client key: %w", err)
	}
	return NewKeys(a.AEAD, c2s, s2c)
}
