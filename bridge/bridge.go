package bridge

import (
	"net/netip"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/bridge/association"
	"ntsbridge/bridge/clock"
	"ntsbridge/bridge/config"
	"ntsbridge/bridge/control"
	"ntsbridge/bridge/control/events"
	"ntsbridge/bridge/control/remote"
	"ntsbridge/bridge/fastpath"
	"ntsbridge/bridge/fleet"
	"ntsbridge/bridge/fleet/migration"
	"ntsbridge/bridge/fleet/site"
	"ntsbridge/bridge/follow"
	"ntsbridge/bridge/material"
	"ntsbridge/bridge/nke"
	"ntsbridge/bridge/ntp"
	"ntsbridge/bridge/server"
	"ntsbridge/bridge/statedir"
)

// Bridge is the running daemon.
type Bridge struct {
	log      hclog.Logger
	lock     *statedir.Lock // of the directories
	clock    *follow.Clock
	server   *server.Server
	hardware *server.Hardware // nil: no timestamps of interfaces
	fast     *fastpath.Engine // nil: the sockets answer everything
	sources  *association.Set
	ke       *nke.Server // nil: NTS is off
	acme     atomic.Pointer[acmeKeeper]
	control  *control.Server
	readers  *control.Server // nil: not everybody may read
	api      *remote.Server
	page     *remote.Server
	fleet    *fleet.Fleet
	chronyc  *control.ChronySockets
	metrics  measured
	told     *events.Log // what happens, for listeners
	requests *control.Requests
	recorder control.Recorder
	query    *control.Queries     // of ntpq
	events   control.SystemEvents // as it shows them
	options  Options
	noted    []string // problems of the start
	started  time.Time
	failed   chan error
	serving  atomic.Bool // all is opened
	stop     chan struct{}
	done     chan struct{}
	closing  sync.Once
	watching sync.WaitGroup // watchEvents

	migration *migration.Migration // nil: no inventory
	site      *site.Site           // nil: this gateway is alone
	ourIDs    atomic.Pointer[ourIDs]
	others    atomic.Pointer[others]

	changing sync.Mutex // one change at a time; may be held while traffic is waited for
	inForce  sync.Mutex // what is replaced in parts, with its announcement; held for moments
	parts    atomic.Pointer[parts]
	takeover takeoverWatch    // of tick
	groups   groupWatch       // likewise
	counted  systemStatistics // likewise
	cookies  cookieWatch      // likewise
	dating   atomic.Bool      // what has waited for the date is being made

	renewal   time.Time // of tick's goroutine: when the certificate made here was looked at
	portsSeen time.Time // of tick's goroutine: when it was looked who shares our ports
	sharers   atomic.Pointer[[]string]
	ticked    atomic.Int64  // Unix time of the last tick, ns
	overruns  atomic.Uint64 // ticks that came late by more than one
	most      atomic.Int64  // clients in the inventory so far
}

// Options are what a start decides beside the configuration.
type Options struct {
	// NoClock measures and serves but never touches the system clock, whatever
	// clock.mode says (chronyd -x).
	NoClock bool
	// System is the clock to steer; nil: the machine's. Tests have their own.
	System clock.System
	// Reload is what somebody asks for over the control socket: to read the
	// configuration again and call Bridge.Reload with it. It may be called by
	// any goroutine. nil: nobody can ask.
	Reload func() error
	// Shutdown is what somebody with permission asks for. It returns before
	// anything is stopped. nil: nobody can ask.
	Shutdown func()

	// Sockets are those that somebody else has opened, such as systemd's socket
	// activation; they are used for the addresses that they are bound to.
	Sockets Passed

	now func() time.Time // of tests whose clock is wrong; nil: time.Now
}

// date is what the system clock says.
func (o *Options) date() time.Time {
	if o.now != nil {
		return o.now()
	}
	return time.Now()
}

// farStep is a step after which the dates of certificates are judged anew.
const farStep = time.Hour

// stepped is told that the system clock was stepped, by whomever.
func (b *Bridge) stepped(by time.Duration) {
	b.server.Stepped()
	b.events.Record(control.EventClockStep)
	if by.Abs() > farStep {
		b.sources.Confirm()
	}
	b.doubted()
}

// doubted is told that nothing is synchronised until sources have answered
// anew.
func (b *Bridge) doubted() { b.sources.Hurry() }

// publish serves a state of the clock that we steer, at once. What makes it
// known elsewhere waits for the tick, but for the loss of synchronisation.
func (b *Bridge) publish(state *ntp.ClockState) {
	b.server.SetClock(state)
	if !state.Synchronised() {
		b.sources.SetClock(state)
	}
}

// synchronised records for ntpq that the clock has become so, or is no longer.
// That there is a system peer again is no event of ntpd's.
func (b *Bridge) synchronised(is bool) {
	switch {
	case !is:
		b.peerless()
	case b.events.Last() != control.EventNoSystemPeer:
		b.events.Record(control.EventClockSync)
	}
}

// peerless records for ntpq, once, that there is nothing to follow any more.
func (b *Bridge) peerless() {
	if b.events.Last() != control.EventNoSystemPeer {
		b.events.Record(control.EventNoSystemPeer)
	}
}

// fail tells why the clock is not steered any more.
func (b *Bridge) fail(err error) {
	select {
	case b.failed <- err:
	default: // one reason is enough
	}
}

// Failed returns what tells why the clock is not steered any more, such as an
// offset beyond clock.panic where that ends the daemon.
func (b *Bridge) Failed() <-chan error { return b.failed }

// Addresses returns the UDP addresses served.
func (b *Bridge) Addresses() []netip.AddrPort { return b.server.Addresses() }

// Made says what this start generated.
func (b *Bridge) Made() material.Made { return b.parts.Load().set.Made }

// openHardware makes interfaces take timestamps. Where one does not that is no
// reason not to serve.
func (b *Bridge) openHardware(cfg *config.Config) *server.Hardware {
	if len(cfg.Server.HardwareTimestamps) == 0 || cfg.Server.Timestamping == "none" {
		return nil
	}
	var errs []error
	b.hardware, errs = server.OpenHardware(cfg.Server.HardwareTimestamps)
	for _, err := range errs {
		b.log.Warn("server.hardware_timestamps: " + err.Error())
	}
	return b.hardware
}

func serverOptions(cfg *config.Config) server.Options {
	o := server.Options{Workers: cfg.Server.Workers, Batch: cfg.Server.Batch,
		Socket: server.SocketOptions{DSCP: cfg.Server.DSCP, KernelTimestamps: cfg.Server.Timestamping != "none",
			FreeBind: cfg.Server.FreeBind}}
	if cfg.Server.Interleaved.Enabled {
		o.Interleaved = cfg.Server.Interleaved.Entries
	}
	return o
}

// cookieDir keeps the keys and cookies of NTS sources.
func cookieDir(cfg *config.Config) string { return filepath.Join(cfg.StateDir, "nts-sources") }
