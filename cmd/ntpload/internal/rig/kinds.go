package rig

import (
	"fmt"
	"strings"
)

// Kind is one kind of authentication that is compared.
type Kind struct {
	Name       string
	keyID      uint32 // symmetric key identifier, 0: none
	chronyType string // in a chrony.keys file
	keyLen     int    // octets
	aead       uint16 // NTS, 0: none
}

// Kinds are all kinds, in the order of the table.
var Kinds = []Kind{
	{Name: "none"},
	{Name: "md5", keyID: 1, chronyType: "MD5", keyLen: 16},
	{Name: "sha1", keyID: 2, chronyType: "SHA1", keyLen: 20},
	{Name: "sha256", keyID: 3, chronyType: "SHA256", keyLen: 32},
	{Name: "aes128cmac", keyID: 4, chronyType: "AES128", keyLen: 16},
	{Name: "nts-15", aead: 15},
	{Name: "nts-30", aead: 30},
}

// ParseKinds reads names separated by commas; empty means all.
func ParseKinds(s string) ([]Kind, error) {
	if s == "" {
		return Kinds, nil
	}
	var found []Kind
	for _, name := range strings.Split(s, ",") {
		k, ok := kindByName(strings.TrimSpace(name))
		if !ok {
			return nil, fmt.Errorf("%q is not a kind; the kinds are %s", name, kindNames())
		}
		found = append(found, k)
	}
	return found, nil
}

func kindByName(name string) (Kind, bool) {
	for _, k := range Kinds {
		if k.Name == name {
			return k, true
		}
	}
	return Kind{}, false
}

func kindNames() string {
	var names []string
	for _, k := range Kinds {
		names = append(names, k.Name)
	}
	return strings.Join(names, ", ")
}

// flags returns the arguments of `ntpload run` that ask in this way, with the
// material in dir.
func (k Kind) flags(dir, server string) []string {
	switch {
	case k.keyID != 0:
		return []string{"--auth", "key", "--keys", dir + "/" + keysFile, "--key", fmt.Sprint(k.keyID)}
	case k.aead != 0:
		return []string{"--auth", "nts", "--aead", fmt.Sprint(k.aead), "--ke", server + ":4460",
			"--ca", dir + "/" + certFile, "--name", serverName}
	}
	return []string{"--auth", "none"}
}
