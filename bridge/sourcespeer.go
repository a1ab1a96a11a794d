package bridge

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"

	"ntsbridge/autokey"
	"ntsbridge/bridge/access"
	"ntsbridge/bridge/clock/schedule"
	"ntsbridge/bridge/config"
	"ntsbridge/bridge/ntp"
	"ntsbridge/bridge/server"
	"ntsbridge/bridge/source"
)

// port is the server's UDP port as associations see it.
type port struct {
	udp  *server.Server
	ttl  uint8          // of packets sent, 0: the kernel's default
	sent *atomic.Uint64 // packets, if not nil
	kind source.StampKind
}

func (p *pollers) port(ttl uint8, sent *atomic.Uint64) port {
	kind := source.StampKernel
	if !serverOptions(p.parts.cfg).Socket.KernelTimestamps {
		kind = source.StampDaemon
	}
	return port{p.udp, ttl, sent, kind}
}

// Handle implements source.Port.
func (p port) Handle(h source.Handler) {
	if h == nil {
		p.udp.Handle(nil)
		return
	}
	p.udp.Handle(func(m *server.Peering) bool {
		return h(source.Packet{Data: m.Data, From: m.From, To: m.To, Destination: m.Destination, Received: m.Received, Kind: p.kind})
	})
}

// Send implements source.Port.
func (p port) Send(packet []byte, from netip.Addr, to netip.AddrPort) error {
	err := p.udp.Send(packet, server.Sending{From: from, To: to, TTL: p.ttl})
	if err == nil && p.sent != nil {
		p.sent.Add(1)
	}
	return err
}

// Join implements source.Port.
func (p port) Join(group netip.Addr) error { return p.udp.Join(group) }

// errNoServer says that Autokey needs our own server.
var errNoServer = errors.New("autokey.enabled is false: the other side asks this host too")

// errNoHub says that the server's port cannot be listened to.
var errNoHub = errors.New("no packets come from the server's port")

// ends finds the other side and with Autokey, which signs both, our address.
func (a *association) ends(ctx context.Context) (local netip.Addr, remote netip.AddrPort, err error) {
	if remote, err = a.spec.resolve(ctx); err != nil || a.spec.cfg.Auth != ntp.KindAutokey {
		return local, remote, err
	}
	if local, err = localAddress(remote); err == nil {
		a.local.Store(&local)
	}
	return local, remote, err
}

// peer runs a symmetric active association.
func (p *pollers) peer(ctx context.Context, a *association) error {
	local, remote, err := a.ends(ctx)
	if err != nil {
		return err
	}
	auth, err := p.peerAuth(a, local, remote)
	if err != nil {
		return err
	}
	followed, err := p.track(a, remote.Addr())
	if err != nil {
		return err
	}
	defer followed.Leave(false)
	a.followed.Store(followed)
	defer a.followed.Store(nil)
	peer, err := source.NewPeer(source.PeerConfig{
		Peer: remote, Local: local, Version: uint8(a.spec.cfg.Version), Auth: auth,
		Polling: a.spec.polling(), Pace: followed.Pace(), Clock: p.clock, Port: p.port(0, nil), OnError: p.logged(a),
		Self: p.self, OnSample: a.sample(followed), OnMissed: a.missed(followed),
	})
	if err != nil {
		return err
	}
	return p.hear(ctx, a, remote.Addr(), peer)
}

// hear runs an association that gets its packets from the server's port.
func (p *pollers) hear(ctx context.Context, a *association, from netip.Addr, r interface {
	runner
	Deliver(source.Packet)
}) error {
	if p.hub == nil {
		return errNoHub
	}
	if err := p.hub.Add(from, r); err != nil {
		return err
	}
	defer p.hub.Remove(from)
	return a.run(ctx, r)
}

func (p *pollers) peerAuth(a *association, local netip.Addr, remote netip.AddrPort) (source.Authenticator, error) {
	if a.spec.cfg.Auth != ntp.KindAutokey {
		return source.NewSymmetric(a.spec.key)
	}
	server := p.server.Load()
	if server == nil {
		return nil, errNoServer
	}
	peer, err := autokey.NewPeer(a.spec.association(local, remote.Addr()), server)
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

// listen follows a broadcast server.
func (p *pollers) listen(ctx context.Context, a *association) error {
	local, remote, err := a.ends(ctx)
	if err != nil {
		return err
	}
	auth, err := a.broadcastAuth(local, remote)
	if err != nil {
		return err
	}
	followed, err := p.track(a, remote.Addr())
	if err != nil {
		return err
	}
	defer followed.Leave(false)
	a.followed.Store(followed)
	defer a.followed.Store(nil)
	client, err := source.NewBroadcastClient(source.BroadcastClientConfig{
		Server: remote, Local: local, Auth: auth, Clock: p.clock, OnError: p.logged(a),
		Self: p.self, OnSample: a.sample(followed), OnMissed: a.missed(followed),
	})
	if err != nil {
		return err
	}
	return p.hear(ctx, a, remote.Addr(), ofGroup{client, a.spec.cfg.Group})
}

// ofGroup gives a broadcast client the broadcasts to its group alone, or, if it
// has none, to no group: a server may send to several at once, and each but
// the first would count as a repetition.
type ofGroup struct {
	*source.BroadcastClient
	group netip.Addr
}

// Deliver hands over a packet.
func (g ofGroup) Deliver(p source.Packet) {
	if p.Destination.IsMulticast() || g.group.IsValid() {
		if p.Destination != g.group.WithZone("") {
			return
		}
	}
	g.BroadcastClient.Deliver(p)
}

func (a *association) broadcastAuth(local netip.Addr, remote netip.AddrPort) (source.BroadcastAuth, error) {
	if a.spec.cfg.Auth != ntp.KindAutokey {
		key, err := source.NewSymmetric(a.spec.key)
		return source.SymmetricBroadcast{Symmetric: key}, err
	}
	client, err := autokey.NewBroadcastClient(a.spec.association(local, remote.Addr()))
	if err != nil {
		return nil, err
	}
	return &watchedBroadcast{source.NewAutokeyBroadcastClient(client), a}, nil
}

// watchedBroadcast lets ntpq see the state of a broadcast client of Autokey.
type watchedBroadcast struct {
	*source.AutokeyBroadcastClient
	a *association
}

// Open implements source.Authenticator.
func (w *watchedBroadcast) Open(m source.Moment, p []byte) source.Judgement {
	defer w.note()
	return w.AutokeyBroadcastClient.Open(m, p)
}

// OpenBroadcast implements source.BroadcastAuth.
func (w *watchedBroadcast) OpenBroadcast(m source.Moment, p []byte, destination netip.Addr) source.Judgement {
	defer w.note()
	return w.AutokeyBroadcastClient.OpenBroadcast(m, p, destination)
}

func (w *watchedBroadcast) note() { w.a.note(w.AutokeyBroadcastClient.Client.State()) }

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
func (p *pollers) broadcast(ctx context.Context, a *association) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	p.done.Go(func() {
		select {
		case <-ctx.Done():
		case <-a.restart:
			cancel(errReplaced)
		}
	})
	spec, sent := a.spec, new(atomic.Uint64)
	cfg := source.BroadcastServerConfig{Destination: spec.broadcast, Version: uint8(spec.cfg.Version), Poll: int8(spec.cfg.MinPoll),
		Clock: p.clock, Port: p.port(spec.ttl, sent), OnError: p.logged(a)}
	var err error
	if cfg.Local, err = senderAddress(cfg.Destination); err != nil {
		return err
	}
	a.local.Store(&cfg.Local)
	if err := p.broadcasterAuth(a, &cfg); err != nil {
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

func (p *pollers) broadcasterAuth(a *association, cfg *source.BroadcastServerConfig) (err error) {
	if a.spec.cfg.Auth != ntp.KindAutokey {
		cfg.Auth, err = source.NewSymmetric(a.spec.key)
		return err
	}
	server := p.server.Load()
	if server == nil {
		return errNoServer
	}
	b, err := autokey.NewBroadcastServer(autokey.BroadcastConfig{Credentials: a.spec.credentials, Server: server,
		Digest: a.spec.digest, Local: cfg.Local, Destination: cfg.Destination.Addr().WithZone(""), ID: a.spec.id})
	cfg.Auth = &source.AutokeyBroadcast{Server: b}
	return err
}

// errNotPassive says that a packet may not begin an association.
var errNotPassive = errors.New("no passive association for this packet")

// begin makes the association for a host that no source names, if the access
// rules let it pass and its packet has a MAC of a key that may do that.
func (p *pollers) begin(packet source.Packet) (*source.Peer, error) {
	state, l := p.parts.state, ntp.Classify(packet.Data, p.parts.state.Keys)
	version := ntp.VersionOf(packet.Data)
	rule := state.Access.Lookup(packet.From)
	if action, _ := rule.Judge(ntp.KindSymmetric, version); action != ntp.Answer || packet.To != packet.Destination {
		return nil, errNotPassive
	}
	if action, _ := rule.JudgeKey(l.KeyID); action != ntp.Answer || !inRanges(p.parts.cfg.Passive.Keys, l.KeyID) {
		return nil, errNotPassive
	}
	auth, err := source.SymmetricAuth(packet, state.Keys)
	if err != nil {
		return nil, err
	}
	var h ntp.Header
	h.Decode(packet.Data)
	poll := min(max(h.Poll, 3), schedule.DefaultMaxPoll)
	a := p.passiveAssociation(packet.From, l.KeyID, int(poll))
	peer, err := source.NewPeer(source.PeerConfig{
		Peer: packet.From, Local: packet.To, Mode: ntp.ModeSymmetricPassive, Version: version, Auth: auth,
		Polling: source.Polling{MinPoll: poll, MaxPoll: schedule.DefaultMaxPoll},
		Clock:   p.clock, Port: p.port(0, nil), OnError: p.logged(a),
	})
	if err != nil {
		return nil, err
	}
	r := runner(peer)
	a.runner.Store(&r)
	a.local.Store(&packet.To)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lastID++
	a.spec.id = p.lastID
	p.passive = append(p.passive, a)
	p.log.Info("a passive association begins", "peer", packet.From, "key", l.KeyID)
	return peer, nil
}

func (p *pollers) passiveAssociation(from netip.AddrPort, key uint32, poll int) *association {
	spec := &sourceSpec{cfg: config.Source{Server: from.Addr().String(), Port: int(from.Port()), Mode: config.ModePeer,
		Auth: ntp.KindSymmetric, Key: int(key), MinPoll: poll}}
	a := newAssociation(spec)
	a.mode, a.ephemeral = ntp.ModeSymmetricPassive, true
	return a
}

func inRanges(ranges []access.KeyRange, id uint32) bool {
	return len(ranges) == 0 || slices.ContainsFunc(ranges, func(r access.KeyRange) bool { return r.Low <= id && id <= r.High })
}

// ended forgets a passive association.
func (p *pollers) ended(addr netip.Addr, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.passive = slices.DeleteFunc(p.passive, func(a *association) bool { return a.spec.cfg.Server == addr.String() })
	p.log.Info("a passive association ended", "peer", addr, "reason", fmt.Sprint(err))
}
