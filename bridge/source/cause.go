package source

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"io/fs"
	"net"
	"reflect"
	"strings"
	"syscall"

	"ntsbridge/autokey"
	"ntsbridge/nts"
)

// Cause is why a server's time cannot be had: one word for a program, beside
// the text for a person.
type Cause string

// The causes.
const (
	CauseNone Cause = "" // no error

	// The name of the server, or of the NTP server that NTS-KE names.
	CauseNameUnknown   Cause = "name-unknown"   // no such name, or no address of the wanted family
	causeNameTemporary Cause = "name-temporary" // the name servers do not answer, or not well
	causeNoResolver    Cause = "no-resolver"    // no name server is there at all

	// The way.
	CauseTCPRefused  Cause = "tcp-refused"
	CauseTCPFiltered Cause = "tcp-filtered" // no answer to TCP
	CauseUDPRefused  Cause = "udp-refused"  // ICMP port unreachable
	CauseUDPFiltered Cause = "udp-filtered" // no answer to any packet
	CauseSizeFilter  Cause = "size-filter"  // long packets get lost
	CauseUnreachable Cause = "unreachable"  // no route, host or network
	causeLocalFilter Cause = "local-filter" // this host's own packet filter

	// TLS.
	causeNotTLS     Cause = "not-tls"
	causeTLSVersion Cause = "tls-version" // not TLS 1.3
	causeTLSAlert   Cause = "tls-alert"
	causeTLSSilent  Cause = "tls-silent" // connected, then silence
	causeTLSClosed  Cause = "tls-closed" // connected, then closed
	causeTLS        Cause = "tls"        // something else
	causeALPN       Cause = "alpn"       // not ntske/1

	// The certificate.
	CauseUnknownAuthority   Cause = "unknown-authority"
	causeSelfSigned         Cause = "self-signed"
	CauseCertificateName    Cause = "certificate-name"
	causeCertificateExpired Cause = "certificate-expired"
	causeCertificateEarly   Cause = "certificate-not-yet-valid"
	causeCertificate        Cause = "certificate" // something else
	causeTrust              Cause = "trusted-certificates"

	// Key establishment.
	causeKERefused    Cause = "ke-refused"     // error or warning record
	causeKEBadRequest Cause = "ke-bad-request" // error 1
	causeKEInternal   Cause = "ke-internal"    // error 2
	causeKEProtocol   Cause = "ke-no-ntpv4"
	CauseKEAEAD       Cause = "ke-no-common-aead"
	causeKENotOffered Cause = "ke-aead-not-offered" // the server chose another algorithm
	causeKEUnknown    Cause = "ke-unknown-record"   // critical, of no RFC that we know
	causeKECookie     Cause = "ke-long-cookie"
	causeKEMalformed  Cause = "ke-malformed"
	causeKESilent     Cause = "ke-silent" // TLS is up, no response
	causeKEClosed     Cause = "ke-closed" // TLS is up, closed without response

	// Packets.
	CauseNTSNAK         Cause = "nts-nak"
	causeNTSSilent      Cause = "nts-silent"      // plain packets are answered, NTS's are not
	CauseNTSUnprotected Cause = "nts-unprotected" // answers are without NTS
	CauseInterception   Cause = "interception"    // somebody else answers
	CauseWrongKey       Cause = "wrong-key"       // bad MAC
	CauseCryptoNAK      Cause = "crypto-nak"
	CauseKeySilent      Cause = "key-silent" // plain packets are answered, those with the key are not
	CauseAutokey        Cause = "autokey"
	causeBogus          Cause = "bogus-answer" // not an answer to our request
	causeMalformed      Cause = "malformed-answer"
	causeDate           Cause = "time-outside-certificate"

	// The server.
	causeDenied         Cause = "kiss-deny"
	causeRestricted     Cause = "kiss-rstr"
	causeRate           Cause = "kiss-rate"
	CauseUnsynchronised Cause = "unsynchronised"
	CauseFewSamples     Cause = "few-samples" // some polls were answered

	CauseOther Cause = "other"
)

// Unauthentic reports whether an answer came that is not authentic. A crypto-NAK
// is none to ntpd, which does not believe it.
func (c Cause) Unauthentic() bool {
	return c == CauseWrongKey || c == CauseNTSNAK || c == CauseInterception
}

// Diagnosis is an error of a source, explained.
type Diagnosis struct {
	Cause  Cause
	Text   string // what happened: one sentence without capital letter and full stop
	Remedy string // what to do: the same; may be empty
}

// causeOf returns the cause of an error of a source: of key establishment, of
// a poll, or of a probe.
func causeOf(err error) Cause {
	var (
		ke    *keError
		kiss  *KissError
		plain *unprotectedError
		quiet *silenceError
	)
	switch {
	case err == nil:
		return CauseNone
	case errors.As(err, &ke):
		return ke.cause()
	case errors.As(err, &quiet):
		return quiet.Cause
	case errors.As(err, &kiss):
		return causeOfKiss(kiss.Code)
	case errors.As(err, &plain) && plain.Kiss != "":
		return causeOfKiss(plain.Kiss)
	}
	for _, c := range packetCauses {
		if errors.Is(err, c.err) {
			return c.cause
		}
	}
	return causeOfSystem(err, CauseOther)
}

// packetCauses are the sentinels of answers.
var packetCauses = []struct {
	err   error
	cause Cause
}{
	{nts.ErrNAK, CauseNTSNAK},
	{nts.ErrUnprotected, CauseNTSUnprotected},
	{nts.ErrAuthenticator, CauseInterception},
	{nts.ErrResponse, causeBogus},
	{ErrSecondAnswer, CauseInterception},
	{errDate, causeDate},
	{ErrCryptoNAK, CauseCryptoNAK},
	{autokey.ErrCryptoNAK, CauseCryptoNAK},
	{ErrNotAuthentic, CauseWrongKey},
	{ErrOrigin, causeBogus},
	{errPacket, causeMalformed},
	{ErrUnsynchronised, CauseUnsynchronised},
	{ErrTimeout, CauseUDPFiltered},
	{syscall.ECONNREFUSED, CauseUDPRefused},
}

func causeOfKiss(code string) Cause {
	switch code {
	case "DENY":
		return causeDenied
	case "RSTR":
		return causeRestricted
	case "RATE":
		return causeRate
	case "NTSN":
		return CauseNTSNAK
	}
	return CauseUnsynchronised
}

// causeOfSystem finds what the kernel or the resolver say.
func causeOfSystem(err error, other Cause) Cause {
	var dns *net.DNSError
	var m *autokey.MessageError
	switch {
	case errors.As(err, &dns):
		return causeOfName(dns)
	case errors.Is(err, ErrFamily):
		return CauseNameUnknown
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EADDRNOTAVAIL),
		errors.Is(err, syscall.ENETDOWN), errors.Is(err, syscall.EHOSTDOWN), errors.Is(err, syscall.EAFNOSUPPORT):
		return CauseUnreachable
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EACCES):
		return causeLocalFilter
	case errors.As(err, &m):
		return CauseAutokey
	}
	return other
}

func causeOfName(e *net.DNSError) Cause {
	switch {
	case e.IsNotFound:
		return CauseNameUnknown
	// The resolver tells this in words only.
	case strings.Contains(e.Err, "connection refused"), strings.Contains(e.Err, "unreachable"):
		return causeNoResolver
	}
	return causeNameTemporary
}

// cause finds what a failed key establishment is about.
func (e *keError) cause() Cause {
	switch e.Stage {
	case stageTrust:
		return causeTrust
	case stageName, stageServer:
		return causeOfSystem(e.Err, causeNameTemporary)
	case stageConnect:
		switch {
		case errors.Is(e.Err, syscall.ECONNREFUSED):
			return CauseTCPRefused
		case isTimeout(e.Err):
			return CauseTCPFiltered
		}
		return causeOfSystem(e.Err, CauseOther)
	case stageTLS:
		return e.causeOfTLS()
	}
	return e.causeOfExchange()
}

func (e *keError) causeOfTLS() Cause {
	var certificate *certificateError
	var record tls.RecordHeaderError
	number, alert := alertOf(e.Err)
	switch {
	case errors.As(e.Err, &certificate):
		return certificate.cause()
	case errors.Is(e.Err, errALPN), alert && number == alertNoProtocol:
		return causeALPN
	case alert && number == alertVersion, strings.Contains(e.Err.Error(), "unsupported protocol version"):
		return causeTLSVersion
	case alert:
		return causeTLSAlert
	case errors.As(e.Err, &record):
		return causeNotTLS
	case isTimeout(e.Err):
		return causeTLSSilent
	case isClosed(e.Err):
		return causeTLSClosed
	}
	return causeOfSystem(e.Err, causeTLS)
}

func (e *keError) causeOfExchange() Cause {
	var refusal *nts.RefusalError
	var other *nts.NotOfferedError
	_, alert := alertOf(e.Err)
	switch {
	case errors.As(e.Err, &refusal):
		switch {
		case !refusal.Warning && refusal.Code == nts.ErrorBadRequest:
			return causeKEBadRequest
		case !refusal.Warning && refusal.Code == nts.ErrorInternal:
			return causeKEInternal
		}
		return causeKERefused
	case errors.Is(e.Err, nts.ErrNoProtocol):
		return causeKEProtocol
	case errors.Is(e.Err, nts.ErrNoAEAD):
		return CauseKEAEAD
	case errors.As(e.Err, &other):
		return causeKENotOffered
	case errors.Is(e.Err, nts.ErrUnknownRecord):
		return causeKEUnknown
	case errors.Is(e.Err, nts.ErrCookieLength):
		return causeKECookie
	case errors.Is(e.Err, nts.ErrMalformed), errors.Is(e.Err, nts.ErrTruncated), errors.Is(e.Err, nts.ErrTooLong):
		return causeKEMalformed
	case alert:
		return causeTLSAlert
	case isTimeout(e.Err):
		return causeKESilent
	case isClosed(e.Err):
		return causeKEClosed
	}
	return causeOfSystem(e.Err, CauseOther)
}

// cause finds what is wrong with a certificate. A wrong name comes first: then
// it is another server's, and nothing else about it matters.
func (e *certificateError) cause() Cause {
	if len(e.Certificates) == 0 {
		return causeCertificate
	}
	leaf := e.Certificates[0]
	var unknown x509.UnknownAuthorityError
	switch {
	case leaf.VerifyHostname(e.Host) != nil:
		return CauseCertificateName
	case e.DatesOnly && e.offender().NotAfter.Before(e.At):
		return causeCertificateExpired
	case e.DatesOnly:
		return causeCertificateEarly
	case !errors.As(e.Err, &unknown):
		return causeCertificate
	case leaf.CheckSignatureFrom(leaf) == nil || len(e.Certificates) == 1 && selfSigned(leaf):
		return causeSelfSigned
	case e.Issuer != "" && e.Issuer != leaf.Issuer.String():
		return CauseInterception
	}
	return CauseUnknownAuthority
}

// selfSigned tells whether a certificate is signed by its own key, an
// authority's or not.
func selfSigned(c *x509.Certificate) bool {
	return c.Subject.String() == c.Issuer.String() && c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil
}

// offender returns the first certificate that is not good at the date.
func (e *certificateError) offender() *x509.Certificate {
	for _, c := range e.Certificates {
		if e.At.Before(c.NotBefore) || e.At.After(c.NotAfter) {
			return c
		}
	}
	var invalid x509.CertificateInvalidError // an authority that the server did not send
	if errors.As(e.Err, &invalid) && invalid.Cert != nil {
		return invalid.Cert
	}
	return e.Certificates[0]
}

// Alerts of TLS (RFC 8446, section 6) that are causes of their own.
const (
	alertVersion    = 70
	alertName       = 112
	alertClientCert = 116
	alertNoProtocol = 120
)

// alertOf returns the number of an alert that the other side sent. Package tls
// does not export the type that it has on TCP.
func alertOf(err error) (number uint8, ok bool) {
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "remote error" || op.Err == nil {
		return 0, false
	}
	if v := reflect.ValueOf(op.Err); v.Kind() == reflect.Uint8 {
		return uint8(v.Uint()), true
	}
	return 0, true
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) ||
		errors.As(err, &timeout) && timeout.Timeout()
}

func isClosed(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, syscall.EPIPE) || errors.Is(err, fs.ErrClosed) || errors.Is(err, net.ErrClosed)
}
