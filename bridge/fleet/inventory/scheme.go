package inventory

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
