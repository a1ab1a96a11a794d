package symkey

import (
	"strings"

	"ntsbridge/bridge/ntp/digest"
)

// maxMACLen is the longest MAC in octets.
const maxMACLen = digest.MaxSize

// cmacLen is the length of AES-CMAC's MAC and of AES's block in octets.
const cmacLen = 16

// algorithm is one way to make a MAC.
type algorithm struct {
	name   string // as this package writes it
	macLen int    // octets, uncut; of a digest that of the table

	// Names in the daemons' key files, separated by blanks; the first is the
	// one to write. Those of ntpd and ntpsec are upper case and match in any
	// case, chronyd's match exactly. Empty: the daemon does not have it.
	ntpd, ntpsec, chrony string
	aliases              string // further names that NewKey takes, upper case

	weakness string // empty: none known

	digest *digest.Digest // by name; nil: AES-CMAC
	aesKey int            // octets of an AES-CMAC key

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
	{name: "MD5", ntpd: "MD5 RSA-MD5", ntpsec: "MD5 RSA-MD5", chrony: "MD5",
		weakness: weakMD5},
	{name: "MD4", ntpd: "MD4 RSA-MD4",
		weakness: weakMD4},
	{name: "MD5-SHA1", ntpd: "MD5-SHA1", ntpsec: "MD5-SHA1",
		weakness: weakMD5},
	{name: "SHA1", ntpd: "SHA1 RSA-SHA1 RSA-SHA1-2", ntpsec: "SHA1 SHA-1 RSA-SHA1 RSA-SHA1-2", chrony: "SHA1",
		weakness: weakSHA1},
	{name: "RIPEMD160", ntpd: "RIPEMD160 RSA-RIPEMD160", ntpsec: "RIPEMD160 RIPEMD RMD160 RIPEMD-160 RSA-RIPEMD160",
		weakness: weakRIPEMD},
	{name: "SHA224", ntpd: "SHA224 RSA-SHA224", ntpsec: "SHA224 SHA-224 SHA2-224 RSA-SHA224"},
	{name: "SHA256", ntpd: "SHA256 RSA-SHA256", ntpsec: "SHA256 SHA-256 SHA2-256 RSA-SHA256", chrony: "SHA256"},
	{name: "SHA384", ntpd: "SHA384 RSA-SHA384", ntpsec: "SHA384 SHA-384 SHA2-384 RSA-SHA384", chrony: "SHA384"},
	{name: "SHA512", ntpd: "SHA512 RSA-SHA512", ntpsec: "SHA512 SHA-512 SHA2-512 RSA-SHA512", chrony: "SHA512"},
	{name: "SHA512-224", ntpd: "SHA512-224 RSA-SHA512/224", ntpsec: "SHA512-224 SHA-512/224 SHA2-512/224 RSA-SHA512/224",
		aliases: "SHA512/224"},
	{name: "SHA512-256", ntpd: "SHA512-256 RSA-SHA512/256", ntpsec: "SHA512-256 SHA-512/256 SHA2-512/256 RSA-SHA512/256",
		aliases: "SHA512/256"},
	{name: "SHA3-224", ntpd: "SHA3-224", ntpsec: "SHA3-224", chrony: "SHA3-224"},
	{name: "SHA3-256", ntpd: "SHA3-256", ntpsec: "SHA3-256", chrony: "SHA3-256"},
	{name: "SHA3-384", ntpd: "SHA3-384", ntpsec: "SHA3-384", chrony: "SHA3-384"},
	{name: "SHA3-512", ntpd: "SHA3-512", ntpsec: "SHA3-512", chrony: "SHA3-512"},
	{name: "SHAKE128", ntpd: "SHAKE128"},
	{name: "SHAKE256", ntpd: "SHAKE256"},
	{name: "BLAKE2b512", ntpsec: "BLAKE2B512 BLAKE2B-512"},
	{name: "BLAKE2s256", ntpsec: "BLAKE2S256 BLAKE2S-256"},
	{name: "SM3", ntpd: "SM3 RSA-SM3", ntpsec: "SM3 RSA-SM3"},
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
		if list[i].digest = digest.Named(list[i].name); list[i].digest != nil {
			list[i].macLen = list[i].digest.Size
		}
	}
	return list
}

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
