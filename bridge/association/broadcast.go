package association

import (
	"context"
	"net"
	"net/netip"
	"sync/atomic"

	"ntsbridge/autokey"
	"ntsbridge/bridge/ntp"
	"ntsbridge/bridge/source"
)

// sender is a broadcast that is sent.
type sender struct {
	*source.BroadcastServer
	cfg  source.BroadcastServerConfig
	sent *atomic.Uint64
}

// Status implements runner.
func (s sender) Status() source.Status {
	return source.Status{Server: s.cfg.Destination, Kind: s.cfg.Auth.Kind(), Poll: s.cfg.Poll,
		Counts: source.Counts{Sent: s.sent.Load()}}
}

// broadcast sends the time to a network until the Autokey server is replaced.
func (a *association) broadcast(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-ctx.Done():
		case <-a.restart:
			cancel(errReplaced)
		}
	}()
	spec, sent := a.spec, new(atomic.Uint64)
	cfg := source.BroadcastServerConfig{Destination: spec.Broadcast, Version: uint8(spec.Config.Version), Poll: int8(spec.Config.MinPoll),
		Clock: a.clock, Port: a.port(spec.TTL, sent), OnError: a.logged}
	var err error
	if cfg.Local, err = senderAddress(cfg.Destination); err != nil {
		return err
	}
	a.local.Store(&cfg.Local)
	if err := a.broadcasterAuth(&cfg); err != nil {
		return err
	}
	b, err := source.NewBroadcastServer(cfg)
	if err != nil {
		return err
	}
	if err := a.run(ctx, sender{b, cfg, sent}); context.Cause(ctx) == nil {
		return err
	}
	return context.Cause(ctx)
}

// senderAddress returns the address that broadcasts leave from: that of the
// route, and without one to a multicast group that of the first interface that
// has multicast, as ntpd does; the kernel then sends by that interface.
func senderAddress(to netip.AddrPort) (netip.Addr, error) {
	local, err := localAddress(to)
	if err == nil || !to.Addr().IsMulticast() {
		return local, err
	}
	interfaces, _ := net.Interfaces()
	const usable = net.FlagUp | net.FlagMulticast
	for _, i := range interfaces {
		if i.Flags&usable != usable || i.Flags&net.FlagLoopback != 0 {
			continue
		}
		addresses, _ := i.Addrs()
		for _, a := range addresses {
			n, ok := a.(*net.IPNet)
			if !ok {
				continue
			}
			if addr, _ := netip.AddrFromSlice(n.IP); addr.Unmap().Is4() == to.Addr().Is4() && !addr.IsLinkLocalUnicast() {
				return addr.Unmap(), nil
			}
		}
	}
	return local, err
}

func (a *association) broadcasterAuth(cfg *source.BroadcastServerConfig) (err error) {
	if a.spec.Config.Auth != ntp.KindAutokey {
		cfg.Auth, err = source.NewSymmetric(a.spec.Key)
		return err
	}
	server := a.server.Load()
	if server == nil {
		return errNoServer
	}
	b, err := autokey.NewBroadcastServer(autokey.BroadcastConfig{Credentials: a.spec.Credentials, Server: server,
		Digest: a.spec.Digest, Local: cfg.Local, Destination: cfg.Destination.Addr().WithZone(""), ID: a.id})
	cfg.Auth = &source.AutokeyBroadcast{Server: b}
	return err
}
