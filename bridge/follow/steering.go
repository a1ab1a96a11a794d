package follow

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/bridge/clock"
	"ntsbridge/bridge/clock/discipline"
	"ntsbridge/bridge/clock/process"
	"ntsbridge/bridge/config"
	"ntsbridge/bridge/follow/statlog"
	"ntsbridge/bridge/ntp"
	"ntsbridge/bridge/source"
	"ntsbridge/bridge/source/refclock"
)

// Steering connects sources with the discipline of the clock. In mode
// discipline it steers the system clock; else it only measures, so that one
// sees what the sources say of the clock that another program steers. A nil one
// knows no source, and what it is told is lost. All methods are safe for
// concurrent use.
type Steering struct {
	driver *clock.Driver
	steers bool // what is served comes from it
	log    hclog.Logger
	stats  *atomic.Pointer[statlog.Log]
	fixed  string    // what it keeps for its life
	floor  time.Time // now is later
	// unchecked is how many first updates do not look at the dates of
	// certificates.
	unchecked int
	smooth    smoothing
	cancel    context.CancelFunc
	done      chan struct{}

	noPeer func() // see Functions.OnNoPeer; nil: nobody is told

	mu       sync.Mutex
	led      bool               // one source is followed first
	sources  map[string]*Source // by what makes a source the same over a reload
	asks     discipline.Selection
	majority bool // several sources are asked for, beyond asks
}

// steeringConfig is what a Steering is made of.
type steeringConfig struct {
	config    *config.Config
	precision int8
	noClock   bool
	system    clock.System // nil: the machine's
	log       hclog.Logger
	leaps     *LeapSeconds
	stats     *atomic.Pointer[statlog.Log]
	onState   func(*ntp.ClockState)
	onStep    func(time.Duration)
	onDoubt   func()
	onNoPeer  func()
}

// newSteering makes the driver of a configuration. It takes the lock of the
// clock and does not touch the clock itself yet.
func newSteering(c steeringConfig) (*Steering, error) {
	cfg := c.config
	s := &Steering{steers: cfg.Clock.Mode == config.ClockDiscipline, log: c.log, stats: c.stats, floor: buildTime(),
		unchecked: cfg.Clock.NoCertTimeCheck, noPeer: c.onNoPeer,
		fixed: fixed(cfg, c.precision), asks: selection(&cfg.Clock), done: make(chan struct{}), sources: make(map[string]*Source)}
	s.smooth.Smoother = clock.Smoother{MaxRate: cfg.Clock.Smooth.MaxRatePPM * 1e-6, MaxWander: cfg.Clock.Smooth.MaxWanderPPM * 1e-6}
	d := driverConfig(cfg, c.precision)
	d.Logger, d.LeapTable, d.Measure = c.log, c.leaps.Month, c.noClock || !s.steers
	if !d.Measure && c.system == nil {
		d.LockFile, d.Suspect = clockLock(cfg), clock.OtherDaemon
		d.DriftFile = cfg.Clock.DriftFile
	}
	d.OnStep, d.OnDoubt, d.Pauses = c.onStep, c.onDoubt, clock.PauseSigns()
	if s.steers {
		d.StateFile, d.OnState = filepath.Join(cfg.StateDir, "clock.state"), c.onState
		if saved, err := clock.ReadState(d.StateFile); err == nil && saved.Synchronised.After(s.floor) {
			s.floor = saved.Synchronised
		}
	}
	d.Floor = s.floor
	if d.Fallback.Orphan {
		d.Fallback.ReferenceID = ownReference()
	}
	var err error
	if d.System = c.system; d.System == nil {
		d.System = clock.ReadOnlySystem()
	}
	if !d.Measure && c.system == nil {
		if err = openSystem(cfg.Clock.Process, &d); err != nil {
			return nil, err
		}
	}
	if s.driver, err = clock.NewDriver(d); err != nil {
		return nil, errors.Join(err, closeSystem(d.System))
	}
	return s, nil
}

// openSystem takes the system clock, set by a process at a socket; "": by this
// one. Nobody else may be at it.
func openSystem(socket string, d *clock.DriverConfig) error {
	if socket == "" {
		err := clock.OtherDaemon()
		if err == nil {
			d.System, err = clock.OpenSystem()
		}
		return err
	}
	c, err := process.Open(socket, clock.ReadOnlySystem())
	if err != nil {
		return fmt.Errorf("clock.process: %w", err)
	}
	d.System, d.Suspect = c, c.OtherDaemon
	if err := c.OtherDaemon(); err != nil {
		return errors.Join(err, c.Close())
	}
	return nil
}

func closeSystem(s clock.System) error {
	if c, ok := s.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// buildTime is about when this program was made: the time cannot be earlier.
func buildTime() time.Time {
	info, ok := debug.ReadBuildInfo()
	if ok {
		for _, s := range info.Settings {
			if t, err := time.Parse(time.RFC3339, s.Value); s.Key == "vcs.time" && err == nil {
				return t
			}
		}
	}
	return time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
}

// start begins to discipline, and tells if that ends by itself.
func (s *Steering) start(failed func(error)) {
	if s == nil || s.cancel != nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	go func() {
		defer close(s.done)
		if err := s.driver.Run(ctx); err != nil && ctx.Err() == nil {
			failed(err)
		}
	}()
}

// close leaves the clock running at its best known rate.
func (s *Steering) close() error {
	if s == nil {
		return nil
	}
	if s.cancel == nil {
		return s.driver.Close()
	}
	s.cancel()
	<-s.done
	return nil
}

// certifiedSources is how many sources must agree while the dates of
// certificates are not looked at.
const certifiedSources = 3

// setSelection changes what is asked of sources. It was checked when the
// configuration was read.
func (s *Steering) setSelection(asks discipline.Selection) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asks = asks
	s.ask()
}

// ask tells the discipline what is asked. The caller holds s.mu.
func (s *Steering) ask() {
	asks := s.asks
	if s.majority {
		asks.MinSources = max(asks.MinSources, certifiedSources)
	}
	if err := s.driver.SetSelection(asks); err != nil {
		s.log.Error("selection of sources", "error", err)
	}
}

// trust asks for a majority of several sources as long as one of them speaks
// without the date of its certificate. It is called before each of their
// samples, and each second.
func (s *Steering) trust() {
	if s == nil || s.unchecked == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if majority := s.anyProvisional(); majority != s.majority {
		s.majority = majority
		s.ask()
	}
}

// Provisional reports whether a source that is followed rests on something that
// no right clock has judged, such as the dates of a certificate. Nothing is
// served then.
func (s *Steering) Provisional() bool {
	if s == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.anyProvisional()
}

// anyProvisional does it; the caller holds s.mu.
func (s *Steering) anyProvisional() bool {
	for _, f := range s.sources {
		if f.provisional.Load() {
			return true
		}
	}
	return false
}

// state returns what is to be served of a clock that we steer, nil if it is
// not ours.
func (s *Steering) state() *ntp.ClockState {
	if s == nil || !s.steers {
		return nil
	}
	return s.driver.State()
}

// Report returns what the discipline knows of the clock; false: there is none.
func (s *Steering) Report() (clock.TrackingReport, bool) {
	if s == nil {
		return clock.TrackingReport{}, false
	}
	return s.driver.Tracking(), true
}

// smoothed returns a state with the served time kept from jumping.
func (s *Steering) smoothed(state *ntp.ClockState) *ntp.ClockState {
	if s == nil || s.smooth.MaxRate == 0 {
		return state
	}
	t := s.driver.Tracking()
	return s.smooth.apply(state, &t)
}

// Crypto tells cryptostats what happened to the authentication of a source.
func (s *Steering) Crypto(address, text string) {
	if s != nil {
		s.stats.Load().Crypto(time.Now(), address, text)
	}
}

// selected returns how many sources are followed.
func (s *Steering) selected() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, f := range s.sources {
		if r, ok := s.driver.Source(f.id); ok && r.State == discipline.Selected {
			n++
		}
	}
	return n
}

// SetTime sets the clock by hand.
func (s *Steering) SetTime(to time.Time) error {
	if s == nil {
		return clock.ErrNotByHand
	}
	return s.driver.SetTime(to)
}

// MakeStep steps the clock.
func (s *Steering) MakeStep() error {
	if s == nil {
		return clock.ErrMeasureOnly
	}
	return s.driver.MakeStep()
}

// pivot decides the era of timestamps: a clock before the time at which this
// program was made is wrong.
func (s *Steering) pivot() time.Time {
	if now := time.Now(); now.After(s.floor) {
		return now
	}
	return s.floor
}

// Dates says how the dates of certificates are judged by a clock that may be
// wrong.
func (s *Steering) Dates() source.TimeCheck {
	if s == nil {
		return source.TimeCheck{Floor: buildTime()}
	}
	t := source.TimeCheck{Floor: s.floor}
	if s.steers && s.unchecked > 0 {
		t.Unchecked = func() bool { return s.driver.Tracking().Updates < s.unchecked }
	}
	return t
}

// SystemClock tells how good the system clock is, by which pulses without a
// clock of their own are numbered.
func (s *Steering) SystemClock() refclock.SystemClock {
	if s == nil {
		return refclock.SystemClock{}
	}
	t := s.driver.Tracking()
	return refclock.SystemClock{Synchronised: t.Synchronised, Offset: seconds(-t.SystemOffset),
		Bound: seconds(t.Distance()), Leap: t.Status.Leap}
}
