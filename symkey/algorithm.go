package symkey

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"hash"
	"strings"

	"golang.org/x/crypto/blake2b"
	"golang.org/x/crypto/blake2s"
	//lint:ignore SA1019 ntpd offers it, so clients may use it
	"golang.org/x/crypto/md4"
	//lint:ignore SA1019 ntpd offers it, so clients may use it
	"golang.org/x/crypto/ripemd160"
)

// maxMACLen is the longest MAC in octets: SHA-512's.
const maxMACLen = 64

// digester is what a keyed digest needs of a hash. Sum may spoil the state:
// Reset comes before each use.
type digester interface {
	Write(p []byte) (int, error)
	Reset()
	Sum(b []byte) []byte
}

// algorithm is one way to make a MAC.
type algorithm struct {
	name   string // as this package writes it
	macLen int    // octets, uncut

	// Names in the daemons' key files, separated by blanks; the first is the
	// one to write. Those of ntpd and ntpsec are upper case and match in any
	// case, chronyd's match exactly. Empty: the daemon does not have it.
	ntpd, ntpsec, chrony string
	aliases              string // further names that NewKey takes, upper case

	weakness string // empty: none known

	// A digest has newHash, and sum where the library has a function that
	// leaves the state on the stack. AES-CMAC has the length of its key.
	newHash func() digester
	sum     func(dst *[maxMACLen]byte, msg []byte)
	aesKey  int // octets

	index int // in algorithms
}

const (
	weakMD5    = "MD5 is broken and deprecated for NTP (RFC 8573); use AES128CMAC, or SHA256 where the client has no CMAC"
	weakMD4    = "MD4 is broken; use AES128CMAC or SHA256"
	weakSHA1   = "SHA1 is deprecated; use AES128CMAC or SHA256"
	weakRIPEMD = "RIPEMD160 is dated; use AES128CMAC or SHA256"
)

// algorithms is the one place where an algorithm is registered. The columns of
// the daemons are what ntpd 4.2.8p15 with OpenSSL 1.1.1, ntpsec 1.2.3 with
// OpenSSL 3.5 and chronyd 4.6.1 took when tried. ntpd looks a name up in upper
// case, so that it never finds OpenSSL's BLAKE2b512, BLAKE2s256 and whirlpool.
var algorithms = register([]algorithm{
	{name: "MD5", macLen: md5.Size, ntpd: "MD5 RSA-MD5", ntpsec: "MD5 RSA-MD5", chrony: "MD5",
		weakness: weakMD5, newHash: of(md5.New), sum: sumMD5},
	{name: "MD4", macLen: md4.Size, ntpd: "MD4 RSA-MD4",
		weakness: weakMD4, newHash: of(md4.New)},
	{name: "MD5-SHA1", macLen: md5.Size + sha1.Size, ntpd: "MD5-SHA1", ntpsec: "MD5-SHA1",
		weakness: weakMD5, newHash: newMD5SHA1},
	{name: "SHA1", macLen: sha1.Size, ntpd: "SHA1 RSA-SHA1 RSA-SHA1-2", ntpsec: "SHA1 SHA-1 RSA-SHA1 RSA-SHA1-2", chrony: "SHA1",
		weakness: weakSHA1, newHash: of(sha1.New), sum: sumSHA1},
	{name: "RIPEMD160", macLen: ripemd160.Size, ntpd: "RIPEMD160 RSA-RIPEMD160", ntpsec: "RIPEMD160 RIPEMD RMD160 RIPEMD-160 RSA-RIPEMD160",
		weakness: weakRIPEMD, newHash: of(ripemd160.New)},
	{name: "SHA224", macLen: sha256.Size224, ntpd: "SHA224 RSA-SHA224", ntpsec: "SHA224 SHA-224 SHA2-224 RSA-SHA224",
		newHash: of(sha256.New224), sum: sumSHA224},
	{name: "SHA256", macLen: sha256.Size, ntpd: "SHA256 RSA-SHA256", ntpsec: "SHA256 SHA-256 SHA2-256 RSA-SHA256", chrony: "SHA256",
		newHash: of(sha256.New), sum: sumSHA256},
	{name: "SHA384", macLen: sha512.Size384, ntpd: "SHA384 RSA-SHA384", ntpsec: "SHA384 SHA-384 SHA2-384 RSA-SHA384", chrony: "SHA384",
		newHash: of(sha512.New384), sum: sumSHA384},
	{name: "SHA512", macLen: sha512.Size, ntpd: "SHA512 RSA-SHA512", ntpsec: "SHA512 SHA-512 SHA2-512 RSA-SHA512", chrony: "SHA512",
		newHash: of(sha512.New), sum: sumSHA512},
	{name: "SHA512-224", macLen: sha512.Size224, ntpd: "SHA512-224 RSA-SHA512/224", ntpsec: "SHA512-224 SHA-512/224 SHA2-512/224 RSA-SHA512/224",
		aliases: "SHA512/224", newHash: of(sha512.New512_224), sum: sumSHA512t224},
	{name: "SHA512-256", macLen: sha512.Size256, ntpd: "SHA512-256 RSA-SHA512/256", ntpsec: "SHA512-256 SHA-512/256 SHA2-512/256 RSA-SHA512/256",
		aliases: "SHA512/256", newHash: of(sha512.New512_256), sum: sumSHA512t256},
	{name: "SHA3-224", macLen: 28, ntpd: "SHA3-224", ntpsec: "SHA3-224", chrony: "SHA3-224",
		newHash: func() digester { return sha3.New224() }, sum: sumSHA3t224},
	{name: "SHA3-256", macLen: 32, ntpd: "SHA3-256", ntpsec: "SHA3-256", chrony: "SHA3-256",
		newHash: func() digester { return sha3.New256() }, sum: sumSHA3t256},
	{name: "SHA3-384", macLen: 48, ntpd: "SHA3-384", ntpsec: "SHA3-384", chrony: "SHA3-384",
		newHash: func() digester { return sha3.New384() }, sum: sumSHA3t384},
	{name: "SHA3-512", macLen: 64, ntpd: "SHA3-512", ntpsec: "SHA3-512", chrony: "SHA3-512",
		newHash: func() digester { return sha3.New512() }, sum: sumSHA3t512},
	{name: "SHAKE128", macLen: 16, ntpd: "SHAKE128",
		newHash: func() digester { return &shake{sha3.NewSHAKE128(), 16} }},
	{name: "SHAKE256", macLen: 32, ntpd: "SHAKE256",
		newHash: func() digester { return &shake{sha3.NewSHAKE256(), 32} }},
	{name: "BLAKE2b512", macLen: blake2b.Size, ntpsec: "BLAKE2B512 BLAKE2B-512",
		newHash: newBLAKE2b, sum: sumBLAKE2b},
	{name: "BLAKE2s256", macLen: blake2s.Size, ntpsec: "BLAKE2S256 BLAKE2S-256",
		newHash: newBLAKE2s, sum: sumBLAKE2s},
	{name: "SM3", macLen: sm3Size, ntpd: "SM3 RSA-SM3", ntpsec: "SM3 RSA-SM3",
		newHash: func() digester { return newSM3() }},
	{name: "AES128CMAC", macLen: cmacLen, ntpd: "AES128CMAC CMAC", ntpsec: "AES128CMAC AES-128 AES AES128CMAC", chrony: "AES128",
		aliases: "AES-128-CMAC AES-CMAC", aesKey: 16},
	{name: "AES192CMAC", macLen: cmacLen, ntpsec: "AES-192",
		aliases: "AES192 AES-192-CMAC", aesKey: 24},
	{name: "AES256CMAC", macLen: cmacLen, ntpsec: "AES-256", chrony: "AES256",
		aliases: "AES-256-CMAC", aesKey: 32},
})

// refused are names that some daemon knows and nothing here offers, with the
// way out.
var refused = map[string]string{
	"TIGER":     "TIGER is not offered: make a new key of type AES256 or SHA256 on both sides",
	"WHIRLPOOL": "WHIRLPOOL is not offered: make a new key of type AES256 or SHA512 on both sides",
	"MD2":       "MD2 is not offered, and ntpd has no digest of that name either: make a new key of type AES128CMAC or SHA256",
	"MDC2":      "MDC2 is not offered, and ntpd has no digest of that name either: make a new key of type AES128CMAC or SHA256",
}

// notMD5 are words with M that OpenSSL knows, so that ntpd does not take them
// for MD5, but that are no digest there.
const notMD5 = "MD2 MDC2 MGF1"

func register(list []algorithm) []algorithm {
	for i := range list {
		list[i].index = i
	}
	return list
}

// of turns a constructor of the standard library into ours.
func of(f func() hash.Hash) func() digester { return func() digester { return f() } }

// nameIn reports whether a list of names separated by blanks has name.
func nameIn(list, name string) bool {
	for list != "" {
		var word string
		word, list, _ = strings.Cut(list, " ")
		if word == name {
			return true
		}
	}
	return false
}

// firstName returns the first of a list of names separated by blanks.
func firstName(list string) string {
	name, _, _ := strings.Cut(list, " ")
	return name
}

// find returns the first algorithm for which ok is true, or nil.
func find(ok func(*algorithm) bool) *algorithm {
	for i := range algorithms {
		if ok(&algorithms[i]) {
			return &algorithms[i]
		}
	}
	return nil
}

// algorithmNamed finds an algorithm by any of its names, in any case.
func algorithmNamed(name string) *algorithm {
	upper := strings.ToUpper(name)
	return find(func(a *algorithm) bool {
		return strings.ToUpper(a.name) == upper || nameIn(a.ntpd, upper) || nameIn(a.ntpsec, upper) ||
			nameIn(a.chrony, upper) || nameIn(a.aliases, upper)
	})
}

// ntpdAlgorithm finds an algorithm as ntpd 4.2.8p15 does: in any case, and any
// other word with M is MD5.
func ntpdAlgorithm(name string) *algorithm {
	upper := asciiUpper(name)
	if a := find(func(a *algorithm) bool { return nameIn(a.ntpd, upper) }); a != nil {
		return a
	}
	if strings.HasPrefix(upper, "M") && !nameIn(notMD5, upper) {
		return &algorithms[0]
	}
	return nil
}

// ntpsecAlgorithm finds an algorithm as ntpsec 1.2.3 does.
func ntpsecAlgorithm(name string) *algorithm {
	upper := asciiUpper(name)
	if a := find(func(a *algorithm) bool { return nameIn(a.ntpsec, upper) }); a != nil {
		return a
	}
	if strings.HasPrefix(upper, "M") && upper != "MD4" {
		return &algorithms[0]
	}
	return nil
}

// chronyAlgorithm finds an algorithm as chronyd 4.6.1 does: by its exact name.
func chronyAlgorithm(name string) *algorithm {
	return find(func(a *algorithm) bool { return a.chrony != "" && a.chrony == name })
}

// asciiUpper is toupper in the C locale: it leaves octets above 127 alone.
func asciiUpper(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'a' <= c && c <= 'z' {
			b[i] = c - 'a' + 'A'
		}
	}
	return string(b)
}
