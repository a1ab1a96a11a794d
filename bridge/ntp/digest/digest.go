// Package digest is the one table of the digests that keyed MACs of NTP are
// made with: those that OpenSSL offers to ntpd, for symmetric keys and for
// Autokey's session keys.
package digest

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"hash"

	"golang.org/x/crypto/blake2b"
	"golang.org/x/crypto/blake2s"
	//lint:ignore SA1019 ntpd offers it, so clients may use it
	"golang.org/x/crypto/md4"
	//lint:ignore SA1019 ntpd offers it, so clients may use it
	"golang.org/x/crypto/ripemd160"
)

// MaxSize is the length of the longest digest in octets: SHA-512's.
const MaxSize = 64

// Hash is what a MAC needs of a digest. Sum may spoil the state: Reset comes
// before each use.
type Hash interface {
	Write(p []byte) (int, error)
	Reset()
	Sum(b []byte) []byte
}

// Digest is one digest.
type Digest struct {
	Name string // OpenSSL's short name
	Size int    // octets
	New  func() Hash
	// Sum is the digest in one call, which keeps its state on the stack; nil
	// where there is none.
	Sum func(dst *[MaxSize]byte, message []byte)
}

var digests = []Digest{
	{"MD5", md5.Size, of(md5.New), sumMD5},
	{"MD4", md4.Size, of(md4.New), nil},
	{"MD5-SHA1", md5.Size + sha1.Size, newMD5SHA1, nil},
	{"SHA1", sha1.Size, of(sha1.New), sumSHA1},
	{"RIPEMD160", ripemd160.Size, of(ripemd160.New), nil},
	{"SHA224", sha256.Size224, of(sha256.New224), sumSHA224},
	{"SHA256", sha256.Size, of(sha256.New), sumSHA256},
	{"SHA384", sha512.Size384, of(sha512.New384), sumSHA384},
	{"SHA512", sha512.Size, of(sha512.New), sumSHA512},
	{"SHA512-224", sha512.Size224, of(sha512.New512_224), sumSHA512t224},
	{"SHA512-256", sha512.Size256, of(sha512.New512_256), sumSHA512t256},
	{"SHA3-224", 28, func() Hash { return sha3.New224() }, sumSHA3t224},
	{"SHA3-256", 32, func() Hash { return sha3.New256() }, sumSHA3t256},
	{"SHA3-384", 48, func() Hash { return sha3.New384() }, sumSHA3t384},
	{"SHA3-512", 64, func() Hash { return sha3.New512() }, sumSHA3t512},
	{"SHAKE128", 16, func() Hash { return &shake{sha3.NewSHAKE128(), 16} }, nil},
	{"SHAKE256", 32, func() Hash { return &shake{sha3.NewSHAKE256(), 32} }, nil},
	{"BLAKE2b512", blake2b.Size, newBLAKE2b, sumBLAKE2b},
	{"BLAKE2s256", blake2s.Size, newBLAKE2s, sumBLAKE2s},
	{"SM3", sm3Size, func() Hash { return newSM3() }, nil},
}

// of turns a constructor of the standard library into ours.
func of(f func() hash.Hash) func() Hash { return func() Hash { return f() } }

// Named returns the digest of OpenSSL's short name, in its case; nil if it is
// not in the table. The result is shared and must not be changed.
func Named(name string) *Digest {
	for i := range digests {
		if digests[i].Name == name {
			return &digests[i]
		}
	}
	return nil
}
