package refclock

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ntsbridge/bridge/clock/timebase"

	"golang.org/x/sys/unix"
)

// fakePPS is a PPS device.
type fakePPS struct {
	can    int32
	mode   int32
	setErr error
	info   unix.PPSKInfo
	err    error
	closed bool
}

func (f *fakePPS) capabilities() (int32, error) { return f.can, nil }
func (f *fakePPS) params() (unix.PPSKParams, error) {
	return unix.PPSKParams{Api_version: 1, Mode: f.mode}, nil
}
func (f *fakePPS) setParams(p *unix.PPSKParams) error {
	if f.setErr == nil {
		f.mode = p.Mode
	}
	return f.setErr
}
func (f *fakePPS) fetch() (unix.PPSKInfo, error) { return f.info, f.err }
func (f *fakePPS) close()                        { f.closed = true }

func ppsOn(f *fakePPS, clear bool) *ppsDriver {
	return &ppsDriver{clear: clear, access: func() (ppsDevice, error) { return f, nil }}
}

func TestPPSOpen(t *testing.T) {
	for _, c := range []struct {
		name   string
		device fakePPS
		clear  bool
		want   string
		mode   int32
	}{
		{"captures already", fakePPS{can: 0x1003, mode: 1, setErr: unix.EPERM}, false, "", 1},
		{"is made to", fakePPS{can: 0x1001}, false, "", 0x1001},
		{"the other edge stays", fakePPS{can: 0x1003, mode: 1}, true, "", 0x1003},
		{"cannot", fakePPS{can: 0x1001, mode: 1}, true, "does not stamp the clear edge; use the other one", 1},
		{"may not", fakePPS{can: 0x1003, setErr: unix.EPERM}, false, "CAP_SYS_TIME", 0},
		{"broken", fakePPS{can: 0x1003, mode: 1, err: unix.EIO}, false, "input/output error", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := ppsOn(&c.device, c.clear)
			err := d.open()
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v, want %q", err, c.want)
			}
			if c.device.mode != c.mode || c.device.closed != (err != nil) {
				t.Errorf("%+v", c.device)
			}
		})
	}
}

func TestPPSRead(t *testing.T) {
	at := unix.PPSKTime{Sec: 1_800_000_000, Nsec: 42}
	f := &fakePPS{can: 3, mode: 3, info: unix.PPSKInfo{Assert_sequence: 9, Assert_tu: at}}
	d := ppsOn(f, false)
	if err := d.open(); err != nil {
		t.Fatal(err)
	}
	expect := func(want ...stamp) {
		t.Helper()
		got, err := d.read(nil)
		if err != nil || len(got) != len(want) || len(want) == 1 && got[0] != want[0] {
			t.Errorf("%+v, %v; want %+v", got, err, want)
		}
	}
	expect() // of before
	f.info.Assert_sequence++
	expect(stamp{pulse: true, system: begin + 42})
	expect()
	f.info.Clear_sequence++ // the other edge
	expect()
	f.info.Assert_sequence, f.info.Assert_tu.Nsec = 0, 1_000_000_000 // wrapped, and nonsense
	expect(stamp{reason: reasonMalformed})
	for _, nothing := range []error{unix.ETIMEDOUT, unix.EINTR, unix.EAGAIN} {
		f.err = nothing
		expect()
	}
	f.err = unix.ENODEV
	if _, err := d.read(nil); !errors.Is(err, unix.ENODEV) {
		t.Errorf("%v", err)
	}
	d.close()
	d.close()
	f = &fakePPS{can: 3, mode: 3, info: unix.PPSKInfo{Clear_tu: at}}
	d = ppsOn(f, true)
	if err := d.open(); err != nil {
		t.Fatal(err)
	}
	f.info.Assert_sequence++
	expect()
	f.info.Clear_sequence++
	expect(stamp{pulse: true, system: begin + 42})
}

// fakePHC is a hardware clock 37 s ahead, read as the kernel reads it.
type fakePHC struct {
	preciseErr, rawErr, extendedErr, plainErr error
	read                                      func() timebase.Pair
	calls                                     []string
	closed                                    bool
}

func timeOf(ns int64) unix.PtpClockTime {
	return unix.PtpClockTime{Sec: ns / sec, Nsec: uint32(ns % sec)}
}

func (f *fakePHC) precise(v *unix.PtpSysOffsetPrecise) error {
	f.calls = append(f.calls, "precise")
	p := f.read()
	v.Device, v.Realtime, v.Monoraw = timeOf(p.System+37*sec), timeOf(p.System), timeOf(p.Raw)
	return f.preciseErr
}

func (f *fakePHC) extended(v *unix.PtpSysOffsetExtended) error {
	pick, err, name := func(p timebase.Pair) int64 { return p.System }, f.extendedErr, "extended"
	if v.Clockid == unix.CLOCK_MONOTONIC_RAW {
		pick, err, name = func(p timebase.Pair) int64 { return p.Raw }, f.rawErr, "raw"
	}
	f.calls = append(f.calls, name)
	for i := range v.Samples {
		p := f.read()
		slow := int64(1+(i*7+3)%11) * 100 // one way; the other way is fast
		v.Ts[i] = [3]unix.PtpClockTime{timeOf(pick(p) - slow), timeOf(p.System + 37*sec), timeOf(pick(p) + 100)}
	}
	return err
}

func (f *fakePHC) plain(v *unix.PtpSysOffset) error {
	f.calls = append(f.calls, "plain")
	p := f.read()
	for i := range int64(v.Samples) {
		v.Ts[2*i] = timeOf(p.System + i*2000)
		v.Ts[2*i+1] = timeOf(p.System + i*2000 + 1000 + 37*sec)
	}
	v.Ts[2*v.Samples] = timeOf(p.System + int64(v.Samples)*2000)
	return f.plainErr
}

func (f *fakePHC) close() { f.closed = true }

// The best method that the device has is found, and taken from then on.
func TestPHCMethods(t *testing.T) {
	no := error(unix.EOPNOTSUPP)
	for _, c := range []struct {
		name   string
		cross  bool
		device fakePHC
		calls  string
		within time.Duration
		onBase bool
	}{
		{"precise", true, fakePHC{}, "precise precise", 0, true},
		{"cross timestamps not wanted", false, fakePHC{}, "raw raw", 100, true},
		{"extended on the base", true, fakePHC{preciseErr: no}, "precise raw raw", 100, true},
		{"extended of old kernels", true, fakePHC{preciseErr: no, rawErr: unix.EINVAL}, "precise raw extended extended", 100, false},
		{"plain", true, fakePHC{preciseErr: unix.ENOTTY, rawErr: unix.ENOTTY, extendedErr: no}, "precise raw extended plain plain", 1000,
			false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := &world{system: 4 * sec}
			c.device.read = w.read
			d := &phcDriver{cross: c.cross, access: func() (phcDevice, error) { return &c.device, nil }}
			if err := d.open(); err != nil {
				t.Fatal(err)
			}
			s, err := d.read(nil)
			if err != nil || len(s) != 1 || strings.Join(c.device.calls, " ") != c.calls {
				t.Fatalf("%+v, %v, %v", s, err, c.device.calls)
			}
			local := s[0].system
			if s[0].onBase {
				local = s[0].raw + begin + 4*sec
			}
			if off := time.Duration(distance(s[0].reference-37*sec, local)); s[0].dispersion != c.within || off > c.within ||
				s[0].onBase != c.onBase {
				t.Errorf("off by %v: %+v", off, s[0])
			}
		})
	}
}

func TestPHCErrors(t *testing.T) {
	w := &world{}
	all := &fakePHC{preciseErr: unix.ENOTTY, rawErr: unix.ENOTTY, extendedErr: unix.ENOTTY, plainErr: unix.ENOTTY, read: w.read}
	d := &phcDriver{cross: true, access: func() (phcDevice, error) { return all, nil }}
	if err := d.open(); err == nil || !strings.Contains(err.Error(), "not a PTP hardware clock") || !all.closed {
		t.Errorf("%v", err)
	}
	busy := &fakePHC{preciseErr: unix.ETIMEDOUT, read: w.read}
	d = &phcDriver{cross: true, access: func() (phcDevice, error) { return busy, nil }}
	if err := d.open(); err != nil {
		t.Fatal(err)
	}
	if s, err := d.read(nil); err != nil || len(s) != 0 {
		t.Errorf("%+v, %v", s, err)
	}
	busy.preciseErr = unix.ENODEV
	if _, err := d.read(nil); !errors.Is(err, unix.ENODEV) {
		t.Errorf("%v", err)
	}
}

func TestDecodePHC(t *testing.T) {
	good := timeOf(begin)
	for _, c := range []struct {
		before, clock, after unix.PtpClockTime
		want                 Reason
	}{
		{good, good, good, reasonOK},
		{timeOf(begin + 1), good, good, reasonMalformed},
		{unix.PtpClockTime{Sec: 1, Nsec: 1_000_000_000}, good, good, reasonMalformed},
		{good, unix.PtpClockTime{Sec: -5}, good, reasonInsane},
		{good, unix.PtpClockTime{Sec: 1 << 60}, good, reasonInsane},
	} {
		if got := decodePHC(c.before, c.clock, c.after, false); got.reason != c.want {
			t.Errorf("%+v: %v", c, got.reason)
		}
	}
}

// A hardware clock in TAI becomes exact samples, whatever its method.
func TestClockReadsPHC(t *testing.T) {
	no := error(unix.EOPNOTSUPP)
	for name, device := range map[string]*fakePHC{"precise": {}, "raw": {preciseErr: no},
		"extended": {preciseErr: no, rawErr: unix.EINVAL}} {
		w := &world{system: 0, rate: 0}
		device.read = w.read
		cfg := DefaultConfig(PHC)
		cfg.Path, cfg.Poll, cfg.DPoll = "/dev/ptp0", 0, -3
		cfg.TAI, cfg.TAIOffset = true, func(int64) (time.Duration, bool) { return 37 * time.Second, true }
		r := newRig(t, w, cfg)
		d := &phcDriver{cross: true, access: func() (phcDevice, error) { return device, nil }}
		r.clock.driver = d
		r.run(5 * sec)
		if len(r.samples) < 4 {
			t.Fatalf("%s: %d samples, %+v", name, len(r.samples), r.clock.Status())
		}
		for i := range r.samples {
			r.exact(t, &r.samples[i], 100)
			if s := r.samples[i]; s.Readings < 6 || s.Dispersion > time.Microsecond {
				t.Errorf("%s: %+v", name, s)
			}
		}
	}
}

// Files that are no such devices are refused in words.
func TestOpenOtherFiles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		driver     Driver
		path, want string
	}{
		{PPS, file, "not a PPS device"},
		{PPS, "/dev/null", "not a PPS device"},
		{PPS, "/dev/pps-none", "/dev/pps-none: no such file"},
		{PHC, file, "not a PTP hardware clock"},
		{PHC, "/dev/null", "not a PTP hardware clock"},
		{PHC, "/dev/ptp-none", "/dev/ptp-none: no such file"},
		{PHC, "nosuchif0", "network interface nosuchif0: "},
		{PHC, "lo", "network interface lo: "},
	} {
		cfg := DefaultConfig(c.driver)
		cfg.Path, cfg.System = c.path, system
		clock, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := clock.Open(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v %s: %v, want %q", c.driver, c.path, err, c.want)
		}
		clock.Close()
	}
}

// devices returns those of this machine.
func devices(t *testing.T, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		t.Skipf("NOT TESTED on a device: this machine has no %s", pattern)
	}
	return found
}

// The hardware clocks of this machine are read, and say two times in order.
func TestRealPHC(t *testing.T) {
	for _, path := range devices(t, "/dev/ptp[0-9]*") {
		d := &phcDriver{cross: true, access: func() (phcDevice, error) { return openPHC(path) }}
		if err := d.open(); errors.Is(err, os.ErrPermission) {
			t.Skipf("NOT TESTED: %v", err)
		} else if err != nil {
			t.Fatal(err)
		}
		defer d.close()
		a, err := d.compare()
		if err != nil {
			t.Fatal(err)
		}
		b, err := d.compare()
		if err != nil || a.reason != reasonOK || b.reason != reasonOK || b.reference <= a.reference {
			t.Errorf("%s: %+v, then %+v, %v", path, a, b, err)
		}
		t.Logf("%s: method %d, dispersion %v", path, d.method, b.dispersion)
	}
}

// The PPS devices of this machine are asked what they can, and not changed.
func TestRealPPS(t *testing.T) {
	for _, path := range devices(t, "/dev/pps[0-9]*") {
		device, err := openPPS(path)
		if errors.Is(err, os.ErrPermission) {
			t.Skipf("NOT TESTED: %v", err)
		} else if err != nil {
			t.Fatal(err)
		}
		defer device.close()
		can, err := device.capabilities()
		if err != nil || can&(ppsCaptureAssert|ppsCaptureClear) == 0 {
			t.Errorf("%s: capabilities %#x, %v", path, can, err)
		}
		if _, err := device.params(); err != nil {
			t.Error(err)
		}
		info, err := device.fetch()
		if err != nil {
			t.Error(err)
		}
		t.Logf("%s: capabilities %#x, %d pulses", path, can, info.Assert_sequence)
	}
}

// fakeExternal stamps pulses by a clock of its own.
type fakeExternal struct {
	fakePHC
	asked  [3]int
	events []unix.PtpExttsEvent
}

func (f *fakeExternal) capture(channel, pin int, clear bool) error {
	f.asked = [3]int{channel, pin, 0}
	if clear {
		f.asked[2] = 1
	}
	return nil
}

func (f *fakeExternal) pulses() ([]unix.PtpExttsEvent, error) {
	e := f.events
	if f.events = nil; e == nil {
		return nil, unix.EAGAIN
	}
	return e, nil
}

// Pulses that a hardware clock stamped are brought to our clock, whatever time
// the hardware clock keeps.
func TestExternalPulses(t *testing.T) {
	w := &world{}
	f := &fakeExternal{fakePHC: fakePHC{read: w.read}}
	d := &externalDriver{phc: phcDriver{cross: true}, channel: 2, pin: 1, access: func() (externalDevice, error) { return f, nil }}
	f.events = []unix.PtpExttsEvent{{Index: 2}} // of before
	if err := d.open(); err != nil || f.asked != [3]int{2, 1, 0} {
		t.Fatal(err, f.asked)
	}
	if s, err := d.read(nil); len(s) != 0 || err != nil {
		t.Errorf("nothing came: %+v %v", s, err)
	}
	p := w.read()
	f.events = []unix.PtpExttsEvent{
		{T: timeOf(p.System + 37*sec - 250e6), Index: 2},
		{T: timeOf(p.System), Index: 0}, // another channel
		{T: unix.PtpClockTime{Nsec: 1 << 31}, Index: 2},
	}
	s, err := d.read(nil)
	if err != nil || len(s) != 2 || !s[0].pulse || s[0].reference != 0 || s[1].reason != reasonMalformed {
		t.Fatalf("%+v %v", s, err)
	}
	if !s[0].onBase || distance(s[0].raw, p.Raw-250e6) > 1e6 {
		t.Errorf("pulse at %d, want %d", s[0].raw, p.Raw-250e6)
	}
	if _, err := New(Config{Driver: PPS, Path: "/dev/pps0", External: true}); err == nil {
		t.Error("pulses of a device without a clock")
	}
}
