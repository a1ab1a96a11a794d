package nke

import (
	"fmt"
	"net/netip"
	"time"
)

// Status tells about listeners, certificates and who does not take them.
type Status struct {
	Listeners    []netip.AddrPort
	Certificates []CertificateStatus
	// Broken are certificates that are configured and cannot be used; an
	// earlier version of one that stays in use is among Certificates.
	Broken []Broken
	// Loaded is when the certificates were last read and all could be used,
	// Tried when they were last read. Again is when that is repeated by itself;
	// zero: when a file changes.
	Loaded, Tried, Again time.Time
	// ReloadError is why the last reload left old certificates in use, empty if
	// it went well.
	ReloadError string
	// Refusals are clients that ended the handshake when they saw our
	// certificate, and have not completed one since; ManyRefuse says that they
	// are so many that the certificate is to blame.
	Refusals   []Refusal
	ManyRefuse bool
}

// Problems are what somebody has to look at, a sentence each.
func (s *Status) Problems() (list []string) {
	for _, c := range s.Certificates {
		if c.Problem != "" {
			list = append(list, c.Problem)
		}
	}
	if s.ReloadError != "" {
		list = append(list, "a certificate was not loaded: "+s.ReloadError)
	}
	if len(s.Certificates) == 0 {
		list = append(list, "NTS-KE has no certificate that can be used: no client gets keys")
	}
	if s.ManyRefuse {
		list = append(list, fmt.Sprintf("clients refuse our certificate: %d ended the handshake (ntsbridge nts)", len(s.Refusals)))
	}
	return list
}

// loads is when certificates were read.
type loads struct{ loaded, tried, again time.Time }
