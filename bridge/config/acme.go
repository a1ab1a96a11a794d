package config

import "net/netip"

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
