package bridge

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/autokey"
	"ntsbridge/bridge/clock"
	"ntsbridge/bridge/clock/discipline"
	"ntsbridge/bridge/config"
	"ntsbridge/bridge/follow"
	"ntsbridge/bridge/ntp"
	"ntsbridge/bridge/server"
	"ntsbridge/bridge/source"
)

// runner is an association of package source.
type runner interface {
	Run(context.Context) error
	Status() source.Status
}

// association is a source, peer or broadcast that is at work.
type association struct {
	spec      *sourceSpec
	mode      ntp.Mode // ours
	ephemeral bool     // not configured: a passive one
	runner    atomic.Pointer[runner]
	autokey   atomic.Pointer[autokey.State]
	local     atomic.Pointer[netip.Addr]    // where it matters
	followed  atomic.Pointer[follow.Source] // by the discipline; nil: not
	nts       atomic.Pointer[source.NTS]    // nil: other authentication, or none yet; outlives runners
	expected  *follow.Expected              // stands for it until its address is known
	lost      atomic.Pointer[error]         // why it is not at work; nil: it is
	restart   chan struct{}                 // a broadcast is to begin anew
}

func newAssociation(spec *sourceSpec) *association {
	return &association{spec: spec, mode: spec.mode(), restart: make(chan struct{}, 1)}
}

// run runs one life of the association.
func (a *association) run(ctx context.Context, r runner) error {
	a.runner.Store(&r)
	a.lost.Store(nil)
	return r.Run(ctx)
}

// expect tells the discipline of a source before anybody is asked.
func (p *pollers) expect(a *association) {
	if a.mode == ntp.ModeBroadcast {
		return
	}
	var err error
	if a.expected, err = p.steering.Expect(disciplineSource(&a.spec.cfg), sourceInfo(&a.spec.cfg, netip.Addr{})); err != nil {
		p.log.Error("source", "server", a.spec.cfg.Server, "error", err)
	}
}

// track makes the discipline follow an association with an address.
func (p *pollers) track(a *association, addr netip.Addr) (*follow.Source, error) {
	f, err := p.steering.Add(a.name(), disciplineSource(&a.spec.cfg), sourceInfo(&a.spec.cfg, addr))
	if err == nil {
		a.expected.Dismiss()
	}
	return f, err
}

// missed returns what is told that a request brought no time.
func (a *association) missed(f *follow.Source) func() {
	return func() {
		var err error
		if r := a.runner.Load(); r != nil {
			err = (*r).Status().Err
		}
		f.Missed(err)
	}
}

// note keeps what ntpq shows; it runs in the association's own goroutine.
func (a *association) note(state autokey.State) { a.autokey.Store(&state) }

// pollers run the associations of a configuration until they are stopped.
type pollers struct {
	log      hclog.Logger
	clock    *source.SystemClock
	steering *follow.Steering // nil: nothing is followed
	leaps    *follow.LeapSeconds
	parts    *parts // keys, rules and configuration; replaced by a reload, with the pollers
	udp      *server.Server
	hub      *source.Hub // nil: nothing comes to the server's port for us
	server   atomic.Pointer[autokey.Server]
	list     []*association
	clocks   []*referenceClock
	groups   []netip.Addr // joined
	cancel   context.CancelFunc
	done     sync.WaitGroup

	mu      sync.Mutex
	passive []*association
	lastID  uint16
}

func startPollers(parts *parts, udp *server.Server, steering *follow.Steering, leaps *follow.LeapSeconds, state *ntp.ClockState, log hclog.Logger) *pollers {
	ctx, cancel := context.WithCancel(context.Background())
	p := &pollers{log: log, clock: source.NewSystemClock(state), parts: parts, udp: udp, steering: steering, leaps: leaps, cancel: cancel}
	p.server.Store(parts.autokey)
	for _, spec := range parts.sources {
		p.list = append(p.list, newAssociation(spec))
		p.lastID = spec.id
	}
	for _, spec := range parts.sources {
		p.addMembers(spec)
	}
	p.join()
	if err := p.open(ctx); err != nil {
		log.Error("symmetric and broadcast associations", "error", err)
	}
	for _, a := range p.list {
		p.expect(a)
	}
	if err := p.startReferenceClocks(ctx); err != nil {
		log.Error("reference clocks", "error", err)
	}
	for _, a := range p.list {
		p.done.Go(func() { p.follow(ctx, a) })
	}
	return p
}

// open makes the hub if any association is to get packets from the server's
// port. Without one the server never asks.
func (p *pollers) open(ctx context.Context) (err error) {
	passive := &p.parts.cfg.Passive
	wanted := passive.Enabled
	for _, a := range p.list {
		wanted = wanted || a.mode == ntp.ModeSymmetricActive || a.mode == modeBroadcastClient
	}
	if !wanted {
		return nil
	}
	cfg := source.HubConfig{Port: p.port(0, nil), Max: passive.Max, OnEnd: p.ended}
	if passive.Enabled {
		cfg.Passive = p.begin
	}
	p.hub, err = source.NewHub(ctx, cfg)
	return err
}

// join joins the multicast groups of the configuration.
func (p *pollers) join() {
	for _, a := range p.list {
		group := a.spec.cfg.Group
		if a.mode != modeBroadcastClient || !group.IsValid() {
			continue
		}
		if err := p.udp.Join(group); err != nil {
			p.log.Error("multicast", "server", a.spec.cfg.Server, "error", err)
			continue
		}
		p.groups = append(p.groups, group)
	}
}

func (p *pollers) stop() {
	if p.hub != nil {
		p.udp.Handle(nil)
	}
	p.cancel()
	p.done.Wait()
	if p.hub != nil {
		p.hub.Wait()
	}
	for _, g := range p.groups {
		p.udp.Leave(g)
	}
}

// replaceServer tells that another Autokey server answers now. Clients of a
// broadcast ask it for what the broadcast has told the old one, so the
// broadcast tells anew.
func (p *pollers) replaceServer(s *autokey.Server) {
	p.server.Store(s)
	for _, a := range p.list {
		if a.mode == ntp.ModeBroadcast && a.spec.cfg.Auth == ntp.KindAutokey {
			select {
			case a.restart <- struct{}{}:
			default:
			}
		}
	}
}

// follow keeps an association alive: it finds the server again whenever the
// association has ended.
func (p *pollers) follow(ctx context.Context, a *association) {
	defer a.closeNTS(p.log)
	defer a.expected.Dismiss()
	retry := firstRetry
	for ctx.Err() == nil {
		started := time.Now()
		err := p.associate(ctx, a)
		if ctx.Err() != nil {
			return
		}
		if errors.Is(err, errReplaced) {
			continue
		}
		a.lost.Store(&err)
		wait := retry
		var later *source.RetryError
		switch {
		case errors.As(err, &later):
			wait = later.In // the server's own back-off
			p.log.Warn("no keys for NTS", "server", a.spec.cfg.Server, "error", err)
		case errors.Is(err, errNoAddress):
			a.expected.Dismiss()
			wait = resolveInterval // a pool with fewer addresses than it may have
			p.log.Debug("no further address", "server", a.spec.cfg.Server)
		case refused(err):
			// Only another configuration makes us ask this server again.
			p.log.Error("source refuses to serve this host and is not asked any more", "server", a.spec.cfg.Server, "error", err)
			<-ctx.Done()
			return
		default:
			p.log.Warn("source is lost and will be looked for again", "server", a.spec.cfg.Server, "error", err, "in", retry)
		}
		// A silent broadcast server costs nothing: listen again soon.
		if time.Since(started) > lastRetry || a.mode != ntp.ModeClient && time.Since(started) > lastRetry/16 {
			retry, wait = firstRetry, min(wait, firstRetry)
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
		retry = min(2*retry, lastRetry)
	}
}

// refused reports whether a server told us to go away.
func refused(err error) bool {
	var kiss *source.KissError
	return errors.As(err, &kiss) && (kiss.Code == "DENY" || kiss.Code == "RSTR")
}

// associate runs one life of an association.
func (p *pollers) associate(ctx context.Context, a *association) error {
	switch a.mode {
	case ntp.ModeSymmetricActive:
		return p.peer(ctx, a)
	case modeBroadcastClient:
		return p.listen(ctx, a)
	case ntp.ModeBroadcast:
		return p.broadcast(ctx, a)
	}
	return p.poll(ctx, a)
}

// logged returns what an association tells its errors to.
func (p *pollers) logged(a *association) func(error) {
	return func(err error) { p.log.Debug("source", "server", a.spec.cfg.Server, "error", err) }
}

// association is what an Autokey association between two addresses is made of.
func (s *sourceSpec) association(local, remote netip.Addr) autokey.AssociationConfig {
	return autokey.AssociationConfig{Credentials: s.credentials, Digest: s.digest, ID: s.id,
		Local: local, Remote: remote.WithZone(""), Ident: s.cfg.Ident, Groups: s.groups}
}

// resolve finds the address of a peer or broadcast server.
func (s *sourceSpec) resolve(ctx context.Context) (netip.AddrPort, error) {
	f := newFinder(s.cfg.Server, s.cfg.Family)
	addr, err := f.take(ctx)
	return netip.AddrPortFrom(addr, uint16(s.cfg.Port)), err
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

// errReplaced ends an association that is to begin anew at once: a broadcast
// whose Autokey server was replaced, a server for which there is a better one.
var errReplaced = errors.New("replaced")

// disciplineSource translates what the configuration says of a source.
func disciplineSource(c *config.Source) discipline.SourceConfig {
	return discipline.SourceConfig{
		MinPoll: c.MinPoll, MaxPoll: c.MaxPoll,
		Authenticated: c.Auth == ntp.KindSymmetric || c.Auth == ntp.KindNTS,
		NoSelect:      c.NoSelect, Prefer: c.Prefer, Trust: c.Trust, Require: c.Require,
		Offset: seconds(c.Offset), Asymmetry: c.Asymmetry,
	}
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// sourceInfo says what a source is called.
func sourceInfo(c *config.Source, addr netip.Addr) clock.SourceInfo {
	return clock.SourceInfo{Name: c.Server, Address: addr}
}

// sample is what takes an association's measurements to the discipline.
func (a *association) sample(f *follow.Source) func(source.Sample) {
	return func(s source.Sample) {
		n := a.nts.Load()
		f.Sample(s, n != nil && n.Provisional())
	}
}
