package config

import (
	"net/netip"
	"slices"
)

// Page is the page that a browser shows: clients, migration, sources, keys.
type Page struct {
	// Listen are the TCP addresses where it is served: those of loopback by HTTP,
	// others by HTTPS, with the certificates and to those whom api names.
	// Default: empty, none.
	Listen []netip.AddrPort `mapstructure:"listen"`
	// Local is what somebody on this host may do there without a token. Default:
	// read.
	Local string `mapstructure:"local" oneof:"none read write"`
}

// The values of Page.Local.
const (
	PageNone  = "none"
	PageRead  = "read"
	PageWrite = "write"
)

// Remote reports whether it is served to other hosts.
func (p *Page) Remote() bool {
	return slices.ContainsFunc(p.Listen, func(a netip.AddrPort) bool { return !a.Addr().IsLoopback() })
}

func (c *Config) validatePage(j *judge) {
	p, a := &c.Page, &c.API
	validateListen(j, "page.listen", p.Listen)
	if p.Local == PageNone && len(p.Listen) > 0 && a.ClientsCA == "" && a.Tokens == "" {
		j.refuse("page.local", "nobody could use the page: with none somebody needs api.tokens (`ntsbridge secret token` makes one); "+
			"write them, or local: read")
	}
	if !p.Remote() {
		return
	}
	if a.ClientsCA == "" && a.Tokens == "" {
		j.refuse("page.listen", "other hosts could not use it; write api.tokens (`ntsbridge secret token` makes one) or api.clients_ca, "+
			"or listen on an address of loopback")
	}
	if a.Certificate == "" && !c.NTS.Enabled {
		j.refuse("page.listen", "needs a certificate for other hosts, and NTS, whose certificate would be shown, is off; "+
			"write api.certificate and api.key")
	}
}
