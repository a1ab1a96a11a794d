package nts

import (
	"errors"
	"fmt"
	"slices"

	"ntsbridge/nts/aead"
)

// KEClient is the client role of NTS-KE as functions on messages.
type KEClient struct {
	// AEADs in order of preference; DefaultAEADs if empty.
	AEADs []aead.ID
	// Server and Port that the client would like to be sent to (RFC 8915,
	// sections 4.1.7 and 4.1.8); empty and 0 for no wish.
	Server string
	Port   uint16
}

// Errors of a response that the client treats differently.
var (
	// ErrRefused: the server sent an error record, a warning, or agrees to no
	// protocol or algorithm.
	ErrRefused = errors.New("nts: server refuses key establishment")
	// ErrNoProtocol and ErrNoAEAD are ErrRefused: the server does not offer
	// NTPv4, or none of our algorithms.
	ErrNoProtocol = fmt.Errorf("%w: it does not offer NTPv4", ErrRefused)
	ErrNoAEAD     = fmt.Errorf("%w: it has no AEAD algorithm in common with us", ErrRefused)
)

// ErrUnknownRecord: the response has a critical record that is unknown here: the
// server wants something of clients that RFC 8915 does not have.
var ErrUnknownRecord = errors.New("nts: the server demands a record that we do not know")

// ErrCookieLength: the server's cookies are longer than a packet can carry.
var ErrCookieLength = errors.New("nts: cookie too long for a packet")

// NotOfferedError says that the server chose an algorithm that was not offered.
type NotOfferedError struct {
	Chosen  aead.ID
	Offered []aead.ID
}

// Error implements error.
func (e *NotOfferedError) Error() string {
	return fmt.Sprintf("nts: the server answers with AEAD %d (%v), and was offered %v", uint16(e.Chosen), e.Chosen, e.Offered)
}

// RefusalError is an ErrRefused with the server's error or warning record
// (RFC 8915, sections 4.1.3 and 4.1.4).
type RefusalError struct {
	Warning bool // a warning record, else an error record
	Code    uint16
}

// Error implements error.
func (e *RefusalError) Error() string { return fmt.Sprintf("%v: %s", ErrRefused, e.text()) }

// Unwrap returns ErrRefused.
func (e *RefusalError) Unwrap() error { return ErrRefused }

func (e *RefusalError) text() string {
	switch {
	case e.Warning:
		return fmt.Sprintf("warning %d", e.Code)
	case e.Code == ErrorUnrecognizedCritical:
		return "error 0, unrecognised critical record"
	case e.Code == ErrorBadRequest:
		return "error 1, bad request"
	case e.Code == ErrorInternal:
		return "error 2, internal server error"
	}
	return fmt.Sprintf("error %d", e.Code)
}

// KEResult is what a client learns in NTS-KE.
type KEResult struct {
	Agreement
	Cookies [][]byte // 1 to 8
	Server  string   // NTP server, empty if it is the NTS-KE server
	Port    uint16   // UDP port, 0 for the usual one
}

func (c *KEClient) aeads() []aead.ID {
	if len(c.AEADs) == 0 {
		return DefaultAEADs
	}
	return c.AEADs
}

// Request appends the request message.
func (c *KEClient) Request(dst []byte) ([]byte, error) {
	if err := checkAEADs(c.aeads()); err != nil {
		return nil, err
	}
	var ids []uint16
	for _, id := range c.aeads() {
		ids = append(ids, uint16(id))
	}
	dst = AppendRecord(dst, uint16Record(true, RecordNextProtocol, ProtocolNTPv4))
	dst = AppendRecord(dst, uint16Record(true, RecordAEAD, ids...))
	if slices.Contains(c.aeads(), aead.AES128GCMSIV) {
		dst = AppendRecord(dst, Record{Type: RecordCompliantExport})
	}
	if c.Server != "" {
		if !validServer([]byte(c.Server)) {
			return nil, fmt.Errorf("nts: %q is neither an IP address nor a host name", c.Server)
		}
		dst = AppendRecord(dst, Record{Type: RecordServer, Body: []byte(c.Server)})
	}
	if c.Port != 0 {
		dst = AppendRecord(dst, uint16Record(false, RecordPort, c.Port))
	}
	return AppendRecord(dst, endOfMessage), nil
}

// Response reads the complete response message to Request. The cookies are
// parts of msg.
func (c *KEClient) Response(msg []byte) (*KEResult, error) {
	records, err := body(msg)
	if err != nil {
		return nil, err
	}
	var (
		res  KEResult
		seen = make(map[uint16]bool)
	)
	for _, r := range records {
		if seen[r.Type] && (r.Type <= RecordAEAD || r.Type == RecordServer || r.Type == RecordPort) {
			return nil, fmt.Errorf("%w: record of type %d appears twice in the response", ErrMalformed, r.Type)
		}
		seen[r.Type] = true
		if err := c.take(&res, r); err != nil {
			return nil, err
		}
	}
	switch {
	case !seen[RecordNextProtocol] || !seen[RecordAEAD]:
		return nil, fmt.Errorf("%w: response names no protocol or no AEAD algorithm", ErrMalformed)
	case len(res.Cookies) == 0:
		return nil, fmt.Errorf("%w: response has no cookie", ErrMalformed)
	}
	return &res, nil
}

// take reads one record of a response.
func (c *KEClient) take(res *KEResult, r Record) error {
	values, ok := uint16s(r.Body)
	switch r.Type {
	case RecordError, RecordWarning:
		if len(values) != 1 || !ok {
			return fmt.Errorf("%w: record of type %d", ErrMalformed, r.Type)
		}
		return &RefusalError{r.Type == RecordWarning, values[0]}
	case RecordNextProtocol:
		if ok && len(values) == 0 {
			return ErrNoProtocol
		}
		ok = ok && r.Critical && len(values) == 1 && values[0] == ProtocolNTPv4
	case RecordAEAD:
		if ok && len(values) == 0 {
			return fmt.Errorf("%w: %v", ErrNoAEAD, c.aeads())
		}
		if ok = ok && len(values) == 1; ok {
			res.AEAD = aead.ID(values[0])
		}
		if ok && !slices.Contains(c.aeads(), res.AEAD) {
			return &NotOfferedError{res.AEAD, c.aeads()}
		}
	case RecordCompliantExport:
		res.Compliant, ok = true, len(r.Body) == 0
	case RecordCookie:
		return res.takeCookie(r.Body)
	case RecordServer:
		res.Server, ok = string(r.Body), validServer(r.Body)
	case RecordPort:
		ok = len(values) == 1 && ok && values[0] != 0
		if ok {
			res.Port = values[0]
		}
	default:
		if r.Critical {
			return fmt.Errorf("%w: type %d, critical", ErrUnknownRecord, r.Type)
		}
	}
	if !ok {
		return fmt.Errorf("%w: record of type %d and %d octets in the response", ErrMalformed, r.Type, len(r.Body))
	}
	return nil
}

// takeCookie keeps a cookie that a packet can carry; more than eight are of
// no use.
func (res *KEResult) takeCookie(cookie []byte) error {
	if len(cookie) == 0 {
		return fmt.Errorf("%w: cookie without octets", ErrMalformed)
	}
	if len(cookie) > maxCookieLen {
		return fmt.Errorf("%w: %d octets, at most %d fit", ErrCookieLength, len(cookie), maxCookieLen)
	}
	if len(res.Cookies) < MaxCookies {
		res.Cookies = append(res.Cookies, cookie)
	}
	return nil
}

// Alternative returns the other agreement to try if the server answers the
// first request with an NTS NAK: a server that has AES-128-GCM-SIV, did not
// return record 1024, and is not chrony, exports keys as the RFC says (chrony
// since 4.6.1 does the same). ok is false if there is none.
func (res *KEResult) Alternative() (a Agreement, ok bool) {
	if res.AEAD != aead.AES128GCMSIV || res.Compliant {
		return Agreement{}, false
	}
	return Agreement{res.AEAD, true}, true
}
