package autokey

import "ntsbridge/bridge/ntp/digest"

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
	maxDigestLen = digest.MaxSize // octets
	maxMACLen    = 20             // octets of a MAC; longer digests are cut
)

// digests are those of OpenSSL that ntpd can be told to use.
var digests = func() (list [digestCount]*digest.Digest) {
	for i, name := range [...]string{
		MD5: "MD5", MD4: "MD4", SHA1: "SHA1", RIPEMD160: "RIPEMD160", SHA224: "SHA224", SHA256: "SHA256", SHA384: "SHA384",
		SHA512: "SHA512", SHA512_224: "SHA512-224", SHA512_256: "SHA512-256", SHA3_224: "SHA3-224", SHA3_256: "SHA3-256",
		SHA3_384: "SHA3-384", SHA3_512: "SHA3-512", BLAKE2s256: "BLAKE2s256", BLAKE2b512: "BLAKE2b512",
	} {
		list[i] = digest.Named(name)
	}
	return list
}()

// ParseDigest finds a digest by OpenSSL's short name, the argument of
// "crypto digest". Case matters, as in OpenSSL: ntpd keeps MD5 when it does
// not know the name, so taking "sha1" for SHA1 would part server and clients.
func ParseDigest(name string) (d Digest, ok bool) {
	for i := range digests {
		if digests[i].Name == name {
			return Digest(i), true
		}
	}
	return MD5, false
}

// String returns OpenSSL's short name.
func (d Digest) String() string {
	if int(d) < len(digests) {
		return digests[d].Name
	}
	return "invalid"
}

// Valid reports whether d is one of the digests above.
func (d Digest) Valid() bool { return int(d) < len(digests) }

// size returns the length of the digest and of a session key in octets.
func (d Digest) size() int { return digests[d].Size }

// macLen returns the length of a MAC without key identifier, octets: the
// digest, cut to 20.
func (d Digest) macLen() int { return min(d.size(), maxMACLen) }
