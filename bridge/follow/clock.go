package follow

import (
	"errors"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/bridge/clock"
	"ntsbridge/bridge/config"
	"ntsbridge/bridge/follow/statlog"
	"ntsbridge/bridge/ntp"
)

// Functions are what a Clock tells. None may be nil, and none may call Prepare,
// Commit or Close: the clock's goroutine waits for them.
type Functions struct {
	// OnState is called with each state to be served of a clock that we steer.
	OnState func(*ntp.ClockState)
	// OnStep is told that the system clock was stepped, by whomever.
	OnStep func(by time.Duration)
	// OnDoubt is told that nothing is synchronised until sources have answered
	// anew.
	OnDoubt func()
	// OnSynchronised is told when that begins or ends.
	OnSynchronised func(bool)
	// OnNoPeer is told that the source which was followed first is none any more,
	// and no other one is.
	OnNoPeer func()
	// OnFailure is told why the clock is not steered any more.
	OnFailure func(error)
}

// Options are what a start decides beside the configuration.
type Options struct {
	Precision int8 // log2 s, see clock.MeasurePrecision
	// NoClock measures and serves but never touches the system clock, whatever
	// clock.mode says (chronyd -x).
	NoClock bool
	// System is the clock to steer, by whoever has another one than the
	// machine's. nil: the machine's.
	System clock.System
	Log    hclog.Logger
}

// Clock says what to serve: of the clock that the discipline steers by our
// sources, or of one that another program steers. All methods are safe for
// concurrent use, but Prepare, Commit and Close, which have one caller.
type Clock struct {
	options  Options
	tell     Functions
	leaps    *LeapSeconds
	steering atomic.Pointer[Steering]    // nil: there is nothing to follow
	stats    atomic.Pointer[statlog.Log] // nil: none is written

	mu       sync.Mutex // all below; held for as long as a look at the kernel's clock takes
	config   *config.Config
	served   clock.Served
	observer *observer // nil: the kernel alone tells of the clock
	synced   bool
	looked   bool
}

// New returns a clock that serves the alarm until the first change is
// committed.
func New(o Options, f Functions) *Clock {
	return &Clock{options: o, tell: f, leaps: newLeapSeconds(o.Log.Named("leap"))}
}

// LeapSeconds returns the table in force.
func (c *Clock) LeapSeconds() *LeapSeconds { return c.leaps }

// Steering returns what follows sources at the moment; nil: nothing does.
func (c *Clock) Steering() *Steering { return c.steering.Load() }

// Steers reports whether what is served comes from the discipline.
func (c *Clock) Steers() bool { return c.Steering().state() != nil }

// Change is another configuration, ready to be put in force.
type Change struct {
	clock    *Clock
	config   *config.Config
	leaps    LeapConfig
	steering *Steering // after the change
	observer *observer // likewise, not started if it is new
	stats    *statlog.Log
}

// Prepare makes what another configuration needs. Nothing that runs is touched.
// The change must be committed or aborted.
func (c *Clock) Prepare(cfg *config.Config, leaps LeapConfig) (*Change, error) {
	c.mu.Lock()
	old, observer := c.config, c.observer
	c.mu.Unlock()
	next := &Change{clock: c, config: cfg, leaps: leaps, steering: c.Steering(), observer: observer, stats: c.stats.Load()}
	if old == nil || !reflect.DeepEqual(old.Statistics, cfg.Statistics) {
		var err error
		if next.stats, err = openStatistics(&cfg.Statistics, c.options.Log); err != nil {
			return nil, err
		}
	}
	if err := next.prepareSteering(); err != nil {
		next.abortStatistics()
		return nil, err
	}
	if old == nil || !sameObserver(old, cfg) {
		next.observer = newObserver(cfg, c.options.Log.Named("observe"))
	}
	return next, nil
}

// prepareSteering makes the driver, if there are sources to follow, or a clock
// to set by hand, and none is there, or one that cannot do what is asked now.
func (n *Change) prepareSteering() (err error) {
	c := n.clock
	kept := n.steering
	if err := validate(n.config, c.options.Precision); err != nil {
		return err
	}
	if kept == nil && n.config.Clock.Mode != config.ClockDiscipline && len(n.config.Sources) == 0 && len(n.config.ReferenceClocks) == 0 {
		return nil
	}
	if kept != nil && kept.fixed == fixed(n.config, c.options.Precision) {
		return nil
	}
	if kept != nil && kept.steers {
		return errors.New("the discipline of the clock cannot change while it steers it: restart the daemon for that")
	}
	n.steering, err = newSteering(steeringConfig{config: n.config, precision: c.options.Precision, noClock: c.options.NoClock,
		system: c.options.System,
		log:    c.options.Log.Named("clock"), leaps: c.leaps, stats: &c.stats, onState: c.publish, onStep: c.stepped, onDoubt: c.tell.OnDoubt,
		onNoPeer: c.tell.OnNoPeer})
	return err
}

// Steering returns what will follow sources after the change.
func (n *Change) Steering() *Steering { return n.steering }

// Abort gives back what Prepare took.
func (n *Change) Abort() error {
	if n == nil {
		return nil
	}
	n.abortStatistics()
	if n.steering == n.clock.Steering() {
		return nil
	}
	return n.steering.close()
}

// abortStatistics closes files that were opened for the change.
func (n *Change) abortStatistics() {
	if n.stats != n.clock.stats.Load() {
		n.stats.Close()
	}
}

// Commit puts the change in force and begins what is new. Samples that come
// from now on go to the new steering. The leap seconds come first: the driver
// asks for them at once.
func (n *Change) Commit(now time.Time) {
	c := n.clock
	c.leaps.Set(n.leaps, now)
	if old := c.steering.Swap(n.steering); old != n.steering {
		_ = old.close() // it only measured
		n.steering.start(c.tell.OnFailure)
	}
	if old := c.stats.Swap(n.stats); old != n.stats {
		old.Close()
	}
	n.steering.setSelection(selection(&n.config.Clock))
	c.mu.Lock()
	old := c.observer
	c.config, c.observer = n.config, n.observer
	c.served.Policy = policyOf(&n.config.Clock, c.options.Precision)
	c.mu.Unlock()
	if old != n.observer {
		old.Close()
		n.observer.Start()
	}
}

// Close ends everything, and leaves the system clock running at its best known
// rate.
func (c *Clock) Close() error {
	err := c.Steering().close()
	c.mu.Lock()
	observer := c.observer
	c.mu.Unlock()
	observer.Close()
	c.stats.Load().Close()
	return err
}

// stepped passes on that the system clock was stepped.
func (c *Clock) stepped(by time.Duration) {
	systemEvent(c.stats.Load(), systemStep, fmt.Sprintf("clock_step %+.6f s", by.Seconds()))
	c.tell.OnStep(by)
}

// Statistics returns the files of measurements; nil: none is written.
func (c *Clock) Statistics() *statlog.Log { return c.stats.Load() }
