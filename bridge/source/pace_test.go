package source

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ntsbridge/bridge/needs"

	"ntsbridge/bridge/clock/schedule"
	"ntsbridge/bridge/ntp"
)

// once sends one request of a client and handles what comes until then says
// so, or the request is over.
func once(t *testing.T, w *watched, presend bool, then func(cancel func())) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	w.cfg.OnPacket = func(Judgement) { then(cancel) }
	if err := w.exchange(ctx, presend); err != nil {
		t.Fatal(err)
	}
	if ctx.Err() == context.DeadlineExceeded {
		t.Fatal("no answer")
	}
}

func atOnce(cancel func()) { cancel() }

// paced is a Pacer that says one thing.
type paced func() int8

func (p paced) Poll() int8              { return p() }
func (paced) Asked(int8, time.Duration) {}

// always wants one exponent.
func always(poll int8) Pacer { return paced(func() int8 { return poll }) }

// The exponent that packets tell is the one that is polled by, from the first
// packet on.
func TestPace(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name      string
		asks      int8
		minPoll   int8
		want      time.Duration
		wantShown int8
	}{
		{"a usual interval", 7, 6, 128 * time.Second, 7},
		{"too short", -4, 6, 64 * time.Second, 6},
		{"short by configuration", -6, -2, 250 * time.Millisecond, -2},
		{"a second", 0, 0, time.Second, 0},
		{"never", 127, 6, 1024 * time.Second, 10},
	} {
		var told polls
		server := scriptedServer(t, told.answer)
		w := newWatched(t, ClientConfig{Server: server, Pace: always(c.asks), Polling: Polling{MinPoll: c.minPoll,
			MaxPoll: 10}}, func(*watched) {})
		once(t, w, false, atOnce)
		wait := w.due.Sub(w.request.sent)
		if wait < c.want*97/100 || wait > c.want*103/100 || w.paces != 1 || w.Status().Poll != c.wantShown {
			t.Errorf("%s: %v to the next request, asked %d times, poll exponent %d", c.name, wait, w.paces, w.Status().Poll)
		}
		once(t, w, false, atOnce)
		wire := told.take()
		if first, second := max(c.minPoll, 0), max(c.wantShown, 0); len(wire) != 2 || wire[0] != first || wire[1] != second {
			t.Errorf("%s: packets told poll exponents %v", c.name, wire)
		}
	}
}

// A burst, and what follows it, changes nothing in the exponent on the wire.
func TestPollOnTheWire(t *testing.T) {
	t.Parallel()
	var told polls
	server := scriptedServer(t, told.answer)
	for _, iburst := range []bool{true, false} {
		w := newWatched(t, ClientConfig{Server: server, Pace: always(6), Polling: Polling{MinPoll: 6, MaxPoll: 10,
			IBurst: iburst}}, func(*watched) {})
		var waits []time.Duration
		for range 6 {
			once(t, w, false, atOnce)
			waits = append(waits, w.due.Sub(w.request.sent).Round(time.Second))
		}
		if wire := told.take(); !slices.Equal(wire, []int8{6, 6, 6, 6, 6, 6}) {
			t.Errorf("iburst %v: poll exponents %v", iburst, wire)
		}
		burst := waits[0] == 2*time.Second && waits[2] == 2*time.Second && waits[3] == 4*time.Second && waits[4] == 8*time.Second
		if burst != iburst || !iburst && waits[0] < 62*time.Second {
			t.Errorf("iburst %v: requests after %v", iburst, waits)
		}
	}
}

// TestHurry: a client that would wait for an hour asks again 2 s after its last
// request, and once only.
func TestHurry(t *testing.T) {
	needs.Slow(t)
	t.Parallel()
	server := scriptedServer(t, func(_ int, _ []byte, h *ntp.Header, _ netip.AddrPort) [][]byte { return good(h) })
	cfg := ClientConfig{Server: server, Polling: Polling{MinPoll: 6, MaxPoll: 6}, Pace: always(10)}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	w := newWatched(t, cfg, func(w *watched) {
		if len(w.samples) == 2 {
			cancel()
			return
		}
		w.Hurry()
		w.Hurry()
	})
	w.Hurry() // before the first request it changes nothing
	began := time.Now()
	if err := w.Run(ctx); err != context.Canceled {
		t.Fatal(err)
	}
	if c := w.Status().Counts; c.Good != 2 || c.Sent != 2 {
		t.Errorf("counts %+v, want two requests and answers", c)
	}
	if took := time.Since(began); took < schedule.Spacing {
		t.Errorf("the second request came after %v", took)
	}
}

// stepAuth has a handshake of some steps.
type stepAuth struct {
	None
	steps int
}

func (a *stepAuth) Open(Moment, []byte) Judgement {
	if a.steps > 0 {
		a.steps--
		return Judgement{Again: true}
	}
	return Judgement{Usable: true}
}

// The steps of a handshake keep their own pace, and miss nothing.
func TestPaceOfHandshakes(t *testing.T) {
	t.Parallel()
	server := scriptedServer(t, func(_ int, _ []byte, h *ntp.Header, _ netip.AddrPort) [][]byte { return good(h) })
	const steps = 4
	cfg := ClientConfig{Server: server, Auth: &stepAuth{steps: steps}, Pace: always(-6)}
	w := watch(t, cfg, withSamples(3))
	if s := w.Status(); w.paces != 2 && w.paces != 3 || w.missed > 0 || s.Sent != steps+3 || s.Good != 3 {
		t.Errorf("asked %d times, %d missed, %+v", w.paces, w.missed, s)
	}
	w = newWatched(t, ClientConfig{Server: server, Auth: &stepAuth{steps: 1}, Pace: always(10),
		Polling: Polling{MinPoll: 6, MaxPoll: 10}}, func(*watched) {})
	once(t, w, false, atOnce)
	if wait := w.due.Sub(w.request.sent); wait != schedule.DefaultBurstInterval || w.paces != 0 {
		t.Errorf("%v to the next step, asked %d times", wait, w.paces)
	}
}

// Each request that nobody answers is missed, and paced, once.
func TestMissed(t *testing.T) {
	t.Parallel()
	var answer atomic.Bool
	server := scriptedServer(t, func(n int, _ []byte, h *ntp.Header, _ netip.AddrPort) [][]byte {
		if answer.Load() {
			return good(h)
		}
		return nil
	})
	w := watch(t, ClientConfig{Server: server, Polling: short, Pace: always(-6)}, func(w *watched) bool {
		answer.Store(w.missed >= 5)
		return len(w.samples) >= 3
	})
	s := w.Status()
	if w.missed != int(s.Missed) || s.Sent != s.Good+s.Missed || w.paces > int(s.Sent) || w.paces < int(s.Sent)-1 {
		t.Errorf("%d missed, asked %d times, %+v", w.missed, w.paces, s)
	}
	if s.Reach&7 != 7 || s.Reach&8 != 0 && s.Missed == 5 {
		t.Errorf("reach %o", s.Reach)
	}
}

// Intervals vary, and without a pace are those of the schedule.
func TestIntervals(t *testing.T) {
	t.Parallel()
	server := scriptedServer(t, func(_ int, _ []byte, h *ntp.Header, _ netip.AddrPort) [][]byte { return good(h) })
	seen := make(map[time.Duration]bool)
	for range 20 {
		w := newWatched(t, ClientConfig{Server: server, Polling: Polling{MinPoll: 6, MaxPoll: 10}}, func(*watched) {})
		once(t, w, false, atOnce)
		wait := w.due.Sub(w.request.sent)
		seen[wait] = true
		if wait < 62*time.Second || wait > 66*time.Second {
			t.Errorf("interval %v", wait)
		}
	}
	if len(seen) < 10 {
		t.Errorf("%d different intervals of 20", len(seen))
	}
}

// The answer to an extra request is not used, and asks nobody for the pace.
func TestPresend(t *testing.T) {
	t.Parallel()
	server := scriptedServer(t, func(_ int, _ []byte, h *ntp.Header, _ netip.AddrPort) [][]byte { return good(h) })
	pace := int8(6)
	w := newWatched(t, ClientConfig{Server: server, Presend: 6, Pace: paced(func() int8 { return pace }),
		Polling: Polling{MinPoll: 4, MaxPoll: 10}}, func(*watched) {})
	if w.presends() {
		t.Error("an extra request before the first")
	}
	once(t, w, false, atOnce)
	if !w.presends() {
		t.Error("no extra request")
	}
	due := w.due
	once(t, w, true, atOnce)
	if len(w.samples) != 1 || w.paces != 1 || w.missed > 0 || w.due != due || w.Status().Received != 2 || w.Status().Good != 1 {
		t.Errorf("%d samples, asked %d times, %d missed, %+v", len(w.samples), w.paces, w.missed, w.Status())
	}
	pace = 5
	once(t, w, false, atOnce)
	if w.presends() {
		t.Error("an extra request at a poll exponent of 5")
	}
}

// An extra request that nobody answers is not missed; one that is refused puts
// the poll off.
func TestPresendRefused(t *testing.T) {
	t.Parallel()
	server := scriptedServer(t, func(n int, _ []byte, h *ntp.Header, _ netip.AddrPort) [][]byte {
		if n == 0 {
			return good(h)
		}
		return [][]byte{encode(kissing(h, "RATE"))}
	})
	w := newWatched(t, ClientConfig{Server: server, Presend: 1, Pace: always(3),
		Polling: Polling{MinPoll: 3, MaxPoll: 10}}, func(*watched) {})
	once(t, w, false, atOnce)
	once(t, w, true, atOnce)
	if wait := w.due.Sub(w.request.sent); len(w.kisses) != 1 || wait < 16*time.Second || w.missed > 0 {
		t.Errorf("kisses %v, %v to the next request", w.kisses, wait)
	}
}

// polls collects the poll exponents that a server is told.
type polls struct {
	mu   sync.Mutex
	told []int8
}

func (p *polls) answer(_ int, _ []byte, h *ntp.Header, _ netip.AddrPort) [][]byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.told = append(p.told, h.Poll)
	return good(h)
}

// take returns them and begins anew.
func (p *polls) take() []int8 {
	p.mu.Lock()
	defer p.mu.Unlock()
	told := p.told
	p.told = nil
	return told
}
