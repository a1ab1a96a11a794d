package source

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"

	"ntsbridge/nts"
)

// Diagnose names the cause of an error of a source and says what to do.
func Diagnose(err error) Diagnosis {
	cause := causeOf(err)
	if cause == CauseNone {
		return Diagnosis{}
	}
	d := Diagnosis{cause, err.Error(), remedies[cause]}
	var ke *keError
	var certificate *certificateError
	var quiet *silenceError
	switch {
	case errors.As(err, &certificate) && errors.As(err, &ke):
		d.Text = ke.where() + certificate.explain(cause)
		if cause == causeCertificate {
			d.Remedy = certificate.remedy()
		}
	case errors.As(err, &ke):
		d.Text = ke.where() + ke.explain(cause)
	case errors.As(err, &quiet), errors.Is(err, ErrSecondAnswer):
	default:
		if text, ok := packetTexts[cause]; ok {
			d.Text = text
			if e := detail(err); e != "" {
				d.Text += " (" + e + ")"
			}
		}
	}
	return d
}

// remedy says what to do about a certificate with which something else is wrong
// than who issued it, for whom and when.
func (e *certificateError) remedy() string {
	var invalid x509.CertificateInvalidError
	var critical x509.UnhandledCriticalExtension
	var weak *weakError
	switch {
	case errors.As(e.Err, &weak):
		return "the server needs a certificate with a longer RSA key, or one of ECDSA P-256"
	case errors.As(e.Err, &critical):
		return "have it issued without the extension that is marked critical and that clients do not know"
	case errors.As(e.Err, &invalid) && invalid.Reason != x509.IncompatibleUsage:
		return "have it issued by another authority: one of its chain may not issue it (names, path length or purpose)"
	}
	return remedies[causeCertificate]
}

// detail is what of an error's own text adds to that of its cause.
func detail(err error) string {
	var plain *unprotectedError
	var dns *net.DNSError
	switch {
	case errors.As(err, &plain) && plain.Kiss != "":
		return "without authentication: it may be forged"
	case errors.As(err, &dns):
		return dns.Name
	}
	for _, sentinel := range []error{ErrNotAuthentic, ErrUnsynchronised} {
		if _, rest, ok := strings.Cut(err.Error(), sentinel.Error()); ok && errors.Is(err, sentinel) {
			return strings.Trim(rest, " :()")
		}
	}
	return ""
}

// packetTexts say what an answer, or none, means.
var packetTexts = map[Cause]string{
	CauseNTSNAK: "the server does not know the key in our cookie (NTS NAK)",
	CauseNTSUnprotected: "answers come without NTS: another server answers at that address, or something on the way " +
		"takes extension fields off",
	CauseInterception: "an answer to our request has a wrong authenticator: somebody on the way answers in the " +
		"server's place or changes packets",
	causeBogus:     "answers come that are not to our last request: late, repeated or forged",
	causeMalformed: "what comes back is not NTP, or malformed",
	CauseWrongKey: "the MAC of the answers is wrong under our key: the server has another secret or type under the " +
		"key's number, or somebody on the way changes packets",
	CauseCryptoNAK:      "the server refuses our MAC (crypto-NAK): it does not know the key, or has another one under its number",
	causeDenied:         "the server refuses to serve this host (kiss code DENY)",
	causeRestricted:     "the server refuses to serve this host (kiss code RSTR)",
	causeRate:           "the server says that this host asks too often (kiss code RATE)",
	CauseUnsynchronised: "the server answers, but has no time to give: it is not synchronised itself",
	CauseUDPRefused:     "nothing listens on that UDP port of the host (ICMP port unreachable)",
	CauseUnreachable:    "there is no way to the host",
	causeLocalFilter:    "this host's own packet filter or security policy refuses to send",
	CauseNameUnknown:    "the name does not exist or has no address of the wanted family",
	causeNameTemporary:  "the name servers do not answer, or do not know now",
	causeNoResolver:     "no name server is there to be asked",
}

// RemedyOf says what to do against a cause; it may be empty.
func RemedyOf(c Cause) string { return remedies[c] }

// remedies say what to do.
var remedies = map[Cause]string{
	CauseNameUnknown:   "check the spelling; with -4 or -6 try the other family",
	causeNameTemporary: "try again later; check the name servers in /etc/resolv.conf, and whether this host reaches them",
	causeNoResolver:    "put a name server into /etc/resolv.conf, or give an address",

	CauseTCPRefused: "ask the server's operator for the NTS-KE port (usual: TCP 4460); the host is up, but has no NTS " +
		"there, or a firewall rejects",
	CauseTCPFiltered: "let TCP to the NTS-KE port (usual: 4460) through all firewalls on the way, or check the address",
	CauseUDPRefused:  "check address and port; the host is up, but no NTP server runs there",
	CauseUDPFiltered: "check whether the server is up and serves this host, and let UDP through on the way, answers too",
	CauseSizeFilter: "have the filter changed: providers drop longer NTP packets against amplification; meanwhile use " +
		"another way, or another UDP port (NTS-KE can name it)",
	CauseUnreachable: "check routes and addresses of this host, and the server's address",
	causeLocalFilter: "check nftables, iptables and the security policy of this host",

	causeNotTLS:     "check the port: something else answers there, perhaps a proxy's login page",
	causeTLSVersion: "the server must be upgraded to TLS 1.3, which NTS demands (RFC 8915, section 3)",
	causeTLSAlert:   "look into the server's log",
	causeTLSSilent:  "something accepts the connection and does not answer: a firewall that inspects, an overloaded server, or not a TLS port",
	causeTLSClosed:  "look into the server's log: it refuses this host, or a firewall cuts the connection",
	causeTLS:        "look into the server's log",
	causeALPN:       "check the port: a TLS server for something else, often a web server, answers there",

	CauseUnknownAuthority: "give the certificate of the server's own authority (query --ca FILE, or the source's " +
		"trusted certificates); if it has a public one, a firewall that breaks TLS open answers in the server's place",
	causeSelfSigned: "get the certificate from the server's operator and trust it (query --ca FILE, or the " +
		"source's trusted certificates)",
	CauseCertificateName: "use a name of the certificate, or have one made for this name; if the name is right, " +
		"another server answers in its place",
	causeCertificateExpired: "if this clock is right, the server's certificate must be renewed; if not, set the clock roughly first",
	causeCertificateEarly:   "set the clock roughly first; if it is right, the server's certificate is not to be used yet",
	causeCertificate:        "the server needs a certificate for TLS servers",
	causeTrust:              "correct the file or directory of trusted certificates",

	causeKERefused:    "look into the server's log",
	causeKEBadRequest: "look into the server's log; another version of the server may do",
	causeKEInternal:   "the server has a problem of its own: try again later, or tell its operator",
	causeKEProtocol:   "this is no server for NTPv4",
	CauseKEAEAD:       "allow AES-SIV-CMAC-256, which every NTS server must have",
	causeKENotOffered: "offer that algorithm too (query --aead, or the source's aeads), or leave the option out to offer all",
	causeKEUnknown:    "the server wants an extension of NTS-KE that this version does not have: upgrade, or have it made optional there",
	causeKECookie:     "the server's operator must make cookies shorter",
	causeKEMalformed:  "the server does not keep to RFC 8915, or is none for NTS",
	causeKESilent:     "look into the server's log",
	causeKEClosed:     "look into the server's log: it refuses this host, or its NTS is not set up",

	CauseNTSNAK:         "keys are established again by themselves; if it goes on, NTS-KE and NTP server do not share their keys",
	causeNTSSilent:      "check whether the server's NTP side has NTS, on that address and port",
	CauseNTSUnprotected: "check whether the server's NTP side has NTS, on that address and port, and what is on the way",
	CauseInterception:   "find out who answers: compare from another network",
	CauseWrongKey:       "compare the key files of both sides: number, type and secret",
	CauseCryptoNAK:      "compare the key files of both sides, and the server's list of trusted keys",
	CauseKeySilent: "compare the key files of both sides: chronyd is silent to a key that it does not know; or the " +
		"server serves this host unauthenticated only",
	causeBogus:          "find out who answers: an address translator, a server with two addresses, or a forger",
	causeMalformed:      "check the port: it may not be an NTP server's",
	causeDate:           "the server's time or its certificate is wrong: compare with other servers",
	causeDenied:         "ask the server's operator for access",
	causeRestricted:     "ask the server's operator for access",
	causeRate:           "ask less often: longer --interval, fewer clients behind one address",
	CauseUnsynchronised: "wait until the server is synchronised, or use another one",
	CauseFewSamples:     "try again with a longer --timeout; packets get lost or the server limits its rate",
}

// where says with whom key establishment failed.
func (e *keError) where() string {
	text := "NTS-KE with " + e.Server
	if a := e.Address; a.IsValid() && !strings.Contains(e.Server, a.Addr().String()) {
		text += " (" + a.Addr().String() + ")"
	}
	return text + ": "
}

// explain says what happened.
func (e *keError) explain(cause Cause) string {
	var dns *net.DNSError
	name := "of the server"
	if e.Stage == stageServer {
		name = fmt.Sprintf("%q of the NTP server, which NTS-KE gave,", e.NTP)
	} else if errors.As(e.Err, &dns) {
		name = fmt.Sprintf("%q", dns.Name)
	}
	switch cause {
	case CauseNameUnknown:
		return fmt.Sprintf("the name %s does not exist or has no address of the wanted family", name)
	case causeNameTemporary:
		return fmt.Sprintf("the name %s was not resolved: the name servers do not answer, or do not know now (%v)", name, e.Err)
	case causeNoResolver:
		return fmt.Sprintf("the name %s was not resolved: no name server is there (%v)", name, e.Err)
	case CauseTCPRefused:
		return fmt.Sprintf("the host refuses TCP connections to port %d", e.Address.Port())
	case CauseTCPFiltered:
		return fmt.Sprintf("no answer to TCP on port %d: a packet filter drops it, or the host is down", e.Address.Port())
	case CauseUnreachable:
		return fmt.Sprintf("there is no way to the host (%v)", e.Err)
	case causeLocalFilter:
		return fmt.Sprintf("this host's own packet filter or security policy refuses to connect (%v)", e.Err)
	case causeNotTLS:
		return fmt.Sprintf("what answers on TCP port %d does not speak TLS", e.Address.Port())
	case causeTLSVersion:
		return "the server does not speak TLS 1.3"
	case causeTLSAlert:
		return "the server refused by a TLS alert: " + alertText(e.Err)
	case causeTLSSilent:
		return "the connection stands, but no TLS handshake comes back"
	case causeTLSClosed:
		return "the connection was closed in the TLS handshake"
	case causeALPN:
		return fmt.Sprintf("the TLS server does not know the protocol %s (ALPN)", nts.ALPN)
	case causeKESilent:
		return "TLS stands, but no response to the request for keys comes"
	case causeKEClosed:
		return "TLS stood, but the connection was closed without a response to the request for keys"
	}
	return e.Err.Error()
}

// alertText names an alert.
func alertText(err error) string {
	number, _ := alertOf(err)
	text := fmt.Sprintf("%s (%d)", strings.TrimPrefix(tls.AlertError(number).Error(), "tls: "), number)
	switch number {
	case alertName:
		text += ": it has no certificate for the name that was asked for"
	case alertClientCert:
		text += ": it wants a certificate of the client, which NTS has not"
	}
	return text
}

// maxNames bounds what a text shows of a certificate's names.
const maxNames = 8

// names lists the names of the server's certificate.
func (e *certificateError) names() string {
	c := e.Certificates[0]
	list := append([]string(nil), c.DNSNames...)
	for _, ip := range c.IPAddresses {
		list = append(list, ip.String())
	}
	if len(list) == 0 {
		if c.Subject.CommonName != "" {
			return fmt.Sprintf("none but the common name %.100q, which does not count", c.Subject.CommonName)
		}
		return "none"
	}
	more := ""
	if len(list) > maxNames {
		more = fmt.Sprintf(" and %d more", len(list)-maxNames)
		list = list[:maxNames]
	}
	for i, name := range list {
		list[i] = fmt.Sprintf("%.100q", name)
	}
	return strings.Join(list, ", ") + more
}

func (e *certificateError) explain(cause Cause) string {
	if len(e.Certificates) == 0 {
		return "the server has no certificate"
	}
	leaf := e.Certificates[0]
	issuer := fmt.Sprintf("%.200q", leaf.Issuer.String())
	switch cause {
	case CauseCertificateName:
		text := fmt.Sprintf("the certificate is not for %q; its names are: %s", e.Host, e.names())
		if !e.Trusted {
			text += fmt.Sprintf("; and its issuer, %s, is not trusted here", issuer)
		}
		return text
	case causeCertificateExpired, causeCertificateEarly:
		return e.explainDates(cause)
	case causeSelfSigned:
		return fmt.Sprintf("the certificate is signed by nobody but itself (%s) and is not trusted here", issuer)
	case CauseInterception:
		return fmt.Sprintf("the certificate for %q was issued by %s, which is not trusted here, and before by %.200q: "+
			"somebody answers in the server's place, or it has changed its authority",
			e.Host, issuer, e.Issuer)
	case CauseUnknownAuthority:
		return fmt.Sprintf("the certificate for %q was issued by %s, which is not trusted here", e.Host, issuer)
	}
	return fmt.Sprintf("the certificate of the server is refused: %v", e.Err)
}

func (e *certificateError) explainDates(cause Cause) string {
	c := e.offender()
	what := "the server's certificate"
	if c != e.Certificates[0] {
		what = fmt.Sprintf("the certificate of the authority %.200q", c.Subject.String())
	}
	text := fmt.Sprintf("%s expired on %s", what, date(c.NotAfter))
	if cause == causeCertificateEarly {
		text = fmt.Sprintf("%s is not valid before %s", what, date(c.NotBefore))
	}
	text += fmt.Sprintf("; this host's clock says %s", date(e.Now))
	if !e.At.Equal(e.Now) {
		text += fmt.Sprintf(", and it must be at least %s", date(e.At))
	}
	return text
}
