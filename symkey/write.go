package symkey

import (
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
)

// maxNewSecretLen is the length of new secrets of long digests in octets: the
// most that ntpd's file can hold.
const maxNewSecretLen = maxHexOctets

// Generate makes a key with a random secret read from random, which is
// crypto/rand.Reader outside tests: as long as the cipher's key or as the
// digest, but at most 32 octets, so that every daemon's file can hold it.
func Generate(random io.Reader, id uint32, algorithm string) (*Key, error) {
	a := algorithmNamed(algorithm)
	if a == nil {
		return nil, fmt.Errorf("new key %d: %w: %s", id, errAlgorithm, adviceFor(algorithm))
	}
	n := a.aesKey
	if n == 0 {
		n = min(a.macLen, maxNewSecretLen)
	}
	secret := make([]byte, n)
	if _, err := io.ReadFull(random, secret); err != nil {
		return nil, fmt.Errorf("new key %d: reading %d random octets: %w", id, n, err)
	}
	return newKey(id, a, secret, n, nil)
}

// AppendNTPKeysLine appends the key as a line of an ntp.keys file that ntpd and
// ntpsec read as the same key, with its address list (which ntpsec ignores). A
// key that cannot be written so is an error that says why: an identifier above
// 65535, a type that ntpd does not have, a secret over 32 octets, or one of up
// to 10 octets that are not printable.
func AppendNTPKeysLine(dst []byte, k *Key) ([]byte, error) {
	if k.id > maxNTPKeyID {
		return dst, fmt.Errorf("key %d: ntpd's key numbers end at %d; give it another number on both sides", k.id, maxNTPKeyID)
	}
	if k.algorithm.ntpd == "" {
		return dst, fmt.Errorf("key %d: %w: ntpd has no %s", k.id, errAlgorithm, k.algorithm.name)
	}
	start := len(dst)
	line := strconv.AppendUint(dst, uint64(k.id), 10)
	line = append(line, ' ')
	line = append(line, firstName(k.algorithm.ntpd)...)
	line = append(line, ' ')
	switch n := len(k.secret); {
	case n <= maxLiteral && plain(k.secret):
		line = append(line, k.secret...)
	case n >= minHexOctets && n <= maxHexOctets:
		line = hex.AppendEncode(line, k.secret)
	default:
		return dst, fmt.Errorf("key %d: %w: ntpd's file holds 1 to %d plain characters or %d to %d octets of hex, not these %d "+
			"octets; make a new key",
			k.id, errSecret, maxLiteral, minHexOctets, maxHexOctets, n)
	}
	for i, p := range k.addresses {
		line = append(line, " ,"[min(i, 1)])
		if p.IsSingleIP() {
			line = p.Addr().AppendTo(line)
		} else {
			line = p.AppendTo(line)
		}
	}
	if len(line)-start > maxNTPLine-1 {
		return dst, fmt.Errorf("key %d: the line has %d octets with its address list, ntpd reads %d; use fewer, wider prefixes",
			k.id, len(line)-start, maxNTPLine-1)
	}
	return append(line, '\n'), nil
}

// plain reports whether a secret can stand for itself in ntpd's file.
func plain(secret []byte) bool {
	for _, c := range secret {
		if c <= ' ' || c > '~' || c == '#' {
			return false
		}
	}
	return true
}

// AppendChronyKeysLine appends the key as a line of a chrony.keys file, always
// with HEX:. chronyd knows no address lists: a caller who has one in the key
// reports that it is lost. A type that chronyd does not have, or a secret that
// does not fit on a line, is an error.
func AppendChronyKeysLine(dst []byte, k *Key) ([]byte, error) {
	if k.algorithm.chrony == "" {
		return dst, fmt.Errorf("key %d: %w: %s", k.id, errAlgorithm, chronyUnknownType(k.algorithm.name))
	}
	start := len(dst)
	line := strconv.AppendUint(dst, uint64(k.id), 10)
	line = append(line, ' ')
	line = append(line, k.algorithm.chrony...)
	line = append(line, " HEX:"...)
	line = hex.AppendEncode(line, k.secret)
	if len(line)-start > maxChronyLine-1 {
		return dst, fmt.Errorf("key %d: %w: %d octets do not fit on a line of chronyd's file; make a new key", k.id, errSecret,
			len(k.secret))
	}
	return append(line, '\n'), nil
}
