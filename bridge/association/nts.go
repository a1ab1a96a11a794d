package association

import (
	"context"
	"net"
	"net/netip"
	"strconv"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/ntp"
	"ntsbridge/bridge/source"
	"ntsbridge/nts/aead"
)

// findsItself reports whether key establishment looks for the server's
// addresses. In a pool each member has an address of its own.
func (a *association) findsItself() bool {
	return a.spec.Config.Auth == ntp.KindNTS && a.spec.Config.Mode != config.ModePool
}

// ntsAuthenticator returns the authenticator of an association with NTS, with
// keys, and where the NTP server is. A pool's member asks the given address.
func (a *association) ntsAuthenticator(ctx context.Context, addr netip.Addr) (source.Authenticator, netip.AddrPort, error) {
	n := a.nts.Load()
	if n == nil || addr.IsValid() {
		a.closeNTS(a.env.Log)
		var err error
		if n, err = source.NewNTS(ctx, a.ntsConfig(addr)); err != nil {
			return nil, netip.AddrPort{}, err
		}
		a.nts.Store(n)
	}
	server, err := n.Connect()
	return n, server, err
}

func (a *association) ntsConfig(addr netip.Addr) source.NTSConfig {
	cfg := &a.spec.Config
	host := cfg.Server
	settings := a.spec.TLS.Clone()
	if addr.IsValid() {
		settings.ServerName, host = host, addr.String()
	}
	c := source.NTSConfig{
		Server: net.JoinHostPort(host, strconv.Itoa(cfg.NTSPort)), TLS: settings, AEADs: a.aeads(),
		Local: cfg.LocalAddress, Port: uint16(cfg.Port), Clock: a.clock, Dates: a.steering.Dates(),
		OnNotice: func(text string) { a.env.Log.Warn("NTS", "server", cfg.Server, "notice", text) },
	}
	if len(cfg.TrustedCertificates) > 0 {
		c.Trusted = cfg.TrustedCertificates
	}
	if n, ok := networks[cfg.Family]; ok {
		c.Network = n
	}
	store, err := source.NewFileStore(a.config.Load().CookieDir)
	if err != nil {
		a.env.Log.Warn("keys of NTS sources are not kept over restarts", "error", err)
		return c
	}
	c.Store, c.Name = store, cfg.Server+" "+strconv.Itoa(cfg.NTSPort)+" "+addr.String()
	return c
}

// aeads are a source's algorithms in order of preference.
func (a *association) aeads() []aead.ID {
	if len(a.spec.Config.AEADs) == 0 {
		return a.config.Load().AEADs
	}
	var ids []aead.ID
	for _, id := range a.spec.Config.AEADs {
		ids = append(ids, aead.ID(id))
	}
	return ids
}
