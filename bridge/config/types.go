package config

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"ntsbridge/bridge/ntp"
)

// RefID is a reference identifier as it stands in the header (RFC 5905,
// section 7.3).
type RefID uint32

// UnmarshalText reads one to four printable ASCII characters, or an IPv4
// address.
func (r *RefID) UnmarshalText(text []byte) error {
	if a, err := netip.ParseAddr(string(text)); err == nil && a.Is4() {
		b := a.As4()
		*r = RefID(ntp.KissCode(string(b[:])))
		return nil
	}
	var b [4]byte
	if len(text) < 1 || copy(b[:], text) < len(text) {
		return fmt.Errorf("%.60q is not a reference identifier; write one to four letters, or an IPv4 address", text)
	}
	for _, c := range text {
		if c <= ' ' || c > '~' {
			return fmt.Errorf("%.60q is not a reference identifier; write visible ASCII characters", text)
		}
	}
	*r = RefID(ntp.KissCode(string(b[:])))
	return nil
}

// String returns what UnmarshalText reads.
func (r RefID) String() string {
	b := [4]byte{byte(r >> 24), byte(r >> 16), byte(r >> 8), byte(r)}
	s := strings.TrimRight(string(b[:]), "\x00")
	if s == "" || strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return netip.AddrFrom4(b).String()
	}
	return s
}

// AEAD is an AEAD algorithm by its number in the IANA registry of AEAD
// algorithms.
type AEAD uint16

// aeadNames are the algorithms that can be offered (RFC 5297, RFC 8452).
var aeadNames = map[AEAD]string{
	15: "AES-SIV-CMAC-256",
	16: "AES-SIV-CMAC-384",
	17: "AES-SIV-CMAC-512",
	30: "AES-128-GCM-SIV",
}

// UnmarshalText reads the name (also with AEAD_ and underscores, as IANA
// writes it) or the number.
func (a *AEAD) UnmarshalText(text []byte) error {
	name := strings.TrimPrefix(strings.ReplaceAll(strings.ToUpper(string(text)), "_", "-"), "AEAD-")
	for id, known := range aeadNames {
		if name == known || name == strconv.Itoa(int(id)) {
			*a = id
			return nil
		}
	}
	return fmt.Errorf("%.60q is not an AEAD algorithm for NTS; write AES-128-GCM-SIV, AES-SIV-CMAC-256, "+
		"AES-SIV-CMAC-384 or AES-SIV-CMAC-512", text)
}

// String returns the name.
func (a AEAD) String() string {
	if name, ok := aeadNames[a]; ok {
		return name
	}
	return strconv.Itoa(int(a))
}

// parseKind reads a kind of authentication.
func parseKind(s string) (ntp.Kind, error) {
	for k := range ntp.Kind(ntp.KindCount) {
		if s == k.String() {
			return k, nil
		}
	}
	return 0, fmt.Errorf("%.60q is not a kind of authentication; write none, symmetric, autokey or nts", s)
}

// parseListen reads an address with a port.
func parseListen(s string) (netip.AddrPort, error) {
	ap, err := netip.ParseAddrPort(s)
	if err != nil {
		return ap, fmt.Errorf(`%.60q is not an address with a port; write "192.0.2.1:123" or "[2001:db8::1]:123"`, s)
	}
	if ap.Port() == 0 {
		return ap, fmt.Errorf("%v has port 0; write the port to listen on", ap)
	}
	if ap.Addr().Is4In6() {
		return ap, fmt.Errorf("%v is an IPv4 address inside IPv6; write %v", ap,
			netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()))
	}
	return ap, nil
}

// parseAddress reads an address without a port.
func parseAddress(s string) (netip.Addr, error) {
	a, err := netip.ParseAddr(s)
	if err != nil {
		return a, fmt.Errorf(`%.60q is not an address; write such as 192.0.2.255, 224.0.1.1 or "ff05::101"`, s)
	}
	if a.Is4In6() {
		return a, fmt.Errorf("%v is an IPv4 address inside IPv6; write %v", a, a.Unmap())
	}
	return a, nil
}
