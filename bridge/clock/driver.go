package clock

import (
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/bridge/clock/discipline"
	"ntsbridge/bridge/clock/timebase"
	"ntsbridge/bridge/ntp"
)

// Driver steers the system clock by sources. All methods are safe for
// concurrent use; Run is called once.
type Driver struct {
	config DriverConfig
	log    hclog.Logger
	system System // used by Run's goroutine, but for Read
	lock   atomic.Pointer[os.File]
	state  atomic.Pointer[ntp.ClockState]
	saver  *saver
	// doubted says that OnDoubt is to be called; Run's goroutine's.
	doubted bool
	denied  bool // a step that the clock did not obey is due; likewise

	mu       sync.Mutex // guards all below
	d        *discipline.Discipline
	sources  map[discipline.SourceID]*driven
	lastID   discipline.SourceID
	fed      bool    // a sample was accepted since the last tick
	ever     bool    // a sample was ever accepted
	now      Clocks  // at the last tick
	running  bool    // now is set
	rate     float64 // commanded, s/s
	synced   bool    // at the last tick
	once     bool    // synchronised at least once
	behind   bool    // it was before Floor at the start
	waiting  bool    // for a first confirmation after the start, a step or a gap
	waitFrom int64   // on Raw
	stepped  bool    // since the last synchronisation
	leap     leapSecond
	local    local
	foreign  foreign
	refusal  refusal
	saved    Saved
	saveAt   int64 // on Raw
	setBy    int64 // by hand, ns; 0: not
	events   []discipline.Event
	limits   limits
	said     servedAs
}

// Close releases the lock of a driver that Run is not called of, and closes a
// System that is an io.Closer.
func (d *Driver) Close() (err error) {
	if c, ok := d.system.(io.Closer); ok {
		err = c.Close()
	}
	if lock := d.lock.Swap(nil); lock != nil {
		err = errors.Join(err, lock.Close())
	}
	return err
}

// local follows whether the fallback stratum is served.
type local struct {
	active    bool
	activated bool  // the root distance has once been below Activate
	lostAt    int64 // on Raw: when the clock was last good
}

// refusal follows MaxChange.
type refusal struct {
	active bool
	times  int
}

// servedAs is what the log last said of what is served.
type servedAs struct {
	synced, local bool
	source        discipline.SourceID
}

// set ends Run only if the clock has become untouchable; else the next tick
// tries again.
func (d *Driver) set(what string, err error) error {
	if errors.Is(err, ErrPrivilege) {
		return err
	}
	if err != nil && d.limits.allow("set "+what, d.now.Raw) {
		d.log.Error("the system clock does not obey", "what", what, "error", err)
	}
	return nil
}

// serve publishes a state.
func (d *Driver) serve(s *ntp.ClockState) {
	d.state.Store(s)
	if d.config.OnState != nil {
		d.config.OnState(s)
	}
}

// any tells whether a source is as described.
func (d *Driver) any(is func(*driven, *discipline.SourceStatus) bool) bool {
	for id, s := range d.sources {
		if st, there := d.d.Source(id, discipline.Instant(d.now.Raw)); there && is(s, &st) {
			return true
		}
	}
	return false
}

// base reads the free-running base.
func (d *Driver) base() discipline.Instant {
	c, err := d.system.Read()
	if err != nil {
		return discipline.Instant(timebase.Read().Raw)
	}
	return discipline.Instant(c.Raw)
}

func readingOf(c Clocks) discipline.Reading {
	return discipline.Reading{Raw: discipline.Instant(c.Raw), System: c.System, Rate: c.Rate}
}

// seconds is a duration of s seconds.
func seconds(s float64) time.Duration { return time.Duration(s * 1e9) }

// wait waits for a first confirmation.
func (d *Driver) wait(now int64) { d.waiting, d.waitFrom = true, now }

// tickInterval is how often the clock is corrected, ns.
const tickInterval = int64(time.Second)
