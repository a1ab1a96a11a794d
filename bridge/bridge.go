package bridge

import (
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/autokey"
	"ntsbridge/bridge/clock"
	"ntsbridge/bridge/config"
	"ntsbridge/bridge/control"
	"ntsbridge/bridge/follow"
	"ntsbridge/bridge/nke"
	"ntsbridge/bridge/ntp"
	"ntsbridge/bridge/server"
	"ntsbridge/bridge/statedir"
)

// clockInterval is how often the kernel's clock state is looked at. A change
// of its synchronisation is served after that time at the latest.
const clockInterval = time.Second

// Bridge is the running daemon.
type Bridge struct {
	log       hclog.Logger
	server    *server.Server
	ke        *nke.Server // nil: NTS is off
	control   *control.Server
	clock     *follow.Clock
	events    control.SystemEvents // as ntpq shows them
	closing   sync.Once
	stop      chan struct{}
	done      chan struct{}
	addresses []netip.AddrPort
	pollers   atomic.Pointer[pollers]
	options   Options
	failed    chan error

	mu    sync.Mutex // open, Reload, the clock's tick, readers
	parts *parts
}

// Options are what a start decides beside the configuration.
type Options struct {
	// NoClock measures and serves but never touches the system clock, whatever
	// clock.mode says (chronyd -x).
	NoClock bool
}

// Start makes everything that the configuration asks for and serves. The
// configuration must be resolved. On an error nothing is left running.
func Start(cfg *config.Config, log hclog.Logger, options Options) (*Bridge, error) {
	if err := errors.Join(statedir.MakeDir(cfg.StateDir, 0o700), statedir.MakeDir(cfg.RunDir, 0o755)); err != nil {
		return nil, err
	}
	b := &Bridge{log: log, stop: make(chan struct{}), done: make(chan struct{}), options: options, failed: make(chan error, 1)}
	precision := clock.MeasurePrecision(func() int64 { return time.Now().UnixNano() })
	b.clock = follow.New(follow.Options{Precision: precision, NoClock: options.NoClock, Log: log}, follow.Functions{
		OnState: b.publish, OnStep: b.stepped, OnDoubt: b.doubted, OnSynchronised: b.synchronised,
		OnFailure: func(err error) { b.failed <- err }})
	var err error
	if b.parts, err = build(cfg, nil, log, time.Now()); err != nil {
		return nil, err
	}
	b.events.Record(control.EventRestart)
	b.show(b.parts)
	if err := b.open(); err != nil {
		return nil, errors.Join(err, b.closeAll())
	}
	go b.run()
	return b, nil
}

// unsynchronised is served until the clock was looked at.
var unsynchronised = &ntp.ClockState{Leap: ntp.LeapUnknown, Stratum: ntp.StratumUnsynchronised, RootDispersion: 16 * time.Second}

// open starts the servers. The control socket comes first: it is what keeps a
// second daemon from sharing our UDP ports, which SO_REUSEPORT would let it.
func (b *Bridge) open() (err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	cfg := b.parts.cfg
	if b.server, err = server.New(serverOptions(cfg), b.parts.state, unsynchronised); err != nil {
		return err
	}
	sources := control.Sources{ServerStats: b.ServerStats, Tracking: b.tracking,
		Sources:     func() []control.Source { return b.reports().sources },
		SourceStats: func() []control.SourceStats { return b.reports().stats },
		AuthData:    func() []control.AuthData { return b.reports().auth },
		SelectData:  func() []control.SelectData { return b.reports().choice },
		MakeStep:    func() error { return b.clock.Steering().MakeStep() },
	}
	if b.control, err = control.Listen(cfg.Control.Socket, sources, b.log.Named("control")); err != nil {
		return err
	}
	change, err := b.clock.Prepare(cfg, b.parts.leaps)
	if err != nil {
		return err
	}
	change.Commit(time.Now())
	b.server.SetClock(b.look())
	if err := b.updateSignatures(b.parts.autokey); err != nil {
		return err
	}
	if b.addresses, err = b.server.Listen(cfg.Server.Listen); err != nil {
		return err
	}
	if cfg.NTS.Enabled {
		if b.ke, err = nke.Listen(b.parts.ke); err != nil {
			return err
		}
	}
	b.pollers.Store(b.associate(b.parts))
	return nil
}

// farStep is a step after which the dates of certificates are judged anew.
const farStep = time.Hour

// stepped is told that the system clock was stepped, by whomever.
func (b *Bridge) stepped(by time.Duration) {
	b.server.Stepped()
	if p := b.pollers.Load(); p != nil && by.Abs() > farStep {
		p.confirm()
	}
	b.doubted()
}

// doubted is told that nothing is synchronised until sources have answered
// anew.
func (b *Bridge) doubted() {
	if p := b.pollers.Load(); p != nil {
		p.hurry()
	}
}

// publish serves a state of the clock that we steer, at once. What makes it
// known elsewhere waits for the tick, but for the loss of synchronisation.
func (b *Bridge) publish(state *ntp.ClockState) {
	b.server.SetClock(state)
	if p := b.pollers.Load(); p != nil && !state.Synchronised() {
		p.clock.SetState(state)
	}
}

// synchronised records for ntpq that the clock has become so, or is no longer.
func (b *Bridge) synchronised(is bool) {
	if is {
		b.events.Record(control.EventClockSync)
	} else {
		b.events.Record(control.EventNoSystemPeer)
	}
}

// look returns what to serve.
func (b *Bridge) look() *ntp.ClockState { return b.clock.State(time.Now()) }

// associate starts the associations of these parts. Their own values are signed
// first, since the first packets carry them.
func (b *Bridge) associate(p *parts) *pollers {
	state := b.look()
	if p.client != nil && b.clock.Synchronised() {
		p.client.SignatureUpdate(ntp.TimestampFromTime(time.Now()))
	}
	return startPollers(p, b.server, b.clock.Steering(), b.clock.LeapSeconds(), state, b.log.Named("source"))
}

// show makes ntpq see the running daemon through these parts.
func (b *Bridge) show(p *parts) {
	p.local.Events, p.local.Tracking = &b.events, b.discipline
	p.local.Follow = p.showClient
	p.local.List = func(now ntp.Timestamp) []control.Association {
		if pollers := b.pollers.Load(); pollers != nil {
			return pollers.associations(now)
		}
		return nil
	}
}

func serverOptions(cfg *config.Config) server.Options {
	o := server.Options{Workers: cfg.Server.Workers, Batch: cfg.Server.Batch,
		Socket: server.SocketOptions{DSCP: cfg.Server.DSCP, KernelTimestamps: cfg.Server.Timestamping != "none"}}
	if cfg.Server.Interleaved.Enabled {
		o.Interleaved = cfg.Server.Interleaved.Entries
	}
	return o
}

// updateSignatures makes an Autokey server sign its values, which it does
// when the clock is first synchronised.
func (b *Bridge) updateSignatures(a *autokey.Server) error {
	if a == nil || !b.clock.Synchronised() || a.Updated() != 0 {
		return nil
	}
	return a.SignatureUpdate(ntp.TimestampFromTime(time.Now()))
}

// run looks after the clock and the cookie keys until Close.
func (b *Bridge) run() {
	defer close(b.done)
	ticker := time.NewTicker(clockInterval)
	defer ticker.Stop()
	for {
		select {
		case <-b.stop:
			return
		case <-ticker.C:
			b.tick(time.Now())
		}
	}
}

func (b *Bridge) tick(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	state := b.clock.Tick(now)
	if !b.clock.Steers() { // else publish does it
		b.server.SetClock(state)
	}
	replaced, err := b.parts.relay(ntp.TimestampFromTime(now), b.clock.Synchronised())
	if replaced {
		b.show(b.parts)
		b.server.SetState(b.parts.state)
		b.pollers.Load().replaceServer(b.parts.autokey)
	}
	err = errors.Join(err, b.updateSignatures(b.parts.autokey))
	b.pollers.Load().clock.SetState(state) // after the signatures that a broadcast needs
	if err != nil {
		b.log.Error("Autokey signatures", "error", err)
	}
	if n := b.parts.state.NTS; n != nil && !now.Before(n.Ring().Expires()) {
		ring, err := b.parts.ring(now)
		if err != nil {
			b.log.Error("NTS cookie keys cannot be rotated", "error", err)
			return
		}
		n.SetRing(ring)
		b.log.Info("NTS cookie keys rotated", "keys", ring.Epochs(), "next", ring.Expires().UTC().Format(time.RFC3339))
	}
}

// Addresses returns the UDP addresses served.
func (b *Bridge) Addresses() []netip.AddrPort { return b.server.Addresses() }

// Made says what this start generated.
func (b *Bridge) Made() Made { return b.parts.made }

// ServerStats returns the counters of all servers.
func (b *Bridge) ServerStats() *control.ServerStats {
	b.mu.Lock()
	defer b.mu.Unlock()
	var ke *nke.Counters
	if b.ke != nil {
		c := b.ke.Counters()
		ke = &c
	}
	return control.NewServerStats(b.server.Counters(), ke)
}

// Failed returns what tells why the clock is not steered any more, such as an
// offset beyond clock.panic where that ends the daemon.
func (b *Bridge) Failed() <-chan error { return b.failed }

// Close answers what has arrived and stops everything.
func (b *Bridge) Close() (err error) {
	b.closing.Do(func() {
		close(b.stop)
		<-b.done
		err = b.closeAll()
	})
	return err
}

func (b *Bridge) closeAll() error {
	var errs []error
	if p := b.pollers.Load(); p != nil {
		p.stop()
	}
	errs = append(errs, b.clock.Close())
	if b.control != nil {
		errs = append(errs, b.control.Close())
	}
	if b.ke != nil {
		errs = append(errs, b.ke.Close())
	}
	if b.server != nil {
		errs = append(errs, b.server.Close())
	}
	return errors.Join(errs...)
}
