package config

import "net/netip"

// API is the API of the control socket over HTTPS, for other hosts.
type API struct {
	// Listen are the TCP addresses where it is served. Default: empty, none.
	Listen []netip.AddrPort `mapstructure:"listen"`
	// Certificate is a PEM file with the certificate chain that is shown.
	// Default: empty, the certificates of nts.
	Certificate string `mapstructure:"certificate" path:"file"`
	// Key is a PEM file with the private key of Certificate.
	Key string `mapstructure:"key" path:"file"`
	// ClientsCA is a PEM file of authorities; who shows a certificate of theirs
	// may read. Default: empty, nobody shows one.
	ClientsCA string `mapstructure:"clients_ca" path:"file"`
	// Writers are the names of such certificates (a common name or a subject
	// alternative name) whose holders may also change things. Default: empty,
	// none.
	Writers []string `mapstructure:"writers"`
	// Tokens is a file of mode 0600 with a line for each token: its name, read or
	// write, and its hash, as `ntsbridge secret token` makes them. Default: empty,
	// no tokens.
	Tokens string `mapstructure:"tokens" path:"file"`
	// Connections is how many are served at once. Default: 64. Range: 1 to 4096.
	Connections int `mapstructure:"connections" range:"1..4096" unit:"connections"`
}
