package inventory

import "ntsbridge/bridge/ntp"

// Scheme is the identity scheme that an Autokey client used.
type Scheme uint8

// The schemes. SchemeUnknown is that of a client whose dance was not seen.
const (
	SchemeUnknown Scheme = iota
	SchemeTC             // trusted certificate: no identity exchange, then COOKIE
	SchemeIFF
	SchemeGQ
	SchemeMV
	schemeSeen // a dance has begun, no identity exchange yet
)

var schemeNames = [...]string{"", "TC", "IFF", "GQ", "MV", ""}

// String returns the scheme's name, empty if it is not known.
func (s Scheme) String() string {
	if int(s) < len(schemeNames) {
		return schemeNames[s]
	}
	return ""
}

// Autokey's operation codes (RFC 5906, section 10).
const (
	opAssoc  = 1
	opCookie = 3
	opIFF    = 7
	opGQ     = 8
	opMV     = 9
)

// after returns the scheme after a request with an operation. The identity
// exchange, if there is any, comes before the cookie.
func (s Scheme) after(operation uint8) Scheme {
	switch operation {
	case opAssoc:
		return schemeSeen
	case opIFF:
		return SchemeIFF
	case opGQ:
		return SchemeGQ
	case opMV:
		return SchemeMV
	case opCookie:
		if s == schemeSeen {
			return SchemeTC
		}
	}
	return s
}

// Autokey is what the messages of an Autokey client tell of it.
type Autokey struct {
	Addr        [16]byte
	At          ntp.Timestamp
	Host, Group string
}

// SeeAutokey takes what an ASSOC message told of a client. It never makes a
// row: the packet itself does.
func (v *Inventory) SeeAutokey(a *Autokey) {
	place, bitsOf, _ := v.opt.Addresses.place(&a.Addr)
	ref := v.find(&place, bitsOf, v.index.hash(&place, bitsOf))
	if ref == 0 {
		return
	}
	c := v.clients.at(ref)
	var ok, ok2 bool
	c.host, ok = v.names.number(a.Host)
	c.group, ok2 = v.names.number(a.Group)
	if !ok || !ok2 {
		v.full.Names++
	}
	v.touch(ref, c)
}
