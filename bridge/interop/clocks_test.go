package interop

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"ntsbridge/bridge/ntp"
)

const hangUp = syscall.SIGHUP

// sockSample is a datagram of gpsd for chronyd: struct sock_sample.
func sockSample(at time.Time, offset float64) []byte {
	p := make([]byte, 40)
	binary.NativeEndian.PutUint64(p, uint64(at.Unix()))
	binary.NativeEndian.PutUint64(p[8:], uint64(at.Nanosecond()/1000))
	binary.NativeEndian.PutUint64(p[16:], math.Float64bits(offset))
	binary.NativeEndian.PutUint32(p[36:], 0x534f434b)
	return p
}

// every calls f each interval until the returned function is called, or the
// test ends.
func every(t *testing.T, interval time.Duration, f func()) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ticker := time.NewTicker(interval); ; {
			select {
			case <-ctx.Done():
				ticker.Stop()
				return
			case <-ticker.C:
				f()
			}
		}
	}()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return stop
}

// sharedMemory makes a segment as gpsd does for ntpd's driver 28, for a unit
// that nobody else has, and returns what writes the machine's time to it.
func sharedMemory(t *testing.T, unit int) (write func()) {
	t.Helper()
	const key, size = 0x4e545030, 96
	id, err := unix.SysvShmGet(key+unit, size, unix.IPC_CREAT|unix.IPC_EXCL|0o600)
	if err != nil {
		t.Fatalf("shared memory of unit %d: %v", unit, err)
	}
	t.Cleanup(func() {
		if _, err := unix.SysvShmCtl(id, unix.IPC_RMID, nil); err != nil {
			t.Error(err)
		}
	})
	p, err := unix.SysvShmAttach(id, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.SysvShmDetach(p) })
	word := func(at int) *int32 { return (*int32)(unsafe.Pointer(&p[at])) }
	count := int32(0)
	return func() {
		now := time.Now()
		*word(0) = 1 // mode: count is written before and after
		count++
		*word(4) = count
		for _, at := range []int{8, 24} { // clock's and receive time
			binary.NativeEndian.PutUint64(p[at:], uint64(now.Unix()))
			*word(at + 8) = int32(now.Nanosecond() / 1000)
		}
		*word(36), *word(40) = 0, -20 // leap, precision
		*word(52), *word(56) = int32(now.Nanosecond()), int32(now.Nanosecond())
		count++
		*word(4) = count
		*word(48) = 1 // valid
	}
}

// clock is the condition that a reference clock is in a state.
func (f *follower) clock(name, state string) Condition {
	return f.line(name, "is "+state, func(s *sourceLine) bool {
		return s.Mode == "refclock" && s.State == state && (state == "unusable" || math.Abs(s.Offset) < 0.005)
	})
}

// servesAs is the condition that a client is served with stratum 1 and a
// reference clock's letters.
func (w *witness) servesAs(letters string) Condition {
	return Condition{letters + " served", func() error {
		s, _ := w.last()
		if s.Header.Leap != ntp.LeapNone || s.Header.Stratum != 1 || s.Header.ReferenceID != ntp.KissCode(letters) {
			return fmt.Errorf("%+v", s.Header)
		}
		return nil
	}}
}

// TestReferenceClocks follows what a gpsd would write to a socket and to shared
// memory. When the preferred one stops, the other one is followed.
func TestReferenceClocks(t *testing.T) {
	t.Parallel()
	n := NewNetwork(t)
	client, probe := n.Host("client"), n.Host("probe")
	n.Names()
	// The longest path of a socket is 107 octets.
	dir, err := os.MkdirTemp("", "ntsbridge")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "gps.sock")
	const unit = 213
	every(t, 200*time.Millisecond, sharedMemory(t, unit))
	stop := every(t, 200*time.Millisecond, func() {
		if c, err := net.Dial("unixgram", socket); err == nil {
			c.Write(sockSample(time.Now(), 0))
			c.Close()
		}
	})
	f := startFollower(client, followerYAML("", fmt.Sprintf(`reference_clocks:
  - {driver: sock, device: %q, refid: GPSD, poll: 1, prefer: true}
  - {driver: shm, unit: %d, refid: SHMM, poll: 1}
`, socket, unit)))
	Await(t, chaosLimit, f.clock("GPSD", "selected"), f.clock("SHMM", "not combined"))
	w := f.watch(probe)
	Await(t, chaosLimit, w.servesAs("GPSD"))
	stop()
	Await(t, chaosLimit, f.clock("GPSD", "unusable"), f.clock("SHMM", "selected"), w.servesAs("SHMM"))
	w.end(f)
}

// TestReferenceClockStops lets the only reference clock stop: the bound of what
// is served grows, and then it is the alarm.
func TestReferenceClockStops(t *testing.T) {
	t.Parallel()
	n := NewNetwork(t)
	client, probe := n.Host("client"), n.Host("probe")
	n.Names()
	const unit = 214
	stop := every(t, 200*time.Millisecond, sharedMemory(t, unit))
	f := startFollower(client, followerYAML("drift_ppm: 500, max_distance: 10ms",
		fmt.Sprintf("reference_clocks: [{driver: shm, unit: %d, refid: SHMS, poll: 1}]\n", unit)))
	const name = "SHMS"
	Await(t, chaosLimit, f.line(name, "", (*sourceLine).good))
	w := f.watch(probe)
	Await(t, chaosLimit, w.servesAs(name))
	stop()
	Await(t, chaosLimit, f.clock(name, "unusable"), w.serves(ntp.LeapUnknown, 0))
	w.end(f)
}

// TestOrphans lets servers without any source ask each other: they stay
// together on one of them.
func TestOrphans(t *testing.T) {
	t.Parallel()
	n := NewNetwork(t)
	hosts := []*Host{n.Host("first"), n.Host("second"), n.Host("third")}
	probe, late := n.Host("probe"), n.Host("late")
	n.Names()
	var all []*follower
	var views []*witness
	for i, h := range hosts {
		var names []string
		for j, o := range hosts {
			if i != j {
				names = append(names, o.IPv4.String())
			}
		}
		f := startFollower(h, followerYAML("fallback_stratum: 10, orphan: true", sourcesOf(append(names, late.IPv4.String()))))
		all, views = append(all, f), append(views, f.watch(probe))
	}
	Await(t, chaosLimit, views[0].serves(ntp.LeapNone, 10), views[1].serves(ntp.LeapNone, 11), views[2].serves(ntp.LeapNone, 11))
	for i, w := range views[1:] {
		if s, _ := w.last(); s.Header.ReferenceID != binary.BigEndian.Uint32(hosts[0].IPv4.AsSlice()) {
			t.Errorf("%s follows %#x", hosts[i+1].Name, s.Header.ReferenceID)
		}
	}
	// One with real time ends that.
	chronyServer(late, Chronyd46)
	Await(t, chaosLimit, views[0].serves(ntp.LeapNone, 4), views[1].serves(ntp.LeapNone, 4), views[2].serves(ntp.LeapNone, 4))
	for i, w := range views {
		w.end(all[i])
	}
}

// TestObserveServed serves, in mode observe, what a real chronyd beside it
// tells of the clock. The kernel's word goes before: on a machine whose kernel
// calls the clock unsynchronised, or to be wrong by more than clock.max_error,
// it is the alarm. chronyd -x leaves the kernel alone.
func TestObserveServed(t *testing.T) {
	t.Parallel()
	observeServed(t)
}

// TestLongObserveServed ends that chronyd: what it told is believed for a
// minute.
func TestLongObserveServed(t *testing.T) {
	requireLong(t)
	chronyd, f, serves := observeServed(t)
	chronyd.Stop()
	Await(t, longLimit, f.logged("no program tells of the clock any more"), serves(9, ntp.KissCode("LOCL")))
}

// observeServed starts a chronyd and an ntsbridge beside it.
func observeServed(t *testing.T) (chronyd *Daemon, f *follower, serves func(stratum uint8, id uint32) Condition) {
	t.Helper()
	n := NewNetwork(t)
	h, probe := n.Host("observer"), n.Host("probe")
	n.Names()
	if err := os.MkdirAll(filepath.Join(h.Dir, "run"), 0o700); err != nil {
		t.Fatal(err)
	}
	h.Write("chrony.conf",
		"local stratum 5\nport 0\ncmdport 323\nbindcmdaddress 127.0.0.1\nbindcmdaddress /mnt/run/chronyd.sock\npidfile /mnt/run/chronyd.pid\n")
	chronyd = h.Start("chronyd", Chronyd46, "-d", "-x", "-u", "root", "-f", "/mnt/chrony.conf")
	f = startFollower(h, "log: {level: debug}\nclock: {mode: observe, ask: chronyd, stratum: 9}\nnts: {enabled: false}\n")
	serves = func(stratum uint8, id uint32) Condition {
		return Condition{fmt.Sprintf("stratum %d", stratum), func() error {
			s, err := askTime(probe, h.IPv4)
			if err != nil {
				return err
			}
			var k unix.Timex
			state, err := unix.Adjtimex(&k)
			if err != nil {
				return permanent{err}
			}
			if state == unix.TIME_ERROR || k.Status&unix.STA_UNSYNC != 0 || k.Maxerror > 1e6 {
				if s.Header.Leap != ntp.LeapUnknown || s.Header.Stratum != 0 {
					return fmt.Errorf("the kernel calls the clock unsynchronised, and served is %+v", s.Header)
				}
				return nil
			}
			if s.Header.Stratum != stratum || s.Header.ReferenceID != id {
				return fmt.Errorf("%+v", s.Header)
			}
			return nil
		}}
	}
	Await(t, chaosLimit, f.logged("its program tells", "chronyd", "stratum=5"), serves(5, localReference))
	return chronyd, f, serves
}

// run runs a command of ntsbridge on the follower's host; the error has what
// it complained about.
func (f *follower) run(command string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return f.Host.Output(ctx, f.program, append([]string{command, "--run-dir", filepath.Join(f.Host.Dir, "run")}, args...)...)
}

// TestWaitSync waits for a daemon that is not yet synchronised, in vain and
// with success. makestep is refused where the clock is not to be set.
func TestWaitSync(t *testing.T) {
	t.Parallel()
	c := newChaos(t, 1, "client")
	c.relays[0].Set(Mischief{Silent: true})
	f := startFollower(c.clients[0], followerYAML("", sourcesOf(c.names)))
	Await(t, chaosLimit, f.logged("serving"))
	if out, err := f.run("waitsync", "3", "0", "0", "0.1"); err == nil || !strings.Contains(err.Error(), "exit status 1") ||
		!strings.Contains(err.Error(), "not synchronised after 3 tries") || !strings.Contains(out, "try: 3") {
		t.Errorf("%v: %s", err, out)
	}
	if out, err := f.run("makestep"); err == nil || !strings.Contains(err.Error(), "exit status 1") ||
		!strings.Contains(err.Error(), "--no-clock") {
		t.Errorf("makestep: %v: %s", err, out)
	}
	c.relays[0].Set(Mischief{})
	if out, err := f.run("waitsync", "200", "0.5", "0", "0.2"); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	Await(t, chaosLimit, f.right())
}

// TestRefusesTheClock starts the daemon where it may not have the clock.
func TestRefusesTheClock(t *testing.T) {
	t.Parallel()
	n := NewNetwork(t)
	powerless, shared := n.Host("powerless"), n.Host("shared")
	n.Names()
	file, err := build()
	if err != nil {
		t.Fatal(err)
	}
	serve := func(h *Host) string {
		h.Write("ntsbridge.yaml", followerYAML("", sourcesOf([]string{"10.123.0.250"})))
		ctx, cancel := context.WithTimeout(context.Background(), queryTimeout)
		defer cancel()
		_, err := h.Output(ctx, Program{Path: file}, "serve", "-c", filepath.Join(h.Dir, "ntsbridge.yaml"),
			"--state-dir", filepath.Join(h.Dir, "state"), "--run-dir", filepath.Join(h.Dir, "run"))
		if err == nil || !strings.Contains(err.Error(), "exit status 1") {
			t.Errorf("%s: serve ended with %v", h.Name, err)
			return ""
		}
		return err.Error()
	}
	words := []string{"may not set the system clock", "CAP_SYS_TIME", "clock.mode: observe"}
	if kernelSteered(t) {
		words = words[2:] // by somebody outside, which is seen first
	}
	said := serve(powerless)
	for _, w := range words {
		if !strings.Contains(said, w) {
			t.Errorf("it says %q, want %q in it", said, w)
		}
	}
	// A process that is called as a daemon and may set the clock; it sleeps.
	sleeper := filepath.Join(shared.Dir, "chronyd")
	copyProgram(t, "/bin/sleep", sleeper)
	shared.Start("sleeper", Program{Path: sleeper, SetsClock: true}, "1000")
	Await(t, chaosLimit, Condition{"refused beside chronyd", func() error {
		if said := serve(shared); !strings.Contains(said, "chronyd (process ") || !strings.Contains(said, "clock.mode: observe") {
			return fmt.Errorf("it says %q", said)
		}
		return nil
	}})
}

// kernelSteered tells whether the kernel's own loop steers this machine's clock.
func kernelSteered(t *testing.T) bool {
	t.Helper()
	var k unix.Timex
	state, err := unix.Adjtimex(&k)
	if err != nil {
		t.Fatal(err)
	}
	return k.Status&(unix.STA_PLL|unix.STA_FLL) != 0 && k.Status&unix.STA_UNSYNC == 0 && state != unix.TIME_ERROR
}

func copyProgram(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o700)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}
