package symkey

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"hash"

	"golang.org/x/crypto/blake2b"
	"golang.org/x/crypto/blake2s"
)

// The functions below exist because a digest that is computed in one call
// keeps its state on the stack: no allocation, and no reset to pay for.

func sumMD5(dst *[maxMACLen]byte, msg []byte)        { d := md5.Sum(msg); copy(dst[:], d[:]) }
func sumSHA1(dst *[maxMACLen]byte, msg []byte)       { d := sha1.Sum(msg); copy(dst[:], d[:]) }
func sumSHA224(dst *[maxMACLen]byte, msg []byte)     { d := sha256.Sum224(msg); copy(dst[:], d[:]) }
func sumSHA256(dst *[maxMACLen]byte, msg []byte)     { d := sha256.Sum256(msg); copy(dst[:], d[:]) }
func sumSHA384(dst *[maxMACLen]byte, msg []byte)     { d := sha512.Sum384(msg); copy(dst[:], d[:]) }
func sumSHA512(dst *[maxMACLen]byte, msg []byte)     { *dst = sha512.Sum512(msg) }
func sumSHA3t224(dst *[maxMACLen]byte, msg []byte)   { d := sha3.Sum224(msg); copy(dst[:], d[:]) }
func sumSHA3t256(dst *[maxMACLen]byte, msg []byte)   { d := sha3.Sum256(msg); copy(dst[:], d[:]) }
func sumSHA3t384(dst *[maxMACLen]byte, msg []byte)   { d := sha3.Sum384(msg); copy(dst[:], d[:]) }
func sumSHA3t512(dst *[maxMACLen]byte, msg []byte)   { *dst = sha3.Sum512(msg) }
func sumBLAKE2b(dst *[maxMACLen]byte, msg []byte)    { *dst = blake2b.Sum512(msg) }
func sumBLAKE2s(dst *[maxMACLen]byte, msg []byte)    { d := blake2s.Sum256(msg); copy(dst[:], d[:]) }
func sumSHA512t224(dst *[maxMACLen]byte, msg []byte) { d := sha512.Sum512_224(msg); copy(dst[:], d[:]) }
func sumSHA512t256(dst *[maxMACLen]byte, msg []byte) { d := sha512.Sum512_256(msg); copy(dst[:], d[:]) }

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

func newMD5SHA1() digester { return &md5sha1{md5.New(), sha1.New()} }

func (d *md5sha1) Write(p []byte) (int, error) { d.md5.Write(p); return d.sha1.Write(p) }
func (d *md5sha1) Reset()                      { d.md5.Reset(); d.sha1.Reset() }
func (d *md5sha1) Sum(b []byte) []byte         { return d.sha1.Sum(d.md5.Sum(b)) }

func newBLAKE2b() digester {
	h, err := blake2b.New512(nil)
	if err != nil {
		panic(err) // only a key can be wrong
	}
	return h
}

func newBLAKE2s() digester {
	h, err := blake2s.New256(nil)
	if err != nil {
		panic(err) // only a key can be wrong
	}
	return h
}
