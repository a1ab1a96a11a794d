package bridge

import (
	"context"
	"errors"
	"math"
	"net"
	"net/netip"
	"strconv"
	"time"

	"ntsbridge/autokey"
	"ntsbridge/bridge/clock"
	"ntsbridge/bridge/clock/discipline"
	"ntsbridge/bridge/config"
	"ntsbridge/bridge/follow"
	"ntsbridge/bridge/ntp"
	"ntsbridge/bridge/source"
)

// addMembers adds the further members of a pool, of which there is one already.
func (p *pollers) addMembers(spec *sourceSpec) {
	if spec.cfg.Mode != config.ModePool {
		return
	}
	for range spec.cfg.MaxSources - 1 {
		member := *spec
		p.lastID++
		member.id = p.lastID
		p.list = append(p.list, newAssociation(&member))
	}
}

// poll asks a server until it fails, or a better one is found.
func (p *pollers) poll(ctx context.Context, a *association) error {
	var addr netip.Addr
	bad := false
	if !a.findsItself() {
		var err error
		if addr, err = a.spec.finder.take(ctx); err != nil {
			return err
		}
		defer func() { a.spec.finder.release(addr, bad) }()
	}
	auth, server, err := p.authenticator(ctx, a, addr)
	if err != nil {
		bad = true
		return err
	}
	followed, err := p.track(a, server.Addr())
	if err != nil {
		return err
	}
	a.followed.Store(followed)
	defer a.followed.Store(nil)
	life, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	cfg := p.clientConfig(a, auth, server, followed)
	cfg.OnError = func(err error) {
		p.logged(a)(err)
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
	p.done.Go(func() { p.watch(life, cancel, a, client, followed) })
	err = a.run(life, client)
	if cause := context.Cause(life); errors.Is(cause, errReplaced) {
		err = cause
	}
	bad = errors.Is(err, errReplaced) || refused(err)
	if refused(err) && !a.findsItself() && a.spec.finder.other(ctx) {
		err = errReplaced
	}
	followed.Leave(bad)
	return err
}

// name tells an association from others with the same address.
func (a *association) name() string {
	return a.spec.cfg.Mode + " " + a.spec.cfg.Auth.String() + " " + strconv.Itoa(a.spec.cfg.Key) + " " + strconv.Itoa(a.spec.cfg.Port)
}

func (p *pollers) clientConfig(a *association, auth source.Authenticator, server netip.AddrPort, f *follow.Source) source.ClientConfig {
	cfg := &a.spec.cfg
	return source.ClientConfig{
		Server: server, Local: cfg.LocalAddress, Version: uint8(cfg.Version), Auth: auth, Clock: p.clock,
		Polling: a.spec.polling(), Pace: f.Pace(), Presend: int8(cfg.Presend), Interleaved: cfg.Interleaved,
		MaxDelay: cfg.MaxDelay, MaxDelayRatio: cfg.MaxDelayRatio, MaxDelayDevRatio: cfg.MaxDelayDevRatio,
		MinStratum: uint8(cfg.MinStratum), Self: p.self, HardwareTimestamps: cfg.HardwareTimestamps,
		OnSample: a.sample(f),
		OnMissed: a.missed(f), OnKiss: f.Kiss,
		OnPacket: func(source.Judgement) {
			if k, ok := auth.(*source.Autokey); ok {
				a.note(k.Client.State())
			}
		},
	}
}

func (s *sourceSpec) polling() source.Polling {
	p := source.Polling{MinPoll: int8(s.cfg.MinPoll), MaxPoll: int8(s.cfg.MaxPoll), IBurst: s.cfg.IBurst, Burst: s.cfg.Burst}
	if p.Burst {
		p.BurstLen, p.BurstGood = 4, 1 // chrony's: up to four, until one is good
	}
	return p
}

// self reports whether a reference identifier stands for this host: then a
// server follows us, or an interface of ours.
func (p *pollers) self(refid uint32) bool {
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
func (p *pollers) watch(ctx context.Context, cancel context.CancelCauseFunc, a *association, client *source.Client, f *follow.Source) {
	if _, err := netip.ParseAddr(a.spec.cfg.Server); err == nil || a.findsItself() {
		return
	}
	for looks := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(watchInterval(client.Status().Poll)):
		}
		why := badness(client.Status(), f)
		if why == "" {
			looks = 0
			continue
		}
		if looks++; looks < badLooks || !a.spec.finder.other(ctx) {
			continue
		}
		p.log.Info("source is replaced by another address", "server", a.spec.cfg.Server,
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
func (p *pollers) authenticator(ctx context.Context, a *association, addr netip.Addr) (source.Authenticator, netip.AddrPort, error) {
	s := a.spec
	server := netip.AddrPortFrom(addr, uint16(s.cfg.Port))
	switch s.cfg.Auth {
	case ntp.KindNTS:
		return p.ntsAuthenticator(ctx, a, addr)
	case ntp.KindSymmetric:
		auth, err := source.NewSymmetric(s.key)
		return auth, server, err
	case ntp.KindAutokey:
		local := netip.IPv4Unspecified() // known when the socket is there
		if addr.Is6() {
			local = netip.IPv6Unspecified()
		}
		client, err := autokey.NewClient(s.association(local, addr))
		if err != nil {
			return nil, server, err
		}
		return &source.Autokey{Client: client}, server, nil
	}
	return source.None{}, server, nil
}

// hurry makes all clients ask at once.
func (p *pollers) hurry() {
	for _, a := range p.list {
		if r := a.runner.Load(); r != nil {
			if c, ok := (*r).(*source.Client); ok {
				c.Hurry()
			}
		}
	}
}
