package source

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"ntsbridge/bridge/clock/timebase"
	"ntsbridge/bridge/ntp"
)

// scriptedServer answers each request with any number of packets.
func scriptedServer(t *testing.T, answer func(n int, q []byte, h *ntp.Header, from netip.AddrPort) [][]byte) netip.AddrPort {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	var done sync.WaitGroup
	done.Go(func() {
		buf := make([]byte, maxPacket)
		for n := 0; ; n++ {
			size, from, err := c.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			var h ntp.Header
			h.Decode(buf)
			for _, p := range answer(n, buf[:size], &h, from) {
				c.WriteToUDPAddrPort(p, from)
			}
		}
	})
	t.Cleanup(func() { c.Close(); done.Wait() })
	return c.LocalAddr().(*net.UDPAddr).AddrPort()
}

// watched is a client and all that it told.
type watched struct {
	*Client
	samples []Sample
	errs    []error
	kisses  []KissError
	missed  int
	paces   int
	end     error // of Run
}

// fast polls every second, or as soon as there is an answer: see hurry. short
// waits for answers that will not come, which a negative MinPoll allows.
var (
	fast  = Polling{MinPoll: 0, MaxPoll: 1, BurstInterval: time.Second}
	short = Polling{MinPoll: -4, MaxPoll: -4, BurstInterval: 60 * time.Millisecond}
)

// hurry makes the next request of a client go out soon after an answer.
func hurry(c *Client) {
	then := c.cfg.OnPacket
	c.cfg.OnPacket = func(j Judgement) {
		if !c.request.open {
			c.due = time.Now().Add(5 * time.Millisecond)
		}
		if then != nil {
			then(j)
		}
	}
}

// watch runs a client until enough says so.
func watch(t *testing.T, cfg ClientConfig, enough func(*watched) bool) *watched {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	w := newWatched(t, cfg, func(w *watched) {
		if enough(w) {
			cancel()
		}
	})
	hurry(w.Client)
	w.end = w.Run(ctx)
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		t.Fatalf("not enough: %d samples, %d missed, %d errors, the first are %v", len(w.samples), w.missed, len(w.errs),
			w.errs[:min(5, len(w.errs))])
	}
	return w
}

// newWatched makes a client that tells each event to then.
func newWatched(t *testing.T, cfg ClientConfig, then func(*watched)) *watched {
	t.Helper()
	w := new(watched)
	if cfg.Clock == nil {
		cfg.Clock = NewSystemClock(nil)
	}
	if cfg.MinPoll == 0 && cfg.MaxPoll == 0 {
		cfg.Polling = fast
	}
	cfg.OnSample = func(s Sample) { w.samples = append(w.samples, s); then(w) }
	cfg.OnError = func(err error) { w.errs = append(w.errs, err); then(w) }
	cfg.OnMissed = func() { w.missed++; then(w) }
	cfg.OnKiss = func(k *KissError) { w.kisses = append(w.kisses, *k); then(w) }
	if pace := cfg.Pace; pace != nil {
		cfg.Pace = paced(func() int8 { w.paces++; return pace.Poll() })
	}
	c, err := NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	w.Client = c
	return w
}

// withSamples is enough when there are n samples.
func withSamples(n int) func(*watched) bool {
	return func(w *watched) bool { return len(w.samples) >= n }
}

func withMissed(n int) func(*watched) bool { return func(w *watched) bool { return w.missed >= n } }

func withErrors(n int) func(*watched) bool { return func(w *watched) bool { return len(w.errs) >= n } }

// movedClock is the system's clock, set by some time.
type movedClock struct {
	*SystemClock
	mu sync.Mutex
	by time.Duration
}

func (c *movedClock) move(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.by += by
}

func (c *movedClock) Pair() timebase.Pair {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := timebase.Read()
	p.System += int64(c.by)
	return p
}

// good answers with good time.
func good(h *ntp.Header) [][]byte { return [][]byte{encode(header(h, 0))} }
