package bridge

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/bridge/association"
	"ntsbridge/bridge/clock"
	"ntsbridge/bridge/config"
	"ntsbridge/bridge/control"
	"ntsbridge/bridge/control/events"
	"ntsbridge/bridge/control/metrics"
	"ntsbridge/bridge/fleet"
	"ntsbridge/bridge/follow"
	"ntsbridge/bridge/material"
	"ntsbridge/bridge/nke"
	"ntsbridge/bridge/ntp"
	"ntsbridge/bridge/server"
)

// unsynchronised is served until the clock was looked at.
var unsynchronised = &ntp.ClockState{Leap: ntp.LeapUnknown, Stratum: ntp.StratumUnsynchronised, RootDispersion: 16 * time.Second}

// Start makes everything that the configuration asks for and serves. The
// configuration must be resolved. On an error nothing is left running.
func Start(cfg *config.Config, log hclog.Logger, options Options) (*Bridge, error) {
	p, lock, err := load(cfg, log, options.date(), &options.Sockets)
	if err != nil {
		return nil, err
	}
	b := &Bridge{log: log, lock: lock, options: options, started: time.Now(), stop: make(chan struct{}), done: make(chan struct{}),
		failed: make(chan error, 1), told: events.New(eventsKept, time.Now()), requests: control.NewRequests()}
	precision := clock.MeasurePrecision(func() int64 { return time.Now().UnixNano() })
	b.clock = follow.New(follow.Options{Precision: precision, NoClock: options.NoClock, System: options.System, Log: log}, follow.Functions{
		OnState: b.publish, OnStep: b.stepped, OnDoubt: b.doubted, OnSynchronised: b.synchronised, OnNoPeer: b.peerless, OnFailure: b.fail})
	if !cfg.Has("server.listen") && slices.ContainsFunc(cfg.Server.Listen, func(l config.Listen) bool { return l.Port() == config.PortNTPUser }) {
		log.Warn("the ports are not those that clients look for", "ntp", config.PortNTPUser, "nts_ke", config.PortNTSKEUser,
			"reason", material.WhyHighPorts())
	}
	b.events.Record(control.EventRestart)
	if err := b.open(p); err != nil {
		return nil, errors.Join(err, b.closeAll())
	}
	b.ticked.Store(time.Now().UnixNano())
	go b.run()
	b.watching.Go(b.watchEvents)
	go b.followAddresses()
	return b, nil
}

// open prepares everything and puts it in force.
func (b *Bridge) open(p *parts) (err error) {
	b.changing.Lock()
	defer b.changing.Unlock()
	cfg := p.cfg
	if b.query, err = b.queries(cfg); err != nil {
		return err
	}
	b.parts.Store(p)
	if b.fleet, err = fleet.Open(p.fleetConfig(), p.names, b.log.Named("fleet")); err != nil {
		return err
	}
	b.fleet.Run()
	if cfg.Fleet.Enabled {
		b.query.SetMRU(b.recentClients)
	}
	options := serverOptions(cfg)
	options.Clients = b.clients()
	options.Passed = b.options.Sockets.NTP
	options.Socket.Hardware = b.openHardware(cfg)
	if err = b.openFastpath(p, &options); err != nil {
		return err
	}
	if b.server, err = server.New(options, p.state, unsynchronised); err != nil {
		return err
	}
	b.openMigration(cfg)
	b.sources = association.NewSet(association.Environment{UDP: b.server, KernelTimestamps: options.Socket.KernelTimestamps,
		Leaps: b.clock.LeapSeconds(), Log: b.log.Named("source")})
	b.metrics.handler = metrics.Handler(b.metricsState, metrics.Options{Addresses: cfg.Metrics.Addresses})
	if err = b.openAPI(b.reports()); err != nil {
		return err
	}
	b.answerChronyc(cfg)
	next, err := b.prepare(p, true)
	if err != nil {
		return err
	}
	if cfg.NTS.Enabled {
		ke := b.observed(p.ke)
		ke.Passed = b.options.Sockets.KE
		if b.ke, err = nke.Listen(ke); err != nil {
			return errors.Join(err, next.abort())
		}
	}
	if err = b.openControl(cfg); err != nil {
		return errors.Join(err, next.abort())
	}
	b.serving.Store(true)
	b.commit(next)
	if err = b.attachFastpath(cfg); err != nil {
		return err
	}
	b.exposeMetrics(cfg)
	b.keepCertificate(cfg)
	return nil
}

// openControl makes the local sockets, last of all: who waits for one finds the
// ports open.
func (b *Bridge) openControl(cfg *config.Config) (err error) {
	if b.control, err = control.Listen(cfg.Control.Socket, b.reports(), b.log.Named("control")); err != nil {
		return err
	}
	if path := cfg.Control.ReadSocket; path != config.ChronycOff {
		if b.readers, err = control.ListenReaders(path, b.reports(), b.log.Named("control")); err != nil {
			return fmt.Errorf("control.read_socket: %w", err)
		}
	}
	return nil
}

// Close answers what has arrived and stops everything.
func (b *Bridge) Close() (err error) {
	b.closing.Do(func() {
		close(b.stop)
		<-b.done
		b.watching.Wait()
		b.site.Close()          // it may be waiting for the lock, too
		err = b.chronyc.Close() // who asks there may be waiting for the lock
		b.chronyc = nil
		b.changing.Lock()
		defer b.changing.Unlock()
		err = errors.Join(err, b.closeAll())
	})
	return err
}

func (b *Bridge) closeAll() error {
	var errs []error
	b.told.Close()  // else who listens would be waited for
	b.fast.Detach() // the sockets answer until the end
	if b.sources != nil {
		b.sources.Stop()
	}
	errs = append(errs, b.clock.Close())
	if b.control != nil {
		errs = append(errs, b.control.Close())
	}
	if b.readers != nil {
		errs = append(errs, b.readers.Close())
	}
	errs = append(errs, b.chronyc.Close(), b.api.Close(), b.page.Close())
	if b.migration != nil {
		errs = append(errs, b.migration.Close())
	}
	b.site.Close()
	errs = append(errs, b.metrics.close())
	b.acme.Swap(nil).stop()
	if b.ke != nil {
		errs = append(errs, b.ke.Close())
	}
	if b.server != nil {
		errs = append(errs, b.server.Close())
	}
	b.hardware.Close()
	if b.fleet != nil { // it takes what the server saw to the end
		errs = append(errs, b.fleet.Close())
	}
	errs = append(errs, b.fast.Close())
	return errors.Join(append(errs, b.lock.Close())...)
}
