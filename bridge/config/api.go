package config

import (
	"fmt"
	"net/netip"
)

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

func (c *Config) validateAPI(j *judge) {
	a := &c.API
	validateListen(j, "api.listen", a.Listen)
	if (a.Certificate == "") != (a.Key == "") {
		j.refuse("api.certificate", "and key go together; write both, or none to show the certificates of nts")
	}
	if len(a.Writers) > 0 && a.ClientsCA == "" {
		j.refuse("api.writers", "has no effect without clients_ca, which says whose certificates count; write it, or delete writers")
	}
	for i, name := range a.Writers {
		if name == "" {
			j.refuse(fmt.Sprintf("api.writers[%d]", i), "is empty; write a name that stands in the certificate, or delete it")
		}
	}
	if len(a.Listen) == 0 {
		return
	}
	if a.ClientsCA == "" && a.Tokens == "" {
		j.refuse("api.listen", "nobody could use it; write tokens (`ntsbridge secret token` makes one) or clients_ca")
	}
	if a.Certificate == "" && !c.NTS.Enabled {
		j.refuse("api.certificate", "is missing, and NTS, whose certificate would be shown, is off; write certificate and key")
	}
}
