package main

import (
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"ntsbridge/bridge/keydir"
)

// symmetricKeyCount is the number of keys of each of the two types.
const symmetricKeyCount = 10

// symmetricKeys makes ntp.keys as ntp-keygen -M does: 10 MD5 keys of 20
// printable characters, then 10 SHA1 keys of 40 hexadecimal digits. The file is
// named by the group.
func (r *keygenRun) symmetricKeys() error {
	h := r.header("MD5key", r.names.group)
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n# %s\n\n", h.FileName(), r.now.Format(time.ANSIC))
	for number := 1; number <= symmetricKeyCount; number++ {
		fmt.Fprintf(&b, "%2d MD5 %s  # MD5 key\n", number, printableKey())
	}
	for number := symmetricKeyCount + 1; number <= 2*symmetricKeyCount; number++ {
		var key [20]byte
		_, _ = rand.Read(key[:]) // never fails
		fmt.Fprintf(&b, "%2d SHA1 %x  # SHA1 key\n", number, key)
	}
	r.dir.Put(keydir.File{Name: h.FileName(), Link: "ntp.keys", Content: []byte(b.String()), Secret: true})
	return nil
}

// printableKey returns 20 characters from "!" to "~" without "#", which begins
// a comment.
func printableKey() string {
	key := make([]byte, 0, 20)
	var buf [64]byte
	for {
		_, _ = rand.Read(buf[:])
		for _, c := range buf {
			// Of each octet the values that fit, so that all are as likely.
			if c &= 0x7f; c > ' ' && c < 0x7f && c != '#' {
				if key = append(key, c); len(key) == cap(key) {
					return string(key)
				}
			}
		}
	}
}
