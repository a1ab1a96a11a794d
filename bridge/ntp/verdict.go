package ntp

import "net/netip"

// Request is one received packet with what the sockets know about it.
type Request struct {
	Packet   []byte
	Layout   Layout
	Header   Header
	From     netip.AddrPort // 4-in-6 addresses are unmapped
	To       netip.Addr     // local address that the packet was sent to
	Received Timestamp      // by the kernel's clock where it tells
	TOS      uint8          // type of service or traffic class, if KnownTOS
	KnownTOS bool           // the socket told TOS
}

// minIdentifier is the least length of a unique identifier's field in octets:
// type, length and 32 random octets (RFC 8915, section 5.3).
const minIdentifier = FieldHeaderLen + 32

// Identifier returns the unique identifier field of a client's request, which
// every answer to it returns, protected by NTS or not (RFC 8915, section 5.3);
// nil for none. It is a part of the packet, so that an answer with it does not
// become longer than the request.
func (r *Request) Identifier() []byte {
	f := r.Layout.UniqueIdentifier
	if f.Length < minIdentifier || VersionOf(r.Packet) != 4 || ModeOf(r.Packet) != ModeClient {
		return nil
	}
	return r.Packet[f.Offset : f.Offset+f.Length]
}

// Action is what to send for a request.
type Action uint8

// The actions.
const (
	Drop         Action = iota // nothing
	Answer                     // time, sealed as the request was
	CryptoNAK                  // header and a zero key identifier (RFC 5905, section 8)
	NTSNAK                     // kiss code NTSN (RFC 8915, section 5.7)
	KissRate                   // kiss code RATE
	KissDeny                   // kiss code DENY
	KissRestrict               // kiss code RSTR
	Defer                      // costly: to be handled off the fast path
)

// Reason says why a verdict came out as it did; serverstats counts each.
type Reason uint8

// The reasons.
const (
	ReasonOK               Reason = iota
	ReasonShort                   // fewer than 48 octets
	ReasonMalformed               // length, fields or trailer do not frame
	ReasonVersion                 // version 0 or above 4, or refused by rule
	ReasonMode                    // mode that a server does not answer
	ReasonCryptoNAK               // request is a crypto-NAK
	ReasonDenied                  // access rule: denied
	ReasonAuthRequired            // access rule: this kind of authentication is not enough
	ReasonRateLimited             // over the rate limit
	ReasonUnknownKey              // key not there or not trusted
	ReasonKeyAddress              // key not allowed for this address
	ReasonBadMAC                  // MAC of wrong length or value
	ReasonNotEnabled              // authenticator not configured
	ReasonBadField                // extension field that its protocol refuses
	ReasonUnknownCookie           // NTS cookie that no key opens, or stale Autokey cookie
	ReasonBadAuthenticator        // NTS authenticator does not verify
	ReasonBudget                  // costly operation over its budget
	ReasonTooLarge                // answer would be longer than allowed
	ReasonMulticastSource         // source address that cannot be answered
	ReasonNoGroup                 // Autokey request of a host without a group to one that has one
	ReasonNTPDCookie              // Autokey cookie of an ntpd, whose seed is 0, outside a takeover
	ReasonStage                   // a step of the migration refuses this means
	ReasonNoSigner                // MS-SNTP: Samba, which would sign the answer, is not there
	ReasonCount            = iota
)

var reasonNames = [ReasonCount]string{
	"ok", "short", "malformed", "version", "mode", "crypto-nak", "denied", "auth-required",
	"rate-limited", "unknown-key", "key-address", "bad-mac", "not-enabled", "bad-field",
	"unknown-cookie", "bad-authenticator", "budget", "too-large", "bad-source", "no-group", "ntpd-cookie", "stage",
	"no-signer",
}

// String returns the reason's name as used in logs and counters.
func (r Reason) String() string {
	if int(r) < len(reasonNames) {
		return reasonNames[r]
	}
	return "invalid"
}

// Verdict is what an authenticator decided about a request: what to send,
// what to count, and what the inventory of clients learns.
type Verdict struct {
	Action Action
	Reason Reason
	Kind   Kind
	// One of these tells what the kind of authentication was done with.
	KeyID     uint32 // symmetric: key identifier; MS-SNTP: relative identifier of the account
	AEAD      uint16 // NTS: algorithm identifier of RFC 5297 and 8452, 0: not known
	Operation uint8  // Autokey: operation code of the message, 0 for a packet without
	Marks     Marks
	// Step is the step of the migration that refuses, with ReasonStage.
	Step uint32
}

// Marks are what else there is to tell of a request. They are one field, and a
// Verdict has few, so that it is handed on in registers.
type Marks uint8

const (
	// OldSecret marks what was accepted under a secret that new cookies are no
	// longer made from: an Autokey packet under an older seed or, in a
	// takeover, under ntpd's; an NTS cookie under a former key.
	OldSecret Marks = 1 << iota
	// ZeroSeed marks an Autokey packet whose cookie was made from seed 0, as
	// every ntpd 4.2.8 makes it, accepted or not.
	ZeroSeed
	// MSSNTP marks a request of Active Directory's clients whose answer Samba
	// signs (MS-SNTP). Its kind is KindNone: anybody can have sent it.
	MSSNTP
)

// Has tells whether one of some marks is set.
func (m Marks) Has(some Marks) bool { return m&some != 0 }
