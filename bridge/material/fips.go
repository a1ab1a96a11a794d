package material

import (
	"crypto/fips140"
	"fmt"
	"slices"
	"strings"

	"ntsbridge/bridge/ntp"
	"ntsbridge/symkey"
)

// fipsMACs are the algorithms of symmetric keys that GODEBUG=fips140=only lets
// be used: SHA-2, SHA-3 and AES-CMAC.
var fipsMACs = []string{"SHA224", "SHA256", "SHA384", "SHA512", "SHA512-224", "SHA512-256", "SHA3-224", "SHA3-256", "SHA3-384", "SHA3-512",
	"AES128CMAC", "AES192CMAC", "AES256CMAC"}

// fipsKeys leaves out the keys that may not be used in FIPS 140-only mode.
func (k *loader) fipsKeys(path string, keys []*symkey.Key) []*symkey.Key {
	if !fips140.Enforced() {
		return keys
	}
	var refused []string
	keys = slices.DeleteFunc(keys, func(key *symkey.Key) bool {
		if slices.Contains(fipsMACs, key.Algorithm()) {
			return false
		}
		refused = append(refused, fmt.Sprintf("%d (%s)", key.ID(), key.Algorithm()))
		return true
	})
	if len(refused) > 0 {
		k.find(NotServed, path, "keys %s may not be used in FIPS 140-only mode: use AES128CMAC or SHA256", strings.Join(refused, ", "))
	}
	return keys
}

// fipsAutokey says that there is no Autokey in FIPS 140-only mode: it is made of
// MD5, SHA-1 and RSA keys that are too short.
func (k *loader) fipsAutokey() bool {
	if !fips140.Enforced() {
		return false
	}
	k.find(NotServed, "autokey.enabled", "Autokey is not allowed in FIPS 140-only mode (MD5, SHA-1); move its clients to NTS")
	return true
}

// fipsSources says which sources cannot be asked in FIPS 140-only mode.
func (k *loader) fipsSources() {
	if !fips140.Enforced() {
		return
	}
	for i := range k.config.Sources {
		if k.config.Sources[i].Auth == ntp.KindAutokey {
			k.find(NoStart, fmt.Sprintf("sources[%d].auth", i), "Autokey is not allowed in FIPS 140-only mode; use nts, or a key of AES128CMAC")
		}
	}
}
