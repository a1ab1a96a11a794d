package keygen

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// symmetricKeyCount is the number of keys of each of the two types.
const symmetricKeyCount = 10

// symmetricKeys makes ntp.keys as ntp-keygen -M does: 10 MD5 keys of 20
// printable characters, then 10 SHA1 keys of 40 hexadecimal digits. The file is
// named by the group.
func (m *maker) symmetricKeys() error {
	h := m.header("MD5key", m.names.group)
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n# %s\n\n", h.FileName(), m.in.Now.Format(time.ANSIC))
	for number := 1; number <= symmetricKeyCount; number++ {
		line, err := printableKey(m.in.Rand)
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%2d MD5 %s  # MD5 key\n", number, line)
	}
	for number := symmetricKeyCount + 1; number <= 2*symmetricKeyCount; number++ {
		var key [20]byte
		if _, err := io.ReadFull(m.in.Rand, key[:]); err != nil {
			return err
		}
		fmt.Fprintf(&b, "%2d SHA1 %x  # SHA1 key\n", number, key)
	}
	m.files = append(m.files, File{Name: h.FileName(), Link: "ntp.keys", Content: []byte(b.String()), Secret: true})
	return nil
}

// printableKey returns 20 characters from "!" to "~" without "#", which begins
// a comment.
func printableKey(rand io.Reader) (string, error) {
	key := make([]byte, 0, 20)
	var buf [64]byte
	for {
		if _, err := io.ReadFull(rand, buf[:]); err != nil {
			return "", err
		}
		for _, c := range buf {
			// Of each octet the values that fit, so that all are as likely.
			if c &= 0x7f; c > ' ' && c < 0x7f && c != '#' {
				if key = append(key, c); len(key) == cap(key) {
					return string(key), nil
				}
			}
		}
	}
}
