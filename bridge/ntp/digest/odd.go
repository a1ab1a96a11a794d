package digest

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha3"
	"hash"

	"golang.org/x/crypto/blake2b"
	"golang.org/x/crypto/blake2s"
)

// shake is a SHAKE with the fixed output length that OpenSSL 1.1.1 gives it.
type shake struct {
	*sha3.SHAKE
	size int // octets
}

// Sum appends the digest and spoils the state.
func (s *shake) Sum(b []byte) []byte {
	n := len(b)
	for range s.size {
		b = append(b, 0)
	}
	s.Read(b[n:])
	return b
}

// md5sha1 is OpenSSL's MD5-SHA1: both digests, one behind the other.
type md5sha1 struct{ md5, sha1 hash.Hash }

func newMD5SHA1() Hash { return &md5sha1{md5.New(), sha1.New()} }

func (d *md5sha1) Write(p []byte) (int, error) { d.md5.Write(p); return d.sha1.Write(p) }
func (d *md5sha1) Reset()                      { d.md5.Reset(); d.sha1.Reset() }
func (d *md5sha1) Sum(b []byte) []byte         { return d.sha1.Sum(d.md5.Sum(b)) }

func newBLAKE2b() Hash {
	h, err := blake2b.New512(nil)
	if err != nil {
		panic(err) // only a key can be wrong
	}
	return h
}

func newBLAKE2s() Hash {
	h, err := blake2s.New256(nil)
	if err != nil {
		panic(err) // only a key can be wrong
	}
	return h
}
