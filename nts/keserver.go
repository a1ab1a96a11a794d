package nts

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"ntsbridge/nts/aead"
)

// DefaultAEADs is the order in which a server prefers algorithms if nothing
// else is configured: the one with the shortest packets and least work first,
// then the one that every client has.
var DefaultAEADs = []aead.ID{aead.AES128GCMSIV, aead.AESSIVCMAC256, aead.AESSIVCMAC512, aead.AESSIVCMAC384}

// maxServerName is the longest host name in octets that chrony takes (its
// buffer has 256 with a final dot and zero); DNS allows 253.
const maxServerName = 253

// KEServer is the server role of NTS-KE as a function from message to
// message. It is immutable and may be used by several goroutines.
type KEServer struct {
	aeads  []aead.ID
	server string
	port   uint16
}

// NewKEServer returns the role that prefers the AEADs in this order (none
// means DefaultAEADs) and, if they are not empty, tells clients to use another
// NTP server (IP address or host name in ASCII, no port) and UDP port.
func NewKEServer(aeads []aead.ID, server string, port uint16) (*KEServer, error) {
	if len(aeads) == 0 {
		aeads = DefaultAEADs
	}
	if err := checkAEADs(aeads); err != nil {
		return nil, err
	}
	if server != "" && !validServer([]byte(server)) {
		return nil, fmt.Errorf("nts: %q is neither an IP address nor a host name of at most %d ASCII letters, digits, dots and hyphens",
			server, maxServerName)
	}
	return &KEServer{slices.Clone(aeads), server, port}, nil
}

func checkAEADs(aeads []aead.ID) error {
	for i, id := range aeads {
		if !aead.Supported(id) {
			return fmt.Errorf("nts: AEAD algorithm %d is not supported: use %d, %d, %d or %d", uint16(id),
				aead.AESSIVCMAC256, aead.AESSIVCMAC384, aead.AESSIVCMAC512, aead.AES128GCMSIV)
		}
		if slices.Contains(aeads[:i], id) {
			return fmt.Errorf("nts: AEAD algorithm %d is listed twice", uint16(id))
		}
	}
	return nil
}

// Outcome says how a negotiation ended.
type Outcome uint8

// The outcomes.
const (
	Agreed               Outcome = iota // keys can be exported and cookies sent
	NoCommonProtocol                    // client does not offer NTPv4
	NoCommonAEAD                        // client offers no algorithm of ours
	UnrecognizedCritical                // error 0
	BadRequest                          // error 1
	InternalError                       // error 2
	OutcomeCount         = iota
)

// String returns the outcome's name as used in logs and counters.
func (o Outcome) String() string {
	return [...]string{"agreed", "no-common-protocol", "no-common-aead", "unrecognized-critical",
		"bad-request", "internal-error", "invalid"}[min(o, OutcomeCount)]
}

// Negotiation is what a server made of a request.
type Negotiation struct {
	Outcome Outcome
	Agreement
	server *KEServer
}

// Offered returns the AEADs that a request offers, of those that are known here,
// in its order; nil if it cannot be read.
func Offered(msg []byte) (offered []aead.ID) {
	req, err := parseRequest(msg)
	if err != nil {
		return nil
	}
	for _, id := range req.aeads {
		if aead.ID(id).KeyLen() > 0 && len(offered) < maxOffered {
			offered = append(offered, aead.ID(id))
		}
	}
	return offered
}

// maxOffered bounds Offered, whatever a client repeats.
const maxOffered = 8

// Negotiate reads one complete request message. Anything that it does not
// like becomes an outcome, for which Response has an answer; the error says
// why, for a log.
func (s *KEServer) Negotiate(msg []byte) (Negotiation, error) {
	req, err := parseRequest(msg)
	n := Negotiation{server: s}
	switch {
	case errors.Is(err, errCritical):
		n.Outcome = UnrecognizedCritical
	case err != nil:
		n.Outcome = BadRequest
	case !slices.Contains(req.protocols, ProtocolNTPv4):
		n.Outcome = NoCommonProtocol
	default:
		n.AEAD = s.choose(req)
		n.Compliant = req.compliant && n.AEAD == aead.AES128GCMSIV
		if n.AEAD == 0 {
			n.Outcome = NoCommonAEAD
		}
	}
	return n, err
}

// choose returns the server's most preferred algorithm among the client's, or
// 0. Without record 1024 nobody can tell whether the client exports
// AES-128-GCM-SIV keys as RFC 8915 says or as chrony 4.4 to 4.6 did: then that
// algorithm comes last, and chrony's way is taken if it is all there is, as
// the specification of the record recommends.
func (s *KEServer) choose(req keRequest) aead.ID {
	var last aead.ID
	for _, id := range s.aeads {
		if !slices.Contains(req.aeads, uint16(id)) {
			continue
		}
		if id != aead.AES128GCMSIV || req.compliant {
			return id
		}
		last = id
	}
	return last
}

// Fail turns the negotiation into error 2, internal server error: keys could
// not be exported, or no cookies be made.
func (n *Negotiation) Fail() { n.Outcome = InternalError }

// Response appends the response message: with the cookies if the outcome is
// Agreed (RFC 8915, section 4.1.6: at least one, better eight), else without.
func (n *Negotiation) Response(dst []byte, cookies [][]byte) []byte {
	switch n.Outcome {
	case Agreed:
		dst = n.appendAgreed(dst, cookies)
	case NoCommonProtocol:
		dst = AppendRecord(dst, uint16Record(true, RecordNextProtocol))
	case NoCommonAEAD:
		dst = AppendRecord(dst, uint16Record(true, RecordNextProtocol, ProtocolNTPv4))
		dst = AppendRecord(dst, uint16Record(true, RecordAEAD))
	case UnrecognizedCritical:
		dst = AppendRecord(dst, uint16Record(true, RecordError, ErrorUnrecognizedCritical))
	case BadRequest:
		dst = AppendRecord(dst, uint16Record(true, RecordError, ErrorBadRequest))
	default:
		dst = AppendRecord(dst, uint16Record(true, RecordError, ErrorInternal))
	}
	return AppendRecord(dst, endOfMessage)
}

func (n *Negotiation) appendAgreed(dst []byte, cookies [][]byte) []byte {
	dst = AppendRecord(dst, uint16Record(true, RecordNextProtocol, ProtocolNTPv4))
	dst = AppendRecord(dst, uint16Record(true, RecordAEAD, uint16(n.AEAD)))
	if n.Compliant {
		dst = AppendRecord(dst, Record{Type: RecordCompliantExport})
	}
	// Critical: a client that ignored them would ask the wrong server.
	if n.server.server != "" {
		dst = AppendRecord(dst, Record{true, RecordServer, []byte(n.server.server)})
	}
	if n.server.port != 0 {
		dst = AppendRecord(dst, uint16Record(true, RecordPort, n.server.port))
	}
	for _, c := range cookies {
		dst = AppendRecord(dst, Record{Type: RecordCookie, Body: c})
	}
	return dst
}

// keRequest is a request that is well formed.
type keRequest struct {
	protocols []uint16
	aeads     []uint16
	compliant bool
}

var errCritical = errors.New("nts: unrecognised critical record")

func parseRequest(msg []byte) (req keRequest, err error) {
	records, err := body(msg)
	if err != nil {
		return req, err
	}
	seen := make(map[uint16]bool)
	for _, r := range records {
		if r.Type <= RecordPort && seen[r.Type] {
			return req, fmt.Errorf("%w: record of type %d appears twice", ErrMalformed, r.Type)
		}
		seen[r.Type] = true
		if err := req.take(r); err != nil {
			return req, err
		}
	}
	if len(req.protocols) == 0 {
		return req, fmt.Errorf("%w: no next protocol offered", ErrMalformed)
	}
	if slices.Contains(req.protocols, ProtocolNTPv4) && len(req.aeads) == 0 {
		return req, fmt.Errorf("%w: no AEAD algorithm offered", ErrMalformed)
	}
	return req, nil
}

// take reads one record of a request (RFC 8915, sections 4.1.2 to 4.1.8).
// Which server and port a client would like is checked, and ignored.
func (req *keRequest) take(r Record) error {
	ok := true
	switch r.Type {
	case RecordNextProtocol:
		req.protocols, ok = uint16s(r.Body)
		ok = ok && r.Critical
	case RecordAEAD:
		req.aeads, ok = uint16s(r.Body)
	case RecordCompliantExport:
		req.compliant, ok = true, len(r.Body) == 0
	case RecordServer:
		ok = validServer(r.Body)
	case RecordPort:
		ok = len(r.Body) == 2
	case RecordError, RecordWarning, RecordCookie:
		ok = false
	default:
		if r.Critical {
			return fmt.Errorf("%w of type %d", errCritical, r.Type)
		}
	}
	if !ok {
		return fmt.Errorf("%w: record of type %d and %d octets does not belong in a request", ErrMalformed, r.Type, len(r.Body))
	}
	return nil
}

// validServer reports whether b is an IP address without zone, or a host name
// of letters, digits, dots and hyphens (RFC 8915, section 4.1.7).
func validServer(b []byte) bool {
	if len(b) == 0 || len(b) > maxServerName {
		return false
	}
	if a, err := netip.ParseAddr(string(b)); err == nil {
		return a.Zone() == ""
	}
	for _, c := range b {
		if !(c == '-' || c == '.' || '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z') {
			return false
		}
	}
	return b[0] != '.' && b[0] != '-'
}
