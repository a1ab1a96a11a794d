package config

import (
	"fmt"
	"net/netip"
	"strings"
)

// ACME gets the server's certificate from an authority by RFC 8555 and renews
// it.
type ACME struct {
	// Directory is the URL of the authority's directory, by https. Default:
	// empty, no ACME.
	Directory string `mapstructure:"directory"`
	// Contact are addresses of mail that the authority may write to. Default:
	// none.
	Contact []string `mapstructure:"contact"`
	// Names are the names and addresses of the certificate. Default: empty,
	// those of nts.names.
	Names []string `mapstructure:"names"`
	// Challenge is how the authority is shown that the names are ours: http-01
	// and tls-alpn-01 are answered by listen, dns-01 by hook. Default: http-01.
	Challenge string `mapstructure:"challenge" oneof:"http-01 tls-alpn-01 dns-01"`
	// Listen are the TCP addresses of the answers, open only meanwhile.
	// Default: empty, [::] and 0.0.0.0 with port 80 (http-01) or 443
	// (tls-alpn-01).
	Listen []netip.AddrPort `mapstructure:"listen"`
	// Hook is a program that is called with "present" or "cleanup", the name of
	// a TXT record and its value. Default: empty.
	Hook string `mapstructure:"hook" path:"file"`
	// CABundle is a PEM file of authorities by which the ACME server is trusted.
	// Default: empty, those of the system.
	CABundle string `mapstructure:"ca_bundle" path:"file"`
	// BindingID is the identifier of an external account binding, which some
	// authorities want. Default: empty.
	BindingID string `mapstructure:"binding_id"`
	// BindingFile is a file with its key, in base64 as the authority gives it.
	// Default: empty.
	BindingFile string `mapstructure:"binding_file" path:"file"`
}

// The challenges of ACME.
const (
	ChallengeHTTP = "http-01"
	ChallengeTLS  = "tls-alpn-01"
	ChallengeDNS  = "dns-01"
)

// resolve fills in what follows from other options.
func (a *ACME) resolve(names []string) {
	if a.Directory == "" {
		return
	}
	if len(a.Names) == 0 {
		a.Names = names
	}
	if len(a.Listen) == 0 {
		switch a.Challenge {
		case ChallengeHTTP:
			a.Listen = everywhere(80)
		case ChallengeTLS:
			a.Listen = everywhere(443)
		}
	}
}

func (a *ACME) validate(j *judge) {
	if a.Directory == "" {
		return
	}
	if rest, ok := strings.CutPrefix(a.Directory, "https://"); !ok || rest == "" || rest[0] == '/' || strings.ContainsAny(rest, " \t") {
		j.refuse("nts.acme.directory", "%.80q is no URL of https; write that of the authority's directory", a.Directory)
	}
	for i, name := range a.Names {
		path := fmt.Sprintf("nts.acme.names[%d]", i)
		rest, wild := strings.CutPrefix(name, "*.")
		switch {
		case !validHost(rest):
			j.refuse(path, "%.60q is neither a name nor an address", name)
		case wild && a.Challenge != ChallengeDNS:
			j.refuse(path, "a name with * needs challenge: dns-01")
		}
	}
	for i, c := range a.Contact {
		if at := strings.IndexByte(c, '@'); at < 1 || strings.ContainsAny(c, " :,") {
			j.refuse(fmt.Sprintf("nts.acme.contact[%d]", i), "%.60q is no address of mail; write it without mailto:", c)
		}
	}
	if a.Challenge == ChallengeDNS && a.Hook == "" {
		j.refuse("nts.acme.hook", "is missing; dns-01 needs a program that makes the TXT record")
	}
	if (a.BindingID == "") != (a.BindingFile == "") {
		j.refuse("nts.acme.binding_id", "and binding_file go together; write both or none")
	}
}
