package ntp

import "encoding/binary"

// Kind is how a packet is authenticated.
type Kind uint8

// The kinds. KindAutokey is "legacy-signed", never "authenticated".
const (
	KindNone      Kind = iota // no authentication
	KindSymmetric             // MAC of a symmetric key
	KindAutokey               // MAC of an Autokey session key (RFC 5906)
	KindNTS                   // NTS (RFC 8915)
	KindCount     = 4
)

// String returns the kind's name as used in logs, metrics and configuration.
func (k Kind) String() string {
	switch k {
	case KindNone:
		return "none"
	case KindSymmetric:
		return "symmetric"
	case KindAutokey:
		return "autokey"
	case KindNTS:
		return "nts"
	}
	return "invalid"
}

// maxMACv4 is the longest trailer that is taken for a MAC by length: key
// identifier and 20 octets (RFC 7822, section 3, and ntpd).
const maxMACv4 = 24

// maxFields bounds the extension fields of one packet; NTS with eight cookies
// wanted has ten.
const maxFields = 24

// Layout tells how a packet is built and which authenticator answers for it.
type Layout struct {
	Kind   Kind
	Defect Reason // ReasonOK, or why the packet cannot be processed
	Fields uint8  // number of extension fields
	MAC    int    // offset of the key identifier; len(packet) if there is no MAC
	KeyID  uint32 // of the MAC

	// Fields of NTS, Length 0 when absent. Cookie is the first one.
	UniqueIdentifier Field
	Cookie           Field
	Authenticator    Field
	Cookies          uint8 // cookies found before the authenticator
	Placeholders     uint8 // cookie placeholders found before the authenticator
}

// Keys tells which key identifiers belong to symmetric keys. The classifier
// asks it before it takes an identifier for Autokey's.
type Keys interface {
	// FullMACLen returns the uncut length of the key's MAC in octets, without
	// the key identifier. ok is false if the key is not there or not trusted.
	FullMACLen(id uint32) (octets int, ok bool)
}

// Classify finds the extension fields and the MAC of a packet and decides
// which kind of authentication it claims:
//
//   - no trailer: none, or NTS when a unique identifier and an authenticator
//     field are present in version 4;
//   - a trailer of at most 24 octets is a MAC (RFC 7822, section 3): symmetric
//     if the key table knows the identifier or it is at most 65535, else
//     Autokey;
//   - in versions 1 to 3 also one of the key's full digest length directly
//     behind the header (chrony with long keys);
//   - a key identifier of zero alone is a crypto-NAK.
//
// Fields are walked as ntpd does (any multiple of 4 octets), since Autokey
// uses fields of 8 octets; unknown ones are passed over.
func Classify(p []byte, keys Keys) Layout {
	l := Layout{MAC: len(p)}
	if len(p) < HeaderLen {
		l.Defect = ReasonShort
		return l
	}
	if len(p)%4 != 0 {
		l.Defect = ReasonMalformed
		return l
	}
	version := VersionOf(p)
	if rest := len(p) - HeaderLen; rest > maxMACv4 && version < 4 {
		id := binary.BigEndian.Uint32(p[HeaderLen:])
		if n, ok := keys.FullMACLen(id); ok && n == rest-4 {
			l.Kind, l.MAC, l.KeyID = KindSymmetric, HeaderLen, id
			return l
		}
	}
	offset := HeaderLen
	for len(p)-offset > maxMACv4 {
		f, ok := FieldAt(p, offset)
		if !ok || l.Fields == maxFields {
			l.Defect = ReasonMalformed
			return l
		}
		l.Fields++
		offset += f.Length
		l.note(f)
	}
	l.MAC = offset
	if offset == len(p) {
		if version == 4 && l.UniqueIdentifier.Length > 0 && l.Authenticator.Length > 0 {
			l.Kind = KindNTS
		}
		return l
	}
	l.trailer(p, keys)
	return l
}

// note remembers the fields that NTS needs. What follows the authenticator is
// not protected and not looked at (RFC 8915, section 5.7).
func (l *Layout) note(f Field) {
	if l.Authenticator.Length > 0 {
		return
	}
	switch f.Type {
	case FieldUniqueIdentifier:
		if l.UniqueIdentifier.Length == 0 {
			l.UniqueIdentifier = f
		}
	case FieldCookie:
		if l.Cookies == 0 {
			l.Cookie = f
		}
		l.Cookies++
	case FieldCookiePlaceholder:
		l.Placeholders++
	case FieldAuthenticator:
		l.Authenticator = f
	}
}

// trailer reads the key identifier at l.MAC and decides whose it is.
func (l *Layout) trailer(p []byte, keys Keys) {
	l.KeyID = binary.BigEndian.Uint32(p[l.MAC:])
	l.Kind = KindSymmetric
	if len(p)-l.MAC == 4 && l.KeyID == 0 {
		l.Defect = ReasonCryptoNAK
		return
	}
	if l.KeyID > 65535 {
		if _, ok := keys.FullMACLen(l.KeyID); !ok {
			l.Kind = KindAutokey
		}
	}
}
