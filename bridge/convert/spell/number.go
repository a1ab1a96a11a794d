package spell

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"
)

// IPv4 reads an address as inet_aton of POSIX does, which the C library's
// getaddrinfo takes for numbers: one to four parts, each decimal, octal (0...)
// or hexadecimal (0x...), of which the last one fills what is left.
func IPv4(text string) (a netip.Addr, ok bool) {
	parts := strings.Split(text, ".")
	if len(parts) > 4 {
		return a, false
	}
	var value uint64
	for i, part := range parts {
		bits := 8
		if i == len(parts)-1 {
			bits = 8 * (5 - len(parts))
		}
		n, err := strconv.ParseUint(cNumber(part), 0, bits)
		if err != nil {
			return a, false
		}
		value = value<<bits | n
	}
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, uint32(value)))), true
}

// cNumber returns a number that strconv and strtoul read alike, or nothing.
func cNumber(text string) string {
	digits, allowed := AsciiLower(text), "0123456789"
	if hex, ok := strings.CutPrefix(digits, "0x"); ok {
		digits, allowed = hex, "0123456789abcdef"
	}
	if digits == "" || strings.Trim(digits, allowed) != "" {
		return ""
	}
	return text
}
