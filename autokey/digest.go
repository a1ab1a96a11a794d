package autokey

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"hash"

	"golang.org/x/crypto/blake2b"
	"golang.org/x/crypto/blake2s"
	"golang.org/x/crypto/md4"       //lint:ignore SA1019 a digest that ntpd offers
	"golang.org/x/crypto/ripemd160" //lint:ignore SA1019 a digest that ntpd offers
)

// Digest is the digest of session keys, cookies and MACs, which ntpd sets with
// "crypto digest NAME". Client and server must agree on it by configuration;
// nothing in the protocol negotiates it. It has nothing to do with the digest
// of signatures, which the certificate decides.
type Digest uint8

// The digests. MD5 is the default of ntpd and the zero value.
const (
	MD5 Digest = iota
	MD4
	SHA1
	RIPEMD160
	SHA224
	SHA256
	SHA384
	SHA512
	SHA512_224
	SHA512_256
	SHA3_224
	SHA3_256
	SHA3_384
	SHA3_512
	BLAKE2s256
	BLAKE2b512
	digestCount = iota
)

const (
	maxDigestLen = 64 // octets of the longest digest
	maxMACLen    = 20 // octets of a MAC; longer digests are cut
)

var digests = [digestCount]struct {
	name string
	size int
	new  func() hash.Hash
}{
	MD5:        {"MD5", md5.Size, md5.New},
	MD4:        {"MD4", md4.Size, md4.New},
	SHA1:       {"SHA1", sha1.Size, sha1.New},
	RIPEMD160:  {"RIPEMD160", ripemd160.Size, ripemd160.New},
	SHA224:     {"SHA224", sha256.Size224, sha256.New224},
	SHA256:     {"SHA256", sha256.Size, sha256.New},
	SHA384:     {"SHA384", sha512.Size384, sha512.New384},
	SHA512:     {"SHA512", sha512.Size, sha512.New},
	SHA512_224: {"SHA512-224", sha512.Size224, sha512.New512_224},
	SHA512_256: {"SHA512-256", sha512.Size256, sha512.New512_256},
	SHA3_224:   {"SHA3-224", 28, func() hash.Hash { return sha3.New224() }},
	SHA3_256:   {"SHA3-256", 32, func() hash.Hash { return sha3.New256() }},
	SHA3_384:   {"SHA3-384", 48, func() hash.Hash { return sha3.New384() }},
	SHA3_512:   {"SHA3-512", 64, func() hash.Hash { return sha3.New512() }},
	BLAKE2s256: {"BLAKE2s256", blake2s.Size, newBLAKE2s},
	BLAKE2b512: {"BLAKE2b512", blake2b.Size, newBLAKE2b},
}

func newBLAKE2s() hash.Hash {
	h, _ := blake2s.New256(nil) // fails for long keys only
	return h
}

func newBLAKE2b() hash.Hash {
	h, _ := blake2b.New512(nil) // fails for long keys only
	return h
}

// ParseDigest finds a digest by OpenSSL's short name, the argument of
// "crypto digest". Case matters, as in OpenSSL: ntpd keeps MD5 when it does
// not know the name, so taking "sha1" for SHA1 would part server and clients.
func ParseDigest(name string) (d Digest, ok bool) {
	for i := range digests {
		if digests[i].name == name {
			return Digest(i), true
		}
	}
	return MD5, false
}

// String returns OpenSSL's short name.
func (d Digest) String() string {
	if int(d) < len(digests) {
		return digests[d].name
	}
	return "invalid"
}

// Valid reports whether d is one of the digests above.
func (d Digest) Valid() bool { return int(d) < len(digests) }

// Size returns the length of the digest and of a session key in octets.
func (d Digest) Size() int { return digests[d].size }

// MACLen returns the length of a MAC without key identifier, octets: the
// digest, cut to 20.
func (d Digest) MACLen() int { return min(d.Size(), maxMACLen) }
