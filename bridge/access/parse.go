package access

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// ParsePrefix reads a network ("192.0.2.0/24") or a single address
// ("2001:db8::1", which stands for its host prefix). Host bits must be zero:
// a rule should say what it means.
func ParsePrefix(s string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		addr, addrErr := netip.ParseAddr(s)
		if addrErr != nil || addr.Zone() != "" {
			return netip.Prefix{}, fmt.Errorf("%.60q is not a network or address; write 192.0.2.0/24, 2001:db8::/32 or a single address", s)
		}
		p = netip.PrefixFrom(addr, addr.BitLen())
	}
	switch {
	case p.Addr().Is4In6():
		return netip.Prefix{}, fmt.Errorf("%v is an IPv4 address inside IPv6; write the IPv4 address alone", p)
	case p != p.Masked():
		return netip.Prefix{}, fmt.Errorf("%v has host bits; write %v for the network or %v for the host",
			p, p.Masked(), p.Addr())
	}
	return p, nil
}

// String returns what ParseKeyRange reads.
func (r KeyRange) String() string {
	switch {
	case r == AllKeys:
		return "all"
	case r.Low == r.High:
		return strconv.FormatUint(uint64(r.Low), 10)
	}
	return fmt.Sprintf("%d-%d", r.Low, r.High)
}

// AllKeys is every key identifier.
var AllKeys = KeyRange{1, 1<<32 - 1}

// ParseKeyRange reads a key identifier ("7"), a range ("10-19") or "all".
func ParseKeyRange(s string) (KeyRange, error) {
	if s == "all" {
		return AllKeys, nil
	}
	low, high, isRange := strings.Cut(s, "-")
	if !isRange {
		high = low
	}
	l, errLow := strconv.ParseUint(low, 10, 32)
	h, errHigh := strconv.ParseUint(high, 10, 32)
	if errLow != nil || errHigh != nil || l == 0 {
		return KeyRange{}, fmt.Errorf("%.60q is not a key identifier; write 1 to 4294967295, a range 10-19, or all", s)
	}
	if l > h {
		return KeyRange{}, fmt.Errorf("key range %d-%d is empty; write %d-%d", l, h, h, l)
	}
	return KeyRange{uint32(l), uint32(h)}, nil
}
