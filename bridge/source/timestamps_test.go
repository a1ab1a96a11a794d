package source

import (
	"errors"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"ntsbridge/bridge/clock/timebase"
	"ntsbridge/bridge/ntp"
)

// The four timestamps are those of the exchange, and tell what the sample
// tells; the base ran from one to the other as the system clock did.
func TestSampleTimestamps(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	told := make(map[ntp.Timestamp]bool)
	server := scriptedServer(t, func(_ int, _ []byte, h *ntp.Header, _ netip.AddrPort) [][]byte {
		a := header(h, time.Second)
		a.Transmit = a.Receive.Add(10 * time.Microsecond)
		mu.Lock()
		told[a.Receive] = true
		mu.Unlock()
		return [][]byte{encode(a)}
	})
	before := timebase.Read()
	w := watch(t, ClientConfig{Server: server}, withSamples(5))
	after := timebase.Read()
	last := before.Raw
	for _, s := range w.samples {
		mu.Lock()
		ours := told[s.T2]
		mu.Unlock()
		if !ours || s.T3.Sub(s.T2).Round(time.Microsecond) != 10*time.Microsecond || s.At != s.T4 {
			t.Errorf("server's timestamps: %+v", s)
		}
		offset := s.T2.Sub(s.T1)/2 + s.T3.Sub(s.T4)/2
		delay := s.T4.Sub(s.T1) - s.T3.Sub(s.T2)
		if offset != s.Offset || max(delay, power2(-20)) != s.Delay {
			t.Errorf("offset %v and delay %v, by the timestamps %v and %v", s.Offset, s.Delay, offset, delay)
		}
		passed, ran := s.T4.Sub(s.T1), time.Duration(s.Raw4-s.Raw1)
		if passed < 0 || (passed-ran).Abs() > 50*time.Microsecond {
			t.Errorf("the system clock passed %v, the base %v", passed, ran)
		}
		if s.Raw1 < last || s.Raw4 < s.Raw1 || s.Raw4 > after.Raw {
			t.Errorf("base %d to %d, after %d and until %d", s.Raw1, s.Raw4, last, after.Raw)
		}
		last = s.Raw4
		if s.TX != StampKernel || s.RX != StampKernel || s.Interleaved || s.Broadcast {
			t.Errorf("timestamps by %v and %v", s.TX, s.RX)
		}
	}
	if c := w.Status().Counts; c.Kernel != c.Good || c.Hardware != 0 || c.Missed != 0 {
		t.Errorf("counts %+v", c)
	}
}

// Timestamps of the kernel that cannot be those of the packet are not used.
func TestImpossibleKernelTimestamps(t *testing.T) {
	t.Parallel()
	server := scriptedServer(t, func(_ int, _ []byte, h *ntp.Header, _ netip.AddrPort) [][]byte { return good(h) })
	clock := &movedClock{SystemClock: NewSystemClock(nil), by: time.Hour}
	w := watch(t, ClientConfig{Server: server, Clock: clock}, withSamples(3))
	for _, s := range w.samples {
		if s.TX != StampDaemon || s.RX != StampDaemon || s.Offset > -59*time.Minute || s.Raw4 < s.Raw1 {
			t.Errorf("sample %+v", s)
		}
	}
	if w.Status().Kernel != 0 {
		t.Errorf("%d kernel timestamps", w.Status().Kernel)
	}
}

// A sample from both sides of a step of the system clock would measure the
// step.
func TestStepDuringExchange(t *testing.T) {
	t.Parallel()
	for name, step := range map[string]time.Duration{"forward": time.Hour, "back": -time.Hour} {
		clock := &movedClock{SystemClock: NewSystemClock(nil)}
		server := scriptedServer(t, func(n int, _ []byte, h *ntp.Header, _ netip.AddrPort) [][]byte {
			if n == 1 {
				clock.move(step)
			}
			return good(h)
		})
		w := watch(t, ClientConfig{Server: server, Clock: clock}, withSamples(2))
		if len(w.errs) != 1 || !errors.Is(w.errs[0], errStep) || !strings.Contains(w.errs[0].Error(), "by") {
			t.Errorf("%s: errors %v", name, w.errs)
		}
		if c := w.Status().Counts; w.missed != 0 || c.Rejected != 1 {
			t.Errorf("%s: %d missed, counts %+v", name, w.missed, c)
		}
	}
}

func TestStepBetween(t *testing.T) {
	t.Parallel()
	const second = int64(time.Second)
	a := timebase.Pair{Raw: 100 * second, System: 5000 * second, Spread: 100}
	for _, c := range []struct {
		name   string
		passed int64
		gained time.Duration
		want   bool
	}{
		{"nothing", second, 0, false},
		{"a slew at its limit", second, 100 * time.Millisecond, false},
		{"a slew back", second, -100 * time.Millisecond, false},
		{"more than a slew", second, 101 * time.Millisecond, true},
		{"less than a slew", second, -101 * time.Millisecond, true},
		{"errors of reading", 1000, 4 * time.Microsecond, false},
		{"a small step", 1000, 20 * time.Microsecond, true},
		{"a large step", second, -30 * 365 * 24 * time.Hour, true},
		{"backwards", -second, 400 * time.Microsecond, false},
	} {
		b := timebase.Pair{Raw: a.Raw + c.passed, System: a.System + c.passed + int64(c.gained), Spread: 100}
		if got := stepBetween(a, b); (got != 0) != c.want || c.want && got != c.gained {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

// Each request leaves from a port of its own, unless the authenticator needs
// to know the addresses.
func TestPorts(t *testing.T) {
	t.Parallel()
	for _, keep := range []bool{false, true} {
		var mu sync.Mutex
		ports := make(map[uint16]int)
		server := scriptedServer(t, func(_ int, _ []byte, h *ntp.Header, from netip.AddrPort) [][]byte {
			mu.Lock()
			defer mu.Unlock()
			ports[from.Port()]++
			return good(h)
		})
		cfg := ClientConfig{Server: server}
		if keep {
			cfg.Auth = new(addressedAuth)
		}
		w := watch(t, cfg, withSamples(6))
		mu.Lock()
		if keep != (len(ports) == 1) || !keep && len(ports) < 5 {
			t.Errorf("keep %v: %d ports", keep, len(ports))
		}
		mu.Unlock()
		if a, ok := cfg.Auth.(*addressedAuth); ok && (a.remote != server.Addr() || a.local != server.Addr()) {
			t.Errorf("addresses %v, %v", a.local, a.remote)
		}
		for _, s := range w.samples {
			if s.TX != StampKernel {
				t.Errorf("keep %v: transmit timestamp by %v", keep, s.TX)
			}
		}
	}
}

// addressedAuth wants to know the addresses, as Autokey.
type addressedAuth struct {
	None
	local, remote netip.Addr
}

func (a *addressedAuth) SetAddresses(local, remote netip.Addr) error {
	a.local, a.remote = local, remote
	return nil
}

func TestInterface(t *testing.T) {
	t.Parallel()
	server := scriptedServer(t, func(_ int, _ []byte, h *ntp.Header, _ netip.AddrPort) [][]byte { return good(h) })
	w := watch(t, ClientConfig{Server: server, Interface: "lo"}, withSamples(1))
	if len(w.errs) > 0 {
		t.Error(w.errs)
	}
	w = watch(t, ClientConfig{Server: server, Interface: "nonesuch0", Polling: short}, withMissed(2))
	if len(w.samples) > 0 || len(w.errs) == 0 || !strings.Contains(w.errs[0].Error(), "nonesuch0") {
		t.Errorf("errors %v", w.errs)
	}
}
