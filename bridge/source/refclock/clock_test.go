package refclock

import (
	"errors"
	"strings"
	"testing"
	"time"

	"ntsbridge/bridge/clock/timebase"
	"ntsbridge/bridge/ntp"
)

// world is a true time with a base and a system clock. Time runs only when it
// is told to, and a little with each reading.
type world struct {
	raw    int64
	system int64 // system clock minus true time
	rate   float64
}

// truth is the true Unix time.
func (w *world) truth() int64 { return begin + w.raw }

func (w *world) now() int64 { return w.truth() + w.system }

func (w *world) read() timebase.Pair {
	w.pass(1000)
	return timebase.Pair{Raw: w.raw, System: w.now(), Spread: 80}
}

func (w *world) pass(d int64) {
	w.raw += d
	w.system += int64(w.rate * float64(d))
}

// fakeDriver gives out what is put in.
type fakeDriver struct {
	stamps  []stamp
	openErr error
	readErr error
	opens   int
	closed  int
}

func (d *fakeDriver) open() error { d.opens++; return d.openErr }
func (d *fakeDriver) close()      { d.closed++ }
func (d *fakeDriver) read(dst []stamp) ([]stamp, error) {
	dst = append(dst, d.stamps...)
	d.stamps = nil
	return dst, d.readErr
}

func (d *fakeDriver) put(s ...stamp) { d.stamps = append(d.stamps, s...) }

// rig is a clock in a world.
type rig struct {
	*world
	*fakeDriver
	clock   *Clock
	samples []Sample
	missed  int
	errs    []error
}

func newRig(t *testing.T, w *world, cfg Config) *rig {
	t.Helper()
	r := &rig{world: w, fakeDriver: &fakeDriver{}}
	cfg.OnSample = func(s Sample) { r.samples = append(r.samples, s) }
	cfg.OnMissed = func() { r.missed++ }
	cfg.OnError = func(err error) { r.errs = append(r.errs, err) }
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	c.driver, c.base = r.fakeDriver, w.read
	r.clock = c
	return r
}

// run lets d ns pass, with a tick each 125 ms.
func (r *rig) run(d int64) {
	for end := r.raw + d; r.raw < end; {
		r.pass(int64(watch))
		r.clock.tick()
	}
}

// second lets a second pass and puts a stamp of its middle, off by the given
// ns, 0.3 s later.
func (r *rig) second(off int64) {
	r.run(sec / 2)
	s := stamp{system: r.now(), reference: r.truth() + off}
	r.run(3 * sec / 10)
	r.put(s)
	r.run(2 * sec / 10)
}

func (r *rig) dropped(t *testing.T, want map[Reason]uint64) {
	t.Helper()
	for reason, n := range r.clock.Status().Dropped {
		if n != want[Reason(reason)] {
			t.Errorf("%d dropped as %v, want %d", n, Reason(reason), want[Reason(reason)])
		}
	}
}

// exact fails unless a sample tells the true time to within ns.
func (r *rig) exact(t *testing.T, s *Sample, within int64) {
	t.Helper()
	if off := s.Reference() - (begin + s.Raw); off > within || off < -within {
		t.Errorf("sample is off by %d ns: %+v", off, s)
	}
}

func shmConfig() Config {
	c := DefaultConfig(SHM)
	c.Poll = 2
	return c
}

func TestClockSamples(t *testing.T) {
	r := newRig(t, &world{system: 5 * sec, rate: 30e-6}, shmConfig())
	r.clock.cfg.Stratum = 1
	for range 20 {
		r.second(0)
	}
	st := r.clock.Status()
	if len(r.samples) < 4 || r.missed > 0 || st.Samples != uint64(len(r.samples)) || st.Readings < 19 ||
		st.Reach != 1<<len(r.samples)-1 || !st.Open {
		t.Fatalf("%d samples, %d missed: %+v", len(r.samples), r.missed, st)
	}
	for i := range r.samples {
		s := &r.samples[i]
		r.exact(t, s, 50)
		if s.Stratum != 1 || s.Readings < 3 || s.Offset > -5*time.Second || s.Offset < -5*time.Second-time.Millisecond {
			t.Errorf("%+v", s)
		}
	}
	if *st.Last != r.samples[len(r.samples)-1] {
		t.Errorf("%+v", st.Last)
	}
	r.dropped(t, nil)
	r.run(12 * sec)
	if st := r.clock.Status(); r.missed < 2 || st.Missed != uint64(r.missed) || st.Reach&3 != 0 {
		t.Errorf("a silent clock: %d missed, %+v", r.missed, st)
	}
}

// Offset and TAI change what the clock says.
func TestClockOffset(t *testing.T) {
	cfg := shmConfig()
	cfg.Offset = 100 * time.Millisecond
	cfg.TAI, cfg.TAIOffset = true, func(unix int64) (time.Duration, bool) { return 37 * time.Second, unix < begin+50*sec+37*sec }
	r := newRig(t, &world{}, cfg)
	for range 9 {
		r.second(37*sec - 100*ms)
	}
	for i := range r.samples {
		r.exact(t, &r.samples[i], 50)
	}
	if len(r.samples) == 0 {
		t.Fatal("no sample")
	}
	r.run(60 * sec)
	r.second(37*sec - 100*ms)
	r.dropped(t, map[Reason]uint64{reasonTAI: 1})
}

// The system clock is stepped between the reading and its arrival here, and
// slewed fast: no sample is wrong.
func TestClockSteppedUnderneath(t *testing.T) {
	for _, by := range []int64{700 * ms, -700 * ms, 3600 * sec, -3600 * sec, 20 * ms} {
		r := newRig(t, &world{}, shmConfig())
		for i := range 16 {
			r.run(sec / 2)
			s := stamp{system: r.now(), reference: r.truth()}
			r.run(2 * sec / 10)
			if i == 7 {
				r.pass(50 * ms)
				r.system += by
			}
			r.run(sec / 10)
			r.put(s)
			r.run(2 * sec / 10)
		}
		if len(r.samples) < 3 {
			t.Errorf("step by %v: %d samples", time.Duration(by), len(r.samples))
		}
		for i := range r.samples {
			r.exact(t, &r.samples[i], 50)
		}
	}
	r := newRig(t, &world{}, shmConfig())
	for i := range 40 {
		if r.rate = 0; i > 10 && i < 30 {
			r.rate = 0.08
		}
		r.second(0)
	}
	for i := range r.samples {
		r.exact(t, &r.samples[i], 1000)
	}
	if len(r.samples) < 8 {
		t.Errorf("%d samples through a fast slew", len(r.samples))
	}
}

// What cannot be used is counted with its reason, and reaches no sample.
func TestClockDrops(t *testing.T) {
	r := newRig(t, &world{}, shmConfig())
	r.second(0)
	r.second(0)
	good := stamp{system: r.now(), reference: r.truth()}
	r.put(good, good)                                                              // repeated
	r.put(stamp{system: r.now() - 6*sec, reference: r.truth() - 6*sec})            // old
	r.put(stamp{system: r.now() + 10*sec, reference: r.truth() + 10*sec})          // future
	r.put(stamp{reason: reasonMalformed}, stamp{reason: reasonTorn})               // as decoded
	r.put(stamp{reason: reasonUnsynchronised, leap: ntp.LeapUnknown})              //
	r.put(stamp{system: r.now() - 700*ms, reference: r.truth() - 700*ms})          // backwards
	r.put(stamp{system: r.now() - 10*ms, reference: 0})                            // insane
	r.put(stamp{system: r.now(), reference: r.truth(), pulse: true})               // unnumbered
	r.put(stamp{onBase: true, raw: r.raw + 3600*sec, reference: r.truth() + 5*ms}) // not our base
	r.run(sec)
	r.second(90 * sec) // jumped
	r.second(0)
	r.run(4 * sec)
	r.dropped(t, map[Reason]uint64{reasonRepeated: 1, reasonOld: 1, reasonFuture: 1, reasonMalformed: 2, reasonTorn: 1,
		reasonUnsynchronised: 1, reasonBackwards: 1, reasonInsane: 1, reasonUnnumbered: 1, reasonJumped: 1})
	if len(r.samples) == 0 {
		t.Error("no sample")
	}
	for i := range r.samples {
		r.exact(t, &r.samples[i], 50)
	}
}

// A clock that was set, or a machine that slept: the readings of before and
// after are never mixed.
func TestClockJumpIsBelieved(t *testing.T) {
	cfg := shmConfig()
	cfg.Poll = 4
	r := newRig(t, &world{}, cfg)
	for range 22 { // a sample, and 6 readings of the next
		r.second(0)
	}
	for range 30 {
		r.second(-86400 * sec)
	}
	if len(r.samples) != 3 || r.samples[1].Readings > 8 {
		t.Fatalf("%+v", r.samples)
	}
	for i := range r.samples {
		off := r.samples[i].Reference() - (begin + r.samples[i].Raw)
		if off > -86400*sec+50 && off < -50 {
			t.Errorf("sample between both worlds: %+v", r.samples[i])
		}
	}
}

func TestClockMaxDispersion(t *testing.T) {
	cfg := shmConfig()
	cfg.MaxDispersion = time.Millisecond
	r := newRig(t, &world{}, cfg)
	for i := range 24 {
		r.second(int64(i%5) * 40 * ms)
	}
	if len(r.samples) != 0 || r.missed == 0 || r.clock.Status().Dropped[reasonDispersion] != uint64(r.missed) {
		t.Errorf("%d samples, %d missed", len(r.samples), r.missed)
	}
}

// A reading per DPoll is used, however many come; of SOCK all are.
func TestClockSurplus(t *testing.T) {
	for driver, want := range map[Driver]uint64{SHM: 2, SOCK: 8} {
		cfg := DefaultConfig(driver)
		cfg.DPoll = 2
		if driver == SOCK {
			cfg.Path = "/run/x.sock"
		}
		r := newRig(t, &world{}, cfg)
		for range 8 {
			r.second(0)
		}
		r.dropped(t, nil)
		if got := r.clock.Status().Readings; got < want || got > want+2 {
			t.Errorf("%v: %d readings used, want about %d", driver, got, want)
		}
	}
}

// Pulses numbered by a serial clock that is late and noisy are as good as
// pulses.
func TestClockLocked(t *testing.T) {
	w := &world{system: 1700 * ms, rate: -20e-6}
	serial := shmConfig()
	serial.RefID, serial.Offset = "NMEA", 150*time.Millisecond
	nmea := newRig(t, w, serial)
	cfg := DefaultConfig(PPS)
	cfg.Path, cfg.Lock, cfg.Poll = "/dev/pps0", "NMEA", 2
	pps := newRig(t, w, cfg)
	if err := Link(nmea.clock, pps.clock); err != nil {
		t.Fatal(err)
	}
	both := func(d int64) {
		for end := w.raw + d; w.raw < end; {
			w.pass(125 * ms)
			nmea.clock.tick()
			pps.clock.tick()
		}
	}
	both(sec)
	for i := range int64(40) {
		next := sec - modulo(w.truth(), sec) // the pulse
		w.pass(next)
		pps.put(stamp{pulse: true, system: w.now()})
		both(200 * ms)
		nmea.put(stamp{system: w.now(), reference: w.truth() - modulo(w.truth(), sec) + (i%7)*10*ms, leap: ntp.LeapInsert})
		both(300 * ms)
	}
	if len(pps.samples) < 8 {
		t.Fatalf("%d samples: %+v", len(pps.samples), pps.clock.Status())
	}
	for i := range pps.samples {
		pps.exact(t, &pps.samples[i], 100)
		if s := pps.samples[i]; s.Leap != ntp.LeapInsert || s.Dispersion > 10*time.Microsecond {
			t.Errorf("%+v", s)
		}
	}
	pps.dropped(t, map[Reason]uint64{reasonUnnumbered: 1}) // the first
	// Without the serial time the seconds are not known any more.
	n := pps.clock.Status().Readings
	for range 8 {
		w.pass(sec - modulo(w.truth(), sec))
		pps.put(stamp{pulse: true, system: w.now()})
		both(500 * ms)
	}
	if got := pps.clock.Status(); got.Readings > n+2 || got.Dropped[reasonUnnumbered] < 6 {
		t.Errorf("unlocked: %+v", got)
	}
}

// Pulses numbered by the system clock, while it is good enough.
func TestClockNumberedBySystem(t *testing.T) {
	cfg := DefaultConfig(PPS)
	cfg.Path, cfg.Poll = "/dev/pps0", 2
	known := SystemClock{}
	cfg.System = func() SystemClock { return known }
	r := newRig(t, &world{system: 300 * ms}, cfg)
	pulses := func(n int) {
		for range n {
			r.pass(sec - modulo(r.truth(), sec))
			r.put(stamp{pulse: true, system: r.now()})
			r.run(250 * ms)
		}
	}
	r.run(sec)
	pulses(3)
	r.dropped(t, map[Reason]uint64{reasonUnnumbered: 3})
	known = SystemClock{Synchronised: true, Bound: 200 * time.Millisecond}
	pulses(3)
	r.dropped(t, map[Reason]uint64{reasonUnnumbered: 3, reasonEdge: 3})
	known = SystemClock{Synchronised: true, Bound: 50 * time.Millisecond, Leap: ntp.LeapDelete}
	pulses(8)
	r.dropped(t, map[Reason]uint64{reasonUnnumbered: 3, reasonEdge: 3})
	if len(r.samples) == 0 || r.samples[0].Leap != ntp.LeapDelete {
		t.Fatalf("%+v", r.samples)
	}
	r.system = 900 * ms // wrong by nearly a second, and known to be
	known.Offset = -900 * time.Millisecond
	pulses(12)
	for i := range r.samples {
		r.exact(t, &r.samples[i], 50)
	}
	known = SystemClock{Synchronised: true, Leap: ntp.LeapUnknown}
	before := r.clock.Status().Dropped[reasonUnnumbered]
	pulses(2)
	if r.clock.Status().Dropped[reasonUnnumbered] != before+2 {
		t.Error("numbered by a clock without time")
	}
}

// A device that is not there, or goes away, is tried again, ever less often,
// and told of once.
func TestClockFailures(t *testing.T) {
	r := newRig(t, &world{}, shmConfig())
	r.openErr = errors.New("no such thing")
	r.run(100 * sec)
	if r.opens < 5 || r.opens > 9 || len(r.errs) != 1 || r.missed < 20 {
		t.Errorf("opened %d times, %d missed, %v", r.opens, r.missed, r.errs)
	}
	if st := r.clock.Status(); st.Open || st.Err == nil || !strings.Contains(st.Err.Error(), "refclock SHM 0: no such thing") {
		t.Errorf("%+v", st)
	}
	r.openErr = nil
	r.run(70 * sec)
	r.second(0)
	if st := r.clock.Status(); !st.Open || st.Err != nil || st.Readings != 1 {
		t.Errorf("%+v", st)
	}
	r.readErr = errors.New("unplugged")
	r.run(10 * sec)
	if len(r.errs) != 2 || r.closed < 2 {
		t.Errorf("closed %d times: %v", r.closed, r.errs)
	}
	r.readErr = nil
	r.run(70 * sec)
	r.second(0)
	if st := r.clock.Status(); !st.Open || st.Readings != 2 {
		t.Errorf("%+v", st)
	}
}

// A process that was stopped does not catch up on polls.
func TestClockStopped(t *testing.T) {
	r := newRig(t, &world{}, shmConfig())
	r.run(9 * sec)
	n := r.missed
	r.pass(3600 * sec)
	r.run(sec)
	if r.missed > n+1 {
		t.Errorf("%d polls at once", r.missed-n)
	}
}
