package keyfile

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/asn1"
	"fmt"
	"hash"

	//lint:ignore SA1019 ntp-keygen -c RSA-MD4 makes such certificates
	"golang.org/x/crypto/md4"
	//lint:ignore SA1019 ntp-keygen -c RSA-RIPEMD160 makes such certificates
	"golang.org/x/crypto/ripemd160"
)

// NID is OpenSSL's number of a signature algorithm, as it stands in the upper
// half of the Autokey status word.
type NID uint16

// The signature algorithms that can be computed here.
const (
	RSAMD4       NID = 396
	RSAMD5       NID = 8
	RSASHA1      NID = 65
	RSASHA1Old   NID = 115 // OIW's identifier, older OpenSSL only
	RSARIPEMD160 NID = 119
	RSASHA224    NID = 671
	RSASHA256    NID = 668
	RSASHA384    NID = 669
	RSASHA512    NID = 670
	DSASHA1      NID = 113
	DSASHA1Old   NID = 70 // OIW's identifier, older OpenSSL only
	DSASHA224    NID = 802
	DSASHA256    NID = 803
)

// family is the kind of key that an algorithm needs.
type family uint8

const (
	familyRSA family = 1 + iota
	familyDSA
)

// algorithm is one signature algorithm. hash is nil where it is only known by
// name.
type algorithm struct {
	nid    NID
	name   string // OpenSSL's long name
	scheme string // OpenSSL's short name, as in the file name of a certificate
	oid    asn1.ObjectIdentifier
	family family
	hash   func() hash.Hash
	prefix string // DER of DigestInfo before the digest (RSA)
}

// DigestInfo prefixes (RFC 8017, section 9.2, note 1; OpenSSL for MD4 and
// RIPEMD-160).
const (
	prefixMD4       = "\x30\x20\x30\x0c\x06\x08\x2a\x86\x48\x86\xf7\x0d\x02\x04\x05\x00\x04\x10"
	prefixMD5       = "\x30\x20\x30\x0c\x06\x08\x2a\x86\x48\x86\xf7\x0d\x02\x05\x05\x00\x04\x10"
	prefixSHA1      = "\x30\x21\x30\x09\x06\x05\x2b\x0e\x03\x02\x1a\x05\x00\x04\x14"
	prefixRIPEMD160 = "\x30\x21\x30\x09\x06\x05\x2b\x24\x03\x02\x01\x05\x00\x04\x14"
	prefixSHA224    = "\x30\x2d\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x04\x05\x00\x04\x1c"
	prefixSHA256    = "\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20"
	prefixSHA384    = "\x30\x41\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x02\x05\x00\x04\x30"
	prefixSHA512    = "\x30\x51\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03\x05\x00\x04\x40"
)

// oid is a shorthand for the table.
func oid(arcs ...int) asn1.ObjectIdentifier { return arcs }

// algorithms is every signature algorithm that a certificate of ntp-keygen can
// have been made with.
var algorithms = []algorithm{
	{RSAMD4, "md4WithRSAEncryption", "RSA-MD4", oid(1, 2, 840, 113549, 1, 1, 3), familyRSA, md4.New, prefixMD4},
	{RSAMD5, "md5WithRSAEncryption", "RSA-MD5", oid(1, 2, 840, 113549, 1, 1, 4), familyRSA, md5.New, prefixMD5},
	{RSASHA1, "sha1WithRSAEncryption", "RSA-SHA1", oid(1, 2, 840, 113549, 1, 1, 5), familyRSA, sha1.New, prefixSHA1},
	{RSASHA1Old, "sha1WithRSA", "RSA-SHA1-2", oid(1, 3, 14, 3, 2, 29), familyRSA, sha1.New, prefixSHA1},
	{RSARIPEMD160, "ripemd160WithRSA", "RSA-RIPEMD160", oid(1, 3, 36, 3, 3, 1, 2), familyRSA, ripemd160.New, prefixRIPEMD160},
	{RSASHA224, "sha224WithRSAEncryption", "RSA-SHA224", oid(1, 2, 840, 113549, 1, 1, 14), familyRSA, sha256.New224, prefixSHA224},
	{RSASHA256, "sha256WithRSAEncryption", "RSA-SHA256", oid(1, 2, 840, 113549, 1, 1, 11), familyRSA, sha256.New, prefixSHA256},
	{RSASHA384, "sha384WithRSAEncryption", "RSA-SHA384", oid(1, 2, 840, 113549, 1, 1, 12), familyRSA, sha512.New384, prefixSHA384},
	{RSASHA512, "sha512WithRSAEncryption", "RSA-SHA512", oid(1, 2, 840, 113549, 1, 1, 13), familyRSA, sha512.New, prefixSHA512},
	{DSASHA1, "dsaWithSHA1", "DSA-SHA1", oid(1, 2, 840, 10040, 4, 3), familyDSA, sha1.New, ""},
	{DSASHA1Old, "dsaWithSHA1-old", "DSA-SHA1-old", oid(1, 3, 14, 3, 2, 27), familyDSA, sha1.New, ""},
	{DSASHA224, "dsa_with_SHA224", "dsa_with_SHA224", oid(2, 16, 840, 1, 101, 3, 4, 3, 1), familyDSA, sha256.New224, ""},
	{DSASHA256, "dsa_with_SHA256", "dsa_with_SHA256", oid(2, 16, 840, 1, 101, 3, 4, 3, 2), familyDSA, sha256.New, ""},

	{7, "md2WithRSAEncryption", "RSA-MD2", oid(1, 2, 840, 113549, 1, 1, 2), familyRSA, nil, ""},
	{42, "shaWithRSAEncryption", "RSA-SHA", oid(1, 3, 14, 3, 2, 15), familyRSA, nil, ""},
	{66, "dsaWithSHA", "DSA-SHA", oid(1, 3, 14, 3, 2, 13), familyDSA, nil, ""},
	{96, "mdc2WithRSA", "RSA-MDC2", oid(2, 5, 8, 3, 100), familyRSA, nil, ""},
	{104, "md5WithRSA", "RSA-NP-MD5", oid(1, 3, 14, 3, 2, 3), familyRSA, nil, ""},
}

// find returns the algorithm of a NID, nil if it is not in the table.
func (n NID) find() *algorithm {
	for i := range algorithms {
		if algorithms[i].nid == n {
			return &algorithms[i]
		}
	}
	return nil
}

// usable returns the algorithm of a NID if it can be computed here.
func (n NID) usable() (*algorithm, error) {
	if a := n.find(); a != nil && a.hash != nil {
		return a, nil
	}
	return nil, fmt.Errorf("%w: %v is known by name only; use another, such as RSA-SHA256 (ntp-keygen -c)", ErrAlgorithm, n)
}

// String returns OpenSSL's long name, as ntpq shows it.
func (n NID) String() string {
	if a := n.find(); a != nil {
		return a.name
	}
	return fmt.Sprintf("NID %d", uint16(n))
}

// Scheme returns the name that ntp-keygen -c takes, as it stands in the name
// of a certificate file ("RSA-MD5"); empty for an unknown algorithm.
func (n NID) Scheme() string {
	if a := n.find(); a != nil {
		return a.scheme
	}
	return ""
}

// NIDByScheme returns the algorithm with the name that Scheme gives; 0 if
// there is none that can be computed.
func NIDByScheme(scheme string) NID {
	for _, a := range algorithms {
		if a.scheme == scheme && a.hash != nil {
			return a.nid
		}
	}
	return 0
}

// nidByOID returns the algorithm of an object identifier, 0 if it is unknown.
func nidByOID(id asn1.ObjectIdentifier) NID {
	for _, a := range algorithms {
		if a.oid.Equal(id) {
			return a.nid
		}
	}
	return 0
}

// digest returns the hash of message.
func (a *algorithm) digest(message []byte) []byte {
	h := a.hash()
	h.Write(message)
	return h.Sum(nil)
}
