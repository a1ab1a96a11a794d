package interop

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ntsbridge/bridge/clock/timebase"
)

// rig is a server of true time, a client of it on another host, and the right
// to set the machine's clock, which both share.
type rig struct {
	t      *testing.T
	clock  *RealClock
	server *Host
	client *Host
	truth  *TrueTime
}

// newRig makes a rig whose true time is ahead of the system clock by offset
// and faster than its oscillator by rate.
func newRig(t *testing.T, offset time.Duration, rate float64, base, jitter time.Duration) *rig {
	clock := HoldRealClock(t)
	if _, err := build(); err != nil {
		t.Fatal(err)
	}
	network := NewNetwork(t)
	r := &rig{t: t, clock: clock, server: network.Host("true"), client: network.Host("client")}
	network.Names()
	if err := clock.Level(); err != nil {
		t.Fatal(err)
	}
	r.truth = &TrueTime{anchor: timebase.Read(), offset: int64(offset), rate: rate}
	reference := &Reference{Clock: r.truth, Base: base, Jitter: jitter}
	reference.Serve(r.server)
	return r
}

// again sets the machine's clock back, so that the next client has the same
// task as the first.
func (r *rig) again(offset time.Duration) {
	r.t.Helper()
	if err := r.clock.Level(); err != nil {
		r.t.Fatal(err)
	}
	if err := r.clock.Reset(); err != nil {
		r.t.Fatal(err)
	}
	r.truth.anchor = timebase.Read()
	r.truth.offset = int64(offset)
}

func (r *rig) chronyd() *Daemon {
	chronyd := Chronyd46
	chronyd.SetsClock = true
	r.client.Write("chrony.conf",
		fmt.Sprintf("server %s iburst minpoll 4 maxpoll 4\nmakestep 1 3\nbindcmdaddress /mnt/chronyd.sock\npidfile /mnt/chronyd.pid\n",
			r.server.IPv4))
	return r.client.Start("chronyd", chronyd, "-d", "-u", "root", "-f", r.client.Path(chronyd, "chrony.conf"))
}

func (r *rig) bridge() (*Daemon, Program) {
	file, err := build()
	if err != nil {
		r.t.Fatal(err)
	}
	h := r.client
	h.Write("ntsbridge.yaml", fmt.Sprintf(`log: {level: debug}
clock: {mode: discipline}
nts: {enabled: false}
sources:
  - {server: %s, minpoll: 4, maxpoll: 4, iburst: true}
`, r.server.IPv4))
	program := Program{Path: file, SetsClock: true}
	return h.Start("ntsbridge", program, "serve", "-c", filepath.Join(h.Dir, "ntsbridge.yaml"),
		"--state-dir", filepath.Join(h.Dir, "state"), "--run-dir", filepath.Join(h.Dir, "run")), program
}

// tracking is what ntsbridge tracking --json says, as far as it is looked at.
type tracking struct {
	Leap           int     `json:"leap"`
	Stratum        int     `json:"stratum"`
	Frequency      float64 `json:"frequency_ppm"`
	RootDelay      float64 `json:"root_delay"`
	RootDispersion float64 `json:"root_dispersion"`
	SystemOffset   float64 `json:"system_offset"`
	Steps          int     `json:"steps"`
	Foreign        int     `json:"foreign_changes"`
	Held           string  `json:"held"`
	ReferenceID    string  `json:"reference_id"`
}

func (k tracking) distance() float64 { return k.RootDelay/2 + k.RootDispersion }

func bridgeTracking(h *Host, program Program) (k tracking, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), queryTimeout)
	defer cancel()
	out, err := h.Output(ctx, program, "tracking", "--json", "--run-dir", filepath.Join(h.Dir, "run"))
	if err != nil {
		return k, err
	}
	return k, json.Unmarshal([]byte(out), &k)
}

// honest asks, until the daemon has run for a time, what bound of the error it
// serves, and compares it with the error.
func (r *rig) honest(program Program, length time.Duration) {
	for end := time.Now().Add(length); time.Now().Before(end); time.Sleep(time.Second) {
		before := math.Abs(r.truth.Error())
		k, err := bridgeTracking(r.client, program)
		if err != nil || k.Leap == 3 {
			continue
		}
		if least := min(before, math.Abs(r.truth.Error())); least > k.distance() {
			r.t.Errorf("error %.1f us, and the root distance says at most %.1f us", least*1e6, k.distance()*1e6)
		}
	}
}

// traceVariable names a directory for the errors of all samples.
const traceVariable = "NTSBRIDGE_REAL_CLOCK_TRACE"

func report(t *testing.T, name string, samples []ClockSample, from float64) (deviation float64) {
	if dir := os.Getenv(traceVariable); dir != "" {
		var text strings.Builder
		for _, s := range samples {
			fmt.Fprintf(&text, "%.2f %.9f %.4f %#x\n", s.At, s.Error, s.Rate*1e6, s.Status)
		}
		if err := os.WriteFile(filepath.Join(dir, name+".txt"), []byte(text.String()), 0o644); err != nil {
			t.Error(err)
		}
	}
	mean, deviation, most := Steady(samples, from)
	t.Logf("%-10s < 1 ms: %6.1f s  < 100 us: %6.1f s  < 10 us: %6.1f s   from %.0f s on: mean %+.2f us, deviation %.2f us, largest %.2f us",
		name, Settled(samples, 1e-3, 10), Settled(samples, 1e-4, 10), Settled(samples, 1e-5, 10), from, mean*1e6, deviation*1e6, most*1e6)
	return deviation
}

// realLength is how long each client has the clock.
const realLength = 170 * time.Second

// TestRealClock lets chronyd and ntsbridge discipline the machine's clock, one
// after the other, over the same network, and prints the true error of both.
// Some of the mean is the rig's own: compare the two.
func TestRealClock(t *testing.T) {
	const offset, rate = 20 * time.Millisecond, 20e-6
	r := newRig(t, offset, rate, 100*time.Microsecond, 10*time.Microsecond)
	record := r.truth.Record(100 * time.Millisecond)
	chronyd := r.chronyd()
	time.Sleep(realLength)
	chronyd.Stop()
	theirs := record.Stop()

	r.again(offset)
	record = r.truth.Record(100 * time.Millisecond)
	daemon, program := r.bridge()
	r.honest(program, realLength)
	last, err := bridgeTracking(r.client, program)
	if err != nil {
		t.Error(err)
	}
	var kernel unix.Timex
	state, err := unix.Adjtimex(&kernel)
	if err != nil || state == unix.TIME_ERROR || kernel.Status&(unix.STA_UNSYNC|unix.STA_PLL|unix.STA_FLL) != 0 ||
		kernel.Maxerror > 100_000 {
		t.Errorf("the kernel says state %d, status %#x, maxerror %d us: %v", state, kernel.Status, kernel.Maxerror, err)
	}
	daemon.Stop()
	ours := record.Stop()

	report(t, "chronyd", theirs, 100)
	report(t, "ntsbridge", ours, 100)
	if last.Leap == 3 || last.Stratum != 2 || last.Steps != 0 || math.Abs(last.Frequency+rate*1e6) > 1 {
		t.Errorf("tracking says %+v", last)
	}
	if last.Foreign > 0 {
		t.Errorf("somebody else was at the clock %d times: the figures are worth nothing", last.Foreign)
	}
	if _, _, most := Steady(ours, 100); most > 1e-4 {
		t.Errorf("error of %.1f us after 100 s", most*1e6)
	}
	// What is left behind is the oscillator's correction, without a slew.
	if _, err := unix.Adjtimex(&kernel); err != nil || kernel.Tick != 10000 || math.Abs(float64(kernel.Freq)/65536-rate*1e6) > 1 {
		t.Errorf("left behind: frequency %.3f ppm, tick %d", float64(kernel.Freq)/65536, kernel.Tick)
	}
}

// TestRealClockStep starts with a clock that is 3 s slow: it is stepped, once,
// and nothing is served as synchronised before.
func TestRealClockStep(t *testing.T) {
	r := newRig(t, 3*time.Second, -30e-6, 100*time.Microsecond, 10*time.Microsecond)
	record := r.truth.Record(50 * time.Millisecond)
	daemon, program := r.bridge()
	Await(t, time.Minute, Condition{"synchronised", func() error {
		k, err := bridgeTracking(r.client, program)
		if err == nil && (k.Leap == 3 || k.Steps != 1) {
			err = fmt.Errorf("tracking says %+v", k)
		}
		return err
	}})
	r.honest(program, 25*time.Second)
	daemon.Stop()
	samples := record.Stop()
	report(t, "ntsbridge", samples, 15)
	if mean, _, most := Steady(samples, 15); math.IsNaN(mean) || most > 1e-3 {
		t.Errorf("error of %.1f us", most*1e6)
	}
	if !strings.Contains(daemon.Log(), "step") {
		t.Error("the log says nothing of the step")
	}
}
