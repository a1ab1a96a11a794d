package association

import (
	"context"
	"errors"
	"net"
	"net/netip"

	"ntsbridge/autokey"
	"ntsbridge/bridge/ntp"
	"ntsbridge/bridge/source"
)

// errNoServer says that Autokey needs our own server.
var errNoServer = errors.New("autokey.enabled is false: the other side asks this host too")

// errNoHub says that the server's port cannot be listened to.
var errNoHub = errors.New("no packets come from the server's port")

// ends finds the other side and with Autokey, which signs both, our address.
func (a *association) ends(ctx context.Context) (local netip.Addr, remote netip.AddrPort, err error) {
	if remote, err = a.spec.resolve(ctx); err != nil || a.spec.Config.Auth != ntp.KindAutokey {
		return local, remote, err
	}
	if local, err = localAddress(remote); err == nil {
		a.local.Store(&local)
	}
	return local, remote, err
}

// peer runs a symmetric active association.
func (a *association) peer(ctx context.Context) error {
	local, remote, err := a.ends(ctx)
	if err != nil {
		return err
	}
	auth, err := a.peerAuth(local, remote)
	if err != nil {
		return err
	}
	followed, err := a.enlist(remote.Addr())
	if err != nil {
		return err
	}
	defer followed.Leave(false)
	defer a.followed.Store(nil)
	peer, err := source.NewPeer(source.PeerConfig{
		Peer: remote, Local: local, Version: uint8(a.spec.Config.Version), Auth: auth,
		Polling: a.spec.polling(), Pace: followed.Pace(), Clock: a.clock, Port: a.port(0, nil), OnError: a.logged,
		Self: followsUs, OnSample: a.sample(followed), OnMissed: a.missed(followed),
	})
	if err != nil {
		return err
	}
	return a.hear(ctx, remote.Addr(), peer)
}

// hear runs an association that gets its packets from the server's port.
func (a *association) hear(ctx context.Context, from netip.Addr, r interface {
	runner
	Deliver(source.Packet)
}) error {
	hub := a.hub.Load()
	if hub == nil {
		return errNoHub
	}
	if err := hub.Add(from, r); err != nil {
		return err
	}
	defer hub.Remove(from)
	return a.run(ctx, r)
}

func (a *association) peerAuth(local netip.Addr, remote netip.AddrPort) (source.Authenticator, error) {
	if a.spec.Config.Auth != ntp.KindAutokey {
		return source.NewSymmetric(a.spec.Key)
	}
	server := a.server.Load()
	if server == nil {
		return nil, errNoServer
	}
	peer, err := autokey.NewPeer(a.spec.autokeyWith(a.id, local, remote.Addr()), server)
	if err != nil {
		return nil, err
	}
	return &watchedPeer{&source.AutokeyPeer{Peer: peer}, a}, nil
}

// watchedPeer lets ntpq see the state of a symmetric association of Autokey.
type watchedPeer struct {
	*source.AutokeyPeer
	a *association
}

// Open implements source.Authenticator.
func (w *watchedPeer) Open(m source.Moment, p []byte) source.Judgement {
	defer func() { w.a.note(w.Peer.State()) }()
	return w.AutokeyPeer.Open(m, p)
}

// localAddress returns the address that packets to another one leave from.
func localAddress(to netip.AddrPort) (netip.Addr, error) {
	c, err := net.Dial("udp", to.String())
	if err != nil {
		return netip.Addr{}, err
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap().WithZone(""), nil
}
