package association

import (
	"context"
	"errors"
	"math"
	"net"
	"net/netip"
	"slices"
	"time"

	"ntsbridge/autokey"
	"ntsbridge/bridge/clock"
	"ntsbridge/bridge/clock/discipline"
	"ntsbridge/bridge/follow"
	"ntsbridge/bridge/ntp"
	"ntsbridge/bridge/source"
)

// poll asks a server until it fails, or a better one is found.
func (a *association) poll(ctx context.Context) error {
	var addr netip.Addr
	bad := false
	if !a.findsItself() {
		var err error
		if addr, err = a.finder.take(ctx); err != nil {
			return err
		}
		defer func() { a.finder.release(addr, bad) }()
	}
	auth, server, err := a.authenticator(ctx, addr)
	if err != nil {
		bad = true
		return err
	}
	followed, err := a.enlist(server.Addr())
	if err != nil {
		return err
	}
	defer a.followed.Store(nil)
	life, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	cfg := a.clientConfig(auth, server, followed)
	cfg.OnError = func(err error) {
		a.logged(err)
		// New keys may belong to another NTP server.
		if moved := new(source.MovedError); errors.As(err, &moved) {
			cancel(errReplaced)
		}
	}
	client, err := source.NewClient(cfg)
	if err != nil {
		followed.Leave(true)
		return err
	}
	watched := make(chan struct{})
	defer func() { cancel(nil); <-watched }()
	go func() {
		defer close(watched)
		a.watch(life, cancel, client, followed)
	}()
	err = a.run(life, client)
	if cause := context.Cause(life); errors.Is(cause, errReplaced) || errors.Is(cause, errReset) {
		err = cause
	}
	bad = errors.Is(err, errReplaced) || refused(err)
	if refused(err) && !a.findsItself() && a.finder.other(ctx) {
		err = errReplaced
	}
	followed.Leave(bad || errors.Is(err, errReset))
	return err
}

func (a *association) clientConfig(auth source.Authenticator, server netip.AddrPort, f *follow.Source) source.ClientConfig {
	cfg := &a.spec.Config
	return source.ClientConfig{
		Server: server, Local: cfg.LocalAddress, Version: uint8(cfg.Version), Auth: auth, Clock: a.clock,
		Polling: a.spec.polling(), Pace: f.Pace(), Presend: int8(cfg.Presend), Interleaved: cfg.Interleaved,
		MaxDelay: cfg.MaxDelay, MaxDelayRatio: cfg.MaxDelayRatio, MaxDelayDevRatio: cfg.MaxDelayDevRatio,
		MinStratum: uint8(cfg.MinStratum), Self: followsUs, Serves: a.serves, HardwareTimestamps: cfg.HardwareTimestamps,
		OnSample: a.sample(f),
		OnMissed: a.missed(f), OnKiss: f.Kiss,
		OnPacket: func(source.Judgement) {
			if k, ok := auth.(*source.Autokey); ok {
				a.note(k.Client.State())
			}
		},
	}
}

// followsUs reports whether a reference identifier stands for this host: then a
// server follows us, or an interface of ours.
func followsUs(refid uint32) bool {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	for _, a := range addresses {
		if n, ok := a.(*net.IPNet); ok {
			addr, _ := netip.AddrFromSlice(n.IP)
			if addr = addr.Unmap(); !addr.IsLoopback() && (clock.SourceInfo{Address: addr}).ReferenceID() == refid {
				return true
			}
		}
	}
	return false
}

// serves reports whether our server answers on an address of this host.
func (s *shared) serves(at netip.AddrPort) bool {
	return slices.ContainsFunc(s.env.UDP.Addresses(), func(own netip.AddrPort) bool {
		family := own.Addr().Is6() || at.Addr().Is4()
		return own.Port() == at.Port() && (own.Addr() == at.Addr().WithZone("") || own.Addr().IsUnspecified() && family)
	})
}

// A server is looked at once in a poll interval, but once in maxWatchInterval at
// least, and badLooks looks in a row must find it bad before it is replaced.
const (
	minWatchInterval = 2 * time.Second
	maxWatchInterval = 16 * time.Second
	badLooks         = 8
)

// watchInterval is that of a poll exponent, log2 seconds.
func watchInterval(poll int8) time.Duration {
	return min(max(seconds(math.Ldexp(1, int(poll))), minWatchInterval), maxWatchInterval)
}

// watch ends a life when the server is no good and there is another one. The
// only server is never replaced: it may come back.
func (a *association) watch(ctx context.Context, cancel context.CancelCauseFunc, client *source.Client, f *follow.Source) {
	if _, err := netip.ParseAddr(a.spec.Config.Server); err == nil || a.findsItself() {
		select {
		case <-ctx.Done():
		case <-a.reset:
			cancel(errReset)
		}
		return
	}
	for looks := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-a.reset:
			cancel(errReset)
			return
		case <-a.renew:
			if !a.finder.stands(ctx, client.Status().Server.Addr()) {
				cancel(errReplaced)
				return
			}
			continue
		case <-time.After(watchInterval(client.Status().Poll)):
		}
		why := badness(client.Status(), f)
		if why == "" {
			looks = 0
			continue
		}
		if looks++; looks < badLooks || !a.finder.other(ctx) {
			continue
		}
		a.env.Log.Info("source is replaced by another address", "server", a.spec.Config.Server,
			"address", client.Status().Server.Addr(), "reason", why)
		cancel(errReplaced)
		return
	}
}

// badness says what is wrong with a server; empty: nothing.
func badness(s source.Status, f *follow.Source) string {
	if s.Reach == 0 && s.Sent > 0 {
		return "not reached"
	}
	r, ok := f.Report()
	if !ok {
		return ""
	}
	switch r.State {
	case discipline.Falseticker, discipline.Unreachable:
		return r.State.String()
	}
	return ""
}

// authenticator makes the one of a client; with NTS the server may be another
// one than was asked for.
func (a *association) authenticator(ctx context.Context, addr netip.Addr) (source.Authenticator, netip.AddrPort, error) {
	s := a.spec
	server := netip.AddrPortFrom(addr, uint16(s.Config.Port))
	switch s.Config.Auth {
	case ntp.KindNTS:
		return a.ntsAuthenticator(ctx, addr)
	case ntp.KindSymmetric:
		auth, err := source.NewSymmetric(s.Key)
		return auth, server, err
	case ntp.KindAutokey:
		local := netip.IPv4Unspecified() // known when the socket is there
		if addr.Is6() {
			local = netip.IPv6Unspecified()
		}
		client, err := autokey.NewClient(s.autokeyWith(a.id, local, addr))
		if err != nil {
			return nil, server, err
		}
		return &source.Autokey{Client: client}, server, nil
	}
	return source.None{}, server, nil
}
