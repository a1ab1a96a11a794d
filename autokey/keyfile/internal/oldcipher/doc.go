// Package oldcipher has the block ciphers of encrypted key files that neither
// the standard library nor x/crypto has: RC2 (RFC 2268), Camellia (RFC 3713)
// and SEED (RFC 4269).
//
// They are for reading and writing key files under a password, nothing else:
// the table look-ups are not constant in time.
package oldcipher

import "fmt"

// KeySizeError is a key length in octets that the cipher does not take.
type KeySizeError int

// Error implements error.
func (k KeySizeError) Error() string { return fmt.Sprintf("oldcipher: key of %d octets", int(k)) }
