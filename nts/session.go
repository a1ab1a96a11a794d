package nts

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"

	"ntsbridge/nts/aead"
)

const (
	cookieFieldMax = 4 + maxOwnCookieLen
	// maxPlaintext bounds what a request may encrypt: seven placeholders of
	// our longest cookie, and room for fields that we do not know.
	maxPlaintext = 2048
)

// Session is what the server keeps between Open and Seal of one packet: keys,
// unique identifier, new cookies. It is large, belongs to one worker, and is
// used again for every packet.
//
// Its nonces come from a ChaCha8 generator, which is cryptographically strong
// and erases its past; it is seeded once with true randomness and costs a few
// nanoseconds where the kernel costs a system call. All AEADs here also
// survive a repeated nonce.
type Session struct {
	random *rand.ChaCha8

	keys   Keys
	key    aead.Key // C2S while opening, then S2C
	ready  bool     // Open said Answer
	uidLen int
	uid    [MaxUniqueIdentifierLen]byte

	nonce    [maxNonceLen]byte
	plainLen int
	// plain is the request's plaintext, and after Open the response's.
	plain [max(maxPlaintext, MaxCookies*cookieFieldMax)]byte
}

// NewSession returns a session whose nonces come from the seed: 32 octets of
// a true random source, another 32 for each session.
func NewSession(seed [32]byte) *Session {
	return &Session{random: rand.NewChaCha8(seed)}
}

// Cookies returns the number of new cookies in the answer that Seal will make.
func (s *Session) Cookies() int {
	if !s.ready {
		return 0
	}
	return s.plainLen / (4 + CookieLen(s.keys.AEAD))
}

// Association tells associations apart, for rate limits, after an Open that
// said Answer. It is made of the keys and so secret: hash it with a key of
// your own. It is never 0.
func (s *Session) Association() uint64 {
	return binary.LittleEndian.Uint64(s.keys.both[:]) | 1
}

// Clear overwrites keys and cookies.
func (s *Session) Clear() {
	s.keys.Clear()
	s.key.Clear()
	clear(s.plain[:])
	s.reset()
}

func (s *Session) reset() {
	s.ready, s.uidLen, s.plainLen = false, 0, 0
}

// fill fills b, at most 16 octets, with random octets.
func (s *Session) fill(b []byte) { _, _ = s.random.Read(b) }

// Format tells nothing of the keys, whatever the verb.
func (s *Session) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "nts.Session(redacted)") }
