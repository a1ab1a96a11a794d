package refclock

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"ntsbridge/bridge/clock/timebase"
	"ntsbridge/bridge/ntp"
)

// watch is how often, at least, a driver is asked whose readings were stamped
// by somebody else: the sooner one is seen, the surer is where it belongs.
const watch = 125 * time.Millisecond

// Intervals at which a device that cannot be opened is tried again.
const (
	firstRetry = time.Second
	lastRetry  = 64 * time.Second
)

// Clock is a reference clock.
type Clock struct {
	cfg    Config
	driver driver
	base   func() timebase.Pair

	// Of Run's goroutine.
	opened   bool
	retry    time.Duration
	retryAt  int64  // on the base
	told     string // last failure, until something is read
	stamps   []stamp
	line     timeline
	gate     gate
	filter   filter
	started  bool
	nextPoll int64 // on the base
	lastUsed int64 // on the base: of the last reading that was used

	numberer *Clock // set by Link
	latest   atomic.Pointer[reading]

	mu     sync.Mutex
	status Status
}

// Status is a clock for display.
type Status struct {
	Name     string // driver with unit or path
	RefID    string
	Lock     string // RefID of the clock that numbers the pulses
	Stratum  uint8
	Poll     int8 // log2 s
	Open     bool
	Reach    uint8   // shift register: bit 0 is the last poll
	Last     *Sample // the last one
	Readings uint64  // used
	Samples  uint64
	Missed   uint64              // polls without a sample
	Dropped  [reasonCount]uint64 // by reason
	Err      error               // of the device, since it was last opened
}

// BadForm returns how many readings were none by their form.
func (s *Status) BadForm() uint64 { return s.Dropped[reasonMalformed] + s.Dropped[reasonTorn] }

// BadData returns how many readings were well formed and not used.
func (s *Status) BadData() (n uint64) {
	for _, dropped := range s.Dropped[reasonOK+1:] {
		n += dropped
	}
	return n - s.BadForm()
}

// New makes a clock. It opens nothing.
func New(cfg Config) (*Clock, error) {
	cfg.fill()
	if err := cfg.check(); err != nil {
		return nil, err
	}
	cfg.fillNames()
	c := &Clock{cfg: cfg, base: timebase.Read}
	c.driver = newDriver(&c.cfg)
	c.gate.limit = jumpLimit
	if cfg.Driver == PPS {
		c.gate.limit = pulseJumpLimit
	}
	c.filter.max = cfg.Filter
	c.retry = firstRetry
	c.status = Status{Name: cfg.name(), RefID: cfg.RefID, Lock: cfg.Lock, Stratum: cfg.Stratum, Poll: cfg.Poll}
	return c, nil
}

// RefID returns the clock's name, one to four ASCII characters.
func (c *Clock) RefID() string { return c.cfg.RefID }

// ReferenceID returns the clock's name as packets carry it (RFC 5905, figure
// 12).
func (c *Clock) ReferenceID() uint32 { return ntp.KissCode((c.cfg.RefID + "\x00\x00\x00")[:4]) }

// Delay returns the clock's root delay.
func (c *Clock) Delay() time.Duration { return c.cfg.Delay }

// Status returns the clock for display.
func (c *Clock) Status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.status
}

// Link connects clocks that are locked to others. It is called with all of
// them before any is run.
func Link(clocks ...*Clock) error {
	byRefID := make(map[string]*Clock)
	for _, c := range clocks {
		if other := byRefID[c.cfg.RefID]; other != nil {
			return fmt.Errorf("refclock %s: refid: %s is that of %s, too; set another", c.cfg.name(), c.cfg.RefID, other.cfg.name())
		}
		byRefID[c.cfg.RefID] = c
	}
	for _, c := range clocks {
		if c.cfg.Lock == "" {
			continue
		}
		if c.numberer = byRefID[c.cfg.Lock]; c.numberer == nil {
			return fmt.Errorf("refclock %s: lock: no reference clock has the refid %s; set it where the seconds come from", c.cfg.name(),
				c.cfg.Lock)
		}
	}
	for _, c := range clocks {
		steps := 0
		for n := c.numberer; n != nil; n = n.numberer {
			if steps++; steps > len(clocks) {
				return fmt.Errorf("refclock %s: lock: the clocks are locked in a circle; one must know the seconds by itself", c.cfg.name())
			}
		}
	}
	return nil
}

// Open opens the device, for those who want to know at once, or while they are
// still privileged; and because gpsd looks for a socket only when it starts.
// Otherwise Run does it. An open clock must be run or closed.
func (c *Clock) Open() error {
	if c.opened {
		return nil
	}
	if err := c.driver.open(); err != nil {
		return fmt.Errorf("refclock %s: %w", c.cfg.name(), err)
	}
	c.opened = true
	c.show(func(s *Status) { s.Open, s.Err = true, nil })
	return nil
}

// Close closes the device of a clock that does not run.
func (c *Clock) Close() {
	if c.opened {
		c.driver.close()
		c.opened = false
		c.show(func(s *Status) { s.Open = false })
	}
}

// Run reads the clock until ctx is done. A device that cannot be opened, or
// fails, is tried again for ever.
func (c *Clock) Run(ctx context.Context) error {
	if c.cfg.Lock != "" && c.numberer == nil {
		return fmt.Errorf("refclock %s: locked to %s but not linked", c.cfg.name(), c.cfg.Lock)
	}
	defer c.Close()
	ticker := time.NewTicker(c.tickInterval())
	defer ticker.Stop()
	for {
		c.tick()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

// tickInterval is how often the device is read. A hardware clock is read when
// we like: its readings need no watching.
func (c *Clock) tickInterval() time.Duration {
	d := interval(c.cfg.DPoll)
	if c.cfg.Driver != PHC {
		d = min(d, watch)
	}
	return d
}

// tick reads the device between two readings of our clocks.
func (c *Clock) tick() {
	before := c.base()
	c.line.add(before)
	if !c.started {
		c.started = true
		c.nextPoll = before.Raw + int64(interval(c.cfg.Poll))
	}
	c.stamps = c.stamps[:0]
	if c.ready(before.Raw) {
		var err error
		if c.stamps, err = c.driver.read(c.stamps); err != nil {
			c.Close()
			c.fail(err, before.Raw)
		}
	}
	after := c.base()
	c.line.add(after)
	if len(c.stamps) > 0 {
		c.retry, c.told = firstRetry, ""
	}
	for i := range c.stamps {
		c.take(&c.stamps[i], after)
	}
	if after.Raw >= c.nextPoll {
		c.poll(after.Raw)
	}
}

// ready opens the device if it is time for that.
func (c *Clock) ready(now int64) bool {
	if !c.opened && now >= c.retryAt {
		if err := c.Open(); err != nil {
			c.fail(errors.Unwrap(err), now)
		}
	}
	return c.opened
}

// fail reports a failure of the device and arranges another try.
func (c *Clock) fail(err error, now int64) {
	err = fmt.Errorf("refclock %s: %w", c.cfg.name(), err)
	c.retryAt = now + int64(c.retry)
	c.retry = min(2*c.retry, lastRetry)
	c.show(func(s *Status) { s.Err = err })
	if repeated := err.Error() == c.told; !repeated && c.cfg.OnError != nil {
		c.cfg.OnError(err)
	}
	c.told = err.Error()
}

// take checks a stamp and stores it for the sample.
func (c *Clock) take(s *stamp, now timebase.Pair) {
	reason, used := c.check(s, now)
	if reason == reasonOK && !used {
		return
	}
	c.show(func(st *Status) {
		if used {
			st.Readings++
		} else {
			st.Dropped[reason]++
		}
	})
}

func (c *Clock) check(s *stamp, now timebase.Pair) (reason Reason, used bool) {
	if s.reason != reasonOK {
		return s.reason, false
	}
	r, reason := c.place(s, now)
	if reason != reasonOK || c.surplus(&r) {
		return reason, false
	}
	reason, restart := c.gate.pass(&r)
	if reason != reasonOK {
		return reason, false
	}
	if restart {
		c.filter.clear()
	}
	c.lastUsed = r.raw
	c.latest.Store(&r)
	c.filter.add(r)
	return reasonOK, true
}

// surplus tells whether a reading is more than DPoll asks for. Half of it is
// allowed for, because those who write are not exact.
func (c *Clock) surplus(r *reading) bool {
	since := r.raw - c.lastUsed
	return c.cfg.Driver != SOCK && c.lastUsed != 0 && since > 0 && since < int64(interval(c.cfg.DPoll)/2)
}

// place brings a stamp to the base and completes its time.
func (c *Clock) place(s *stamp, now timebase.Pair) (r reading, reason Reason) {
	r = reading{raw: s.raw, system: s.system, dispersion: s.dispersion + c.cfg.Precision, leap: s.leap}
	if s.onBase {
		r.system = now.System + (s.raw - now.Raw)
		if s.raw > now.Raw || now.Raw-s.raw > int64(maxAge) {
			return r, reasonMalformed // not our base
		}
	} else if r.raw, reason = c.line.base(s.system); reason != reasonOK {
		return r, reason
	}
	if !saneSystem(r.system) {
		return r, reasonInsane
	}
	r.reference = s.reference + int64(c.cfg.Offset)
	switch {
	case s.pulse || c.cfg.Pulse:
		n := c.numbering(&r, now)
		r.leap = n.leap
		if r.reference, reason = c.cfg.number(r.reference, r.raw, n); reason != reasonOK {
			return r, reason
		}
	case c.cfg.TAI:
		ahead, ok := c.cfg.TAIOffset(r.reference)
		if !ok {
			return r, reasonTAI
		}
		r.reference -= int64(ahead)
	}
	if !saneReference(r.reference) && !c.cfg.Local {
		return r, reasonInsane
	}
	return r, reasonOK
}

// numbering asks who knows the seconds.
func (c *Clock) numbering(r *reading, now timebase.Pair) (n numbering) {
	if c.cfg.Lock != "" {
		l := c.numberer.latest.Load()
		if l == nil || distance(l.raw, r.raw) > int64(c.cfg.MaxLockAge)*int64(c.cfg.period()) {
			return n
		}
		return numbering{ok: true, raw: l.raw, reference: l.reference, bound: l.dispersion, leap: l.leap}
	}
	if c.cfg.Local {
		return c.own(r, now)
	}
	if c.cfg.System == nil { // a pulse of SOCK that nobody expected
		return n
	}
	s := c.cfg.System()
	return numbering{
		ok: s.Synchronised && s.Leap != ntp.LeapUnknown, raw: now.Raw, reference: now.System + int64(s.Offset),
		bound: s.Bound, leap: s.Leap,
	}
}

// own is the numbering of a local clock by itself. Its first reading is where
// the system clock is, whatever that says: its phase is anything.
func (c *Clock) own(r *reading, now timebase.Pair) numbering {
	if l := c.latest.Load(); l != nil && r.raw-l.raw <= int64(c.cfg.MaxLockAge)*int64(max(c.cfg.period(), interval(c.cfg.DPoll))) {
		return numbering{ok: true, raw: l.raw, reference: l.reference}
	}
	c.gate.known = false
	return numbering{ok: true, raw: now.Raw, reference: now.System, anyPhase: true}
}

// poll makes a sample of the readings since the last poll.
func (c *Clock) poll(now int64) {
	length := int64(interval(c.cfg.Poll))
	if c.nextPoll += length; c.nextPoll <= now { // we were stopped
		c.nextPoll = now + length
	}
	sample, ok := c.filter.combine(c.cfg.Precision)
	sample.Stratum = c.cfg.Stratum
	wide := ok && c.cfg.MaxDispersion > 0 && sample.Dispersion > c.cfg.MaxDispersion
	ok = ok && !wide
	c.show(func(s *Status) {
		s.Reach <<= 1
		switch {
		case ok:
			s.Reach |= 1
			s.Samples++
			s.Last = &sample
		default:
			s.Missed++
		}
		if wide {
			s.Dropped[reasonDispersion]++
		}
	})
	switch {
	case ok && c.cfg.OnSample != nil:
		c.cfg.OnSample(sample)
	case !ok && c.cfg.OnMissed != nil:
		c.cfg.OnMissed()
	}
}

// show changes the status.
func (c *Clock) show(change func(*Status)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(&c.status)
}
