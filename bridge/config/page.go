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
