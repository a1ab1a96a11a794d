package refclock

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// fakeSegment is a segment whose writer acts between two loads.
type fakeSegment struct {
	image    []byte
	between  []func([]byte)
	takes    int
	readOnly bool
}

func (f *fakeSegment) load(dst []byte) {
	copy(dst, f.image)
	if len(f.between) > 0 {
		f.between[0](f.image)
		f.between = f.between[1:]
	}
}

func (f *fakeSegment) taken(valid int) {
	f.takes++
	if !f.readOnly {
		native.PutUint32(f.image[valid:], 0)
	}
}

func shmDriverFor(l *shmLayout) *shmDriver {
	return &shmDriver{layout: l, one: make([]byte, l.length), two: make([]byte, l.length)}
}

func TestTakeSegment(t *testing.T) {
	l := &shmLayouts[0]
	bump := func(p []byte) { native.PutUint32(p[4:], native.Uint32(p[4:])+1) }
	later := func(p []byte) { native.PutUint64(p[l.receiveSec:], native.Uint64(p[l.receiveSec:])+1) }
	invalid := func(p []byte) { native.PutUint32(p[l.valid:], 0) }
	none := func([]byte) {}
	for _, c := range []struct {
		name    string
		mode    uint32
		between []func([]byte)
		ok      bool
		reason  Reason
		later   int64 // s
	}{
		{"quiet", 1, nil, true, reasonOK, 0},
		{"quiet, mode 0", 0, nil, true, reasonOK, 0},
		{"written once meanwhile", 1, []func([]byte){func(p []byte) { bump(p); later(p) }}, true, reasonOK, 1},
		{"only counted", 1, []func([]byte){bump, none, bump}, true, reasonOK, 0},
		{"written without a count, mode 0", 0, []func([]byte){later}, true, reasonOK, 1},
		{"being written", 1, []func([]byte){func(p []byte) { invalid(p); bump(p) }}, false, reasonOK, 0},
		{"written all the time", 1, []func([]byte){bump, bump, bump, bump, bump, bump, bump, bump}, true, reasonTorn, 0},
		{"written all the time, mode 0", 0, []func([]byte){later, later, later, later, later, later, later, later}, true, reasonTorn, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := usual(l)
			m.mode = c.mode
			f := &fakeSegment{image: m.bytes(), between: c.between}
			d := shmDriverFor(l)
			s, ok := d.take(f)
			if ok != c.ok || s.reason != c.reason {
				t.Fatalf("%+v, %v", s, ok)
			}
			if ok && s.reason == reasonOK {
				if want := 1_800_000_000_999_999_001 + c.later*sec; s.system != want {
					t.Errorf("taken at %d, want %d", s.system, want)
				}
				if _, again := d.take(f); again || f.takes != 1 {
					t.Error("taken twice")
				}
			}
		})
	}
}

// A segment that cannot be written is read without a repetition all the same.
func TestTakeReadOnlySegment(t *testing.T) {
	l := &shmLayouts[0]
	m := usual(l)
	f := &fakeSegment{image: m.bytes(), readOnly: true}
	d := shmDriverFor(l)
	if _, ok := d.take(f); !ok {
		t.Fatal("nothing")
	}
	if s, ok := d.take(f); ok {
		t.Errorf("again: %+v", s)
	}
	m.count, m.clockSec, m.receiveSec = m.count+2, m.clockSec+1, m.receiveSec+1
	f.image = m.bytes()
	if s, ok := d.take(f); !ok || s.reason != reasonOK {
		t.Errorf("the next: %+v", s)
	}
}

func TestTrustSegment(t *testing.T) {
	for _, c := range []struct {
		perm, mode, owner, creator, self uint32
		ok                               bool
	}{
		{0o600, 0o600, 0, 0, 0, true},
		{0o600, 0o600, 0, 0, 123, true},
		{0o600, 0o644, 123, 123, 123, true},
		{0o600, 0o600, 1000, 1000, 0, false},
		{0o600, 0o600, 0, 1000, 0, false},
		{0o600, 0o666, 0, 0, 0, false},
		{0o600, 0o620, 0, 0, 0, false},
		{0o660, 0o660, 0, 0, 0, true},
		{0o660, 0o662, 0, 0, 0, false},
		{0o666, 0o666, 1000, 1000, 0, true},
		{0o666, 0o600, 0, 0, 0, true},
	} {
		if err := trustSegment(c.perm, c.mode, c.owner, c.creator, c.self); (err == nil) != c.ok {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// freeUnit returns a unit that has no segment, and removes what is there at the
// end.
func freeUnit(t *testing.T) int {
	t.Helper()
	for range 50 {
		unit := 100 + rand.IntN(150)
		if _, err := unix.SysvShmGet(shmKey+unit, 0, 0); errors.Is(err, unix.ENOENT) {
			t.Cleanup(func() { removeUnit(unit) })
			return unit
		}
	}
	t.Fatal("no free unit of shared memory")
	return 0
}

func removeUnit(unit int) {
	if id, err := unix.SysvShmGet(shmKey+unit, 0, 0); err == nil {
		_, _ = unix.SysvShmCtl(id, unix.IPC_RMID, nil)
	}
}

// writer writes a segment as gpsd does, mode 1.
type writer struct {
	attached
	l *shmLayout
}

func attachWriter(unit int) (*writer, error) {
	id, err := unix.SysvShmGet(shmKey+unit, segmentLen, unix.IPC_CREAT|0o666)
	if err != nil {
		return nil, err
	}
	a, err := attach(id)
	return &writer{a, &shmLayouts[0]}, err
}

func (w *writer) put(at int, v uint32) { atomic.StoreUint32(w.word(at), v) }

func (w *writer) putSeconds(at int, v int64) {
	half := native.AppendUint64(nil, uint64(v))
	w.put(at, native.Uint32(half))
	w.put(at+4, native.Uint32(half[4:]))
}

func (w *writer) write(clock, receive time.Time) {
	w.put(0, 1)
	w.put(w.l.valid, 0)
	w.put(4, atomic.LoadUint32(w.word(4))+1)
	w.putSeconds(w.l.clockSec, clock.Unix())
	w.put(w.l.clockUsec, uint32(clock.Nanosecond()/1000))
	w.put(w.l.clockNs, uint32(clock.Nanosecond()))
	w.putSeconds(w.l.receiveSec, receive.Unix())
	w.put(w.l.receiveUsec, uint32(receive.Nanosecond()/1000))
	w.put(w.l.receiveNs, uint32(receive.Nanosecond()))
	w.put(w.l.leap, 0)
	w.put(40, uint32(0xffffffec)) // precision -20
	w.put(4, atomic.LoadUint32(w.word(4))+1)
	w.put(w.l.valid, 1)
}

// The segment is made as ntpd makes it, with the mode of its unit.
func TestSegmentIsMade(t *testing.T) {
	for _, perm := range []uint32{0o600, 0o666} {
		unit := freeUnit(t)
		d := &shmDriver{unit: unit, perm: perm}
		if err := d.open(); err != nil {
			t.Fatal(err)
		}
		defer d.close()
		var info unix.SysvShmDesc
		if _, err := unix.SysvShmCtl(d.id, unix.IPC_STAT, &info); err != nil {
			t.Fatal(err)
		}
		if uint32(info.Perm.Mode)&0o777 != perm || info.Segsz != segmentLen || uint32(info.Perm.Key) != uint32(0x4e545030+unit) {
			t.Errorf("%+v", info)
		}
		if s, err := d.read(nil); err != nil || len(s) != 0 {
			t.Errorf("an empty segment: %+v, %v", s, err)
		}
	}
}

// A segment that others may write is refused where the mode says otherwise.
func TestSegmentOfOthers(t *testing.T) {
	unit := freeUnit(t)
	w, err := attachWriter(unit)
	if err != nil {
		t.Fatal(err)
	}
	defer w.detach()
	d := &shmDriver{unit: unit, perm: 0o600}
	if err := d.open(); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("ipcrm -M %#x", shmKey+unit)) {
		t.Errorf("%v", err)
	}
	d.close()
	d.perm = 0o666
	if err := d.open(); err != nil {
		t.Error(err)
	}
	d.close()
}

func TestSegmentOfAnotherKind(t *testing.T) {
	unit := freeUnit(t)
	if _, err := unix.SysvShmGet(shmKey+unit, 40, unix.IPC_CREAT|0o600); err != nil {
		t.Fatal(err)
	}
	d := &shmDriver{unit: unit, perm: 0o600}
	if err := d.open(); err == nil || !strings.Contains(err.Error(), "it has 40 octets") {
		t.Errorf("%v", err)
	}
}

// A segment that was removed and made anew by somebody else is found again.
func TestSegmentReplaced(t *testing.T) {
	unit := freeUnit(t)
	d := &shmDriver{unit: unit, perm: 0o666}
	if err := d.open(); err != nil {
		t.Fatal(err)
	}
	removeUnit(unit)
	var err error
	for i := 0; err == nil && i < 2*audit; i++ {
		_, err = d.read(nil)
	}
	if !errors.Is(err, errGone) {
		t.Fatalf("%v", err)
	}
	d.close()
	if err := d.open(); err != nil {
		t.Fatal(err)
	}
	defer d.close()
	w, err := attachWriter(unit)
	if err != nil {
		t.Fatal(err)
	}
	defer w.detach()
	w.write(time.Unix(1_800_000_000, 5), time.Unix(1_800_000_000, 6))
	if s, err := d.read(nil); err != nil || len(s) != 1 || s[0].reference != begin+5 || s[0].system != begin+6 {
		t.Errorf("%+v, %v", s, err)
	}
}

// Of a writer that never pauses no mixture of two samples is read.
func TestSegmentIsNotTorn(t *testing.T) {
	unit := freeUnit(t)
	d := &shmDriver{unit: unit, perm: 0o666}
	if err := d.open(); err != nil {
		t.Fatal(err)
	}
	defer d.close()
	w, err := attachWriter(unit)
	if err != nil {
		t.Fatal(err)
	}
	defer w.detach()
	var stop atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := int64(0); !stop.Load(); i++ {
			at := time.Unix(1_800_000_000+i, i%1_000_000_000)
			w.write(at, at)
			if i%1024 == 0 {
				runtime.Gosched() // where there is one processor
			}
		}
	}()
	good, torn := 0, 0
	for t.Context().Err() == nil && good < 100 { // go test's own limit ends it
		s, ok := d.take(d.memory)
		switch {
		case !ok:
			runtime.Gosched()
		case s.reason == reasonTorn:
			torn++
		case s.reason != reasonOK || s.reference != s.system || s.dispersion != 0 || (s.system/sec-1_800_000_000)%sec != s.system%sec:
			t.Fatalf("torn and not seen: %+v", s)
		default:
			good++
		}
	}
	stop.Store(true)
	<-done
	t.Logf("%d read, %d torn and dropped", good, torn)
}

// shmWriterUnit makes the test binary another process that writes a segment.
const shmWriterUnit = "REFCLOCK_SHM_WRITER"

// TestMain runs the writer if asked to.
func TestMain(m *testing.M) {
	var unit int
	if _, err := fmt.Sscan(os.Getenv(shmWriterUnit), &unit); err != nil {
		os.Exit(m.Run())
	}
	w, err := attachWriter(unit)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for range time.Tick(20 * time.Millisecond) { // until killed
		now := time.Now()
		w.write(now.Add(time.Hour), now)
	}
}

// Another process writes a segment, and a clock that runs reports its time.
func TestClockReadsSHM(t *testing.T) {
	unit := freeUnit(t)
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d", shmWriterUnit, unit))
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = cmd.Process.Kill(), cmd.Wait() }()
	cfg := DefaultConfig(SHM)
	cfg.Unit, cfg.Perm, cfg.Poll, cfg.DPoll = unit, 0o666, -2, -6
	expectHourAhead(t, cfg, nil)
}

// expectHourAhead runs a clock until it has told twice that the system clock is
// an hour late. start is called when its device is open.
func expectHourAhead(t *testing.T, cfg Config, start func()) {
	t.Helper()
	samples, errs := make(chan Sample, 100), make(chan error, 100)
	cfg.OnSample = func(s Sample) { samples <- s }
	cfg.OnError = func(err error) { errs <- err }
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Open(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	if start != nil {
		start()
	}
	for n := 0; n < 2; {
		select {
		case s := <-samples:
			n++
			if d := s.Offset - time.Hour; d < -time.Millisecond || d > time.Millisecond || s.Readings == 0 {
				t.Errorf("offset %v: %+v", s.Offset, s)
			}
		case err := <-errs:
			t.Fatal(err)
		case <-ctx.Done():
			t.Fatalf("no sample: %+v", c.Status())
		}
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if st := c.Status(); st.Open || st.Samples < 2 {
		t.Errorf("%+v", st)
	}
}
