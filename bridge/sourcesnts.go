package bridge

import (
	"context"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/ntp"
	"ntsbridge/bridge/source"
	"ntsbridge/nts/aead"
)

// findsItself reports whether key establishment looks for the server's
// addresses. In a pool each member has an address of its own.
func (a *association) findsItself() bool {
	return a.spec.cfg.Auth == ntp.KindNTS && a.spec.cfg.Mode != config.ModePool
}

// ntsAuthenticator returns the authenticator of an association with NTS, with
// keys, and where the NTP server is. A pool's member asks the given address.
func (p *pollers) ntsAuthenticator(ctx context.Context, a *association, addr netip.Addr) (source.Authenticator, netip.AddrPort, error) {
	n := a.nts.Load()
	if n == nil || addr.IsValid() {
		a.closeNTS(p.log)
		var err error
		if n, err = source.NewNTS(ctx, p.ntsConfig(a, addr)); err != nil {
			return nil, netip.AddrPort{}, err
		}
		a.nts.Store(n)
	}
	server, err := n.Connect()
	return n, server, err
}

func (p *pollers) ntsConfig(a *association, addr netip.Addr) source.NTSConfig {
	cfg := &a.spec.cfg
	host := cfg.Server
	settings := a.spec.tls.Clone()
	if addr.IsValid() {
		settings.ServerName, host = host, addr.String()
	}
	c := source.NTSConfig{
		Server: net.JoinHostPort(host, strconv.Itoa(cfg.NTSPort)), TLS: settings, AEADs: aeadIDs(p.parts.cfg, cfg),
		Local: cfg.LocalAddress, Port: uint16(cfg.Port), Clock: p.clock, Dates: p.steering.Dates(),
		OnNotice: func(text string) { p.log.Warn("NTS", "server", cfg.Server, "notice", text) },
	}
	if cfg.TrustedCertificates != "" {
		c.Trusted = []string{cfg.TrustedCertificates}
	}
	if n, ok := networks[cfg.Family]; ok {
		c.Network = n
	}
	store, err := source.NewFileStore(filepath.Join(p.parts.cfg.StateDir, "nts-sources"))
	if err != nil {
		p.log.Warn("keys of NTS sources are not kept over restarts", "error", err)
		return c
	}
	c.Store, c.Name = store, cfg.Server+" "+strconv.Itoa(cfg.NTSPort)+" "+addr.String()
	return c
}

// aeadIDs are a source's algorithms in order of preference.
func aeadIDs(cfg *config.Config, s *config.Source) []aead.ID {
	list := s.AEADs
	if len(list) == 0 {
		list = cfg.NTS.AEADs
	}
	var ids []aead.ID
	for _, id := range list {
		ids = append(ids, aead.ID(id))
	}
	return ids
}

// closeNTS keeps unused cookies for the next run.
func (a *association) closeNTS(log hclog.Logger) {
	n := a.nts.Swap(nil)
	if n == nil {
		return
	}
	if err := n.Close(); err != nil {
		log.Warn("cookies were not kept for the next run", "server", a.spec.cfg.Server, "error", err)
	}
}

// confirm makes all sources judge the dates of certificates by the clock as it
// is now.
func (p *pollers) confirm() {
	for _, a := range p.list {
		if n := a.nts.Load(); n != nil {
			n.Confirm()
		}
	}
}
