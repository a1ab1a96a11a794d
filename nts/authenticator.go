package nts

import (
	"encoding/binary"

	"ntsbridge/bridge/ntp"
	"ntsbridge/nts/aead"
)

// Limits of packets.
const (
	// MaxCookies is the number of cookies that a client holds and that an
	// answer carries at most (RFC 8915, sections 4.1.6 and 5.7).
	MaxCookies = 8
	// MinUniqueIdentifierLen is the least length of a unique identifier in
	// octets (RFC 8915, section 5.3).
	MinUniqueIdentifierLen = 32
	// MaxUniqueIdentifierLen is the longest one that we take. The RFC has no
	// limit; every known client sends 32, and ntpsec's server takes 64.
	MaxUniqueIdentifierLen = 256
	// maxCookieLen is the longest foreign cookie that our client takes: with it a
	// request fits into IPv6's least MTU. chrony takes 256 octets.
	maxCookieLen = 1024
	// maxNonceLen is the longest nonce that we send.
	maxNonceLen = 16
)

// authenticator is the body of an NTS authenticator and encrypted extension
// fields field (RFC 8915, section 5.6): two lengths, nonce and ciphertext,
// each padded to a multiple of 4 octets, and more padding.
type authenticator struct {
	nonce      []byte
	ciphertext []byte
	room       int // octets of the body without the two lengths
}

func padded(n int) int { return (n + 3) &^ 3 }

// parseAuthenticator finds nonce and ciphertext. What the padding contains
// is nobody's business: it is not authenticated.
func parseAuthenticator(body []byte) (a authenticator, ok bool) {
	if len(body) < 4 {
		return a, false
	}
	nonceLen := int(binary.BigEndian.Uint16(body))
	ciphertextLen := int(binary.BigEndian.Uint16(body[2:]))
	body = body[4:]
	start := padded(nonceLen)
	if nonceLen == 0 || ciphertextLen < aead.TagLen || start+padded(ciphertextLen) > len(body) {
		return a, false
	}
	return authenticator{body[:nonceLen], body[start : start+ciphertextLen], len(body)}, true
}

// fits checks what depends on the AEAD: a nonce that it takes, and padding
// that makes up for a nonce shorter than N_REQ = min(16, longest nonce of the
// AEAD), so that an answer with a nonce of N_REQ octets is not longer than
// the request (RFC 8915, section 5.6).
func (a *authenticator) fits(id aead.ID) bool {
	required := id.NonceLen() // 16 for AES-SIV, 12 for AES-GCM-SIV: N_REQ
	if id == aead.AES128GCMSIV && len(a.nonce) != required {
		return false
	}
	return required+padded(len(a.ciphertext)) <= a.room
}

// authenticatorLen returns the length of an authenticator field with our
// nonce and a plaintext of this many octets, a multiple of 4.
func authenticatorLen(id aead.ID, plaintext int) int {
	return ntp.FieldHeaderLen + 4 + id.NonceLen() + aead.TagLen + plaintext
}

// appendAuthenticator appends the field that seals the packet so far. Nonce
// and plaintext are multiples of 4 octets long, so nothing is padded: ntpsec
// takes all that follows the nonce for ciphertext.
func appendAuthenticator(p []byte, key *aead.Key, nonce, plaintext []byte) []byte {
	ad := p
	sealed := len(plaintext) + aead.TagLen
	p = binary.BigEndian.AppendUint16(p, ntp.FieldAuthenticator)
	p = binary.BigEndian.AppendUint16(p, uint16(ntp.FieldHeaderLen+4+len(nonce)+sealed))
	p = binary.BigEndian.AppendUint16(p, uint16(len(nonce)))
	p = binary.BigEndian.AppendUint16(p, uint16(sealed))
	p = append(p, nonce...)
	return key.Seal(p, nonce, plaintext, ad)
}

// innerField reads the extension field at the start of a decrypted plaintext;
// they may be shorter than others, but are multiples of 4 octets (RFC 8915,
// section 5.5).
func innerField(b []byte) (fieldType uint16, body, rest []byte, ok bool) {
	if len(b) < ntp.FieldHeaderLen {
		return 0, nil, nil, false
	}
	n := int(binary.BigEndian.Uint16(b[2:]))
	if n < ntp.FieldHeaderLen || n%4 != 0 || n > len(b) {
		return 0, nil, nil, false
	}
	return binary.BigEndian.Uint16(b), b[ntp.FieldHeaderLen:n], b[n:], true
}
