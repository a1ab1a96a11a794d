package source

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"ntsbridge/nts"
)

// keStage is how far key establishment came.
type keStage uint8

// The stages.
const (
	stageTrust    keStage = iota // trusted certificates read
	stageName                    // address of the NTS-KE server found
	stageConnect                 // TCP
	stageTLS                     // handshake with certificate
	stageExchange                // records of NTS-KE
	stageServer                  // address of the NTP server found
)

// keError is a failed key establishment.
type keError struct {
	Server  string         // NTS-KE server as configured
	Address netip.AddrPort // where it failed; invalid before stageConnect
	Stage   keStage        // what failed
	NTP     string         // in stageServer the name of the NTP server
	Err     error
}

// Error implements error.
func (e *keError) Error() string {
	where := e.Server
	if a := e.Address; a.IsValid() && !strings.Contains(where, a.Addr().String()) {
		where += " (" + a.String() + ")"
	}
	if e.Stage == stageServer {
		where += fmt.Sprintf(": NTP server %q", e.NTP)
	}
	return fmt.Sprintf("NTS-KE with %s: %v", where, e.Err)
}

// Unwrap returns the cause.
func (e *keError) Unwrap() error { return e.Err }

// errDate says that an authentic time lies outside the dates of what
// authenticates it.
var errDate = errors.New("the time is not within the dates of the certificate that speaks for it")

// certificateError is a certificate that is refused.
type certificateError struct {
	Host         string
	Certificates []*x509.Certificate // that the server sent, its own first
	At           time.Time           // the date by which they were judged
	Now          time.Time           // what the clock says
	DatesOnly    bool                // they would be good at another date
	Trusted      bool                // everything but name and dates is good
	Issuer       string              // of the certificate at an earlier key establishment, empty if not known
	Err          error               // of package x509
}

// Error implements error.
func (e *certificateError) Error() string { return e.Err.Error() }

// Unwrap returns the error of package x509.
func (e *certificateError) Unwrap() error { return e.Err }

// unprotectedError is an answer to our request without NTS.
type unprotectedError struct {
	Kiss string // its kiss code, empty if it has none
}

// Error implements error.
func (e *unprotectedError) Error() string {
	if e.Kiss != "" {
		return fmt.Sprintf("%v: kiss code %s", nts.ErrUnprotected, e.Kiss)
	}
	return nts.ErrUnprotected.Error()
}

// Unwrap returns nts.ErrUnprotected.
func (e *unprotectedError) Unwrap() error { return nts.ErrUnprotected }

// ErrSecondAnswer says that two different answers came to one request.
var ErrSecondAnswer = errors.New("two different answers came to one request: somebody answers in the server's place, too")

// silenceError says why requests get no answer.
type silenceError struct {
	Cause Cause
	Text  string
}

// Error implements error.
func (e *silenceError) Error() string { return e.Text }

// Unwrap returns ErrTimeout.
func (e *silenceError) Unwrap() error { return ErrTimeout }

// errALPN says that the server negotiated no protocol.
var errALPN = errors.New("the server does not speak " + nts.ALPN)

// ErrFamily says that a host has addresses, but not of the wanted family.
var ErrFamily = errors.New("the host has no address of the wanted family")
