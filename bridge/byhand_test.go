package bridge

import (
	"context"
	"math"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ntsbridge/bridge/needs"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/bridge/clock"
	"ntsbridge/bridge/config"
	"ntsbridge/bridge/control"
)

// ownClock is a system clock that the machine does not have: it runs beside the
// machine's, and may be set.
type ownClock struct {
	clock.System // what is not said below: the machine's, which is only read
	mu           sync.Mutex
	ahead        float64 // of the machine's base since begin, s
	rate         float64
	raw, begin   int64 // on the base, and Unix time then, ns
	base         int64
}

func newOwnClock(t *testing.T, wrong time.Duration) *ownClock {
	t.Helper()
	c := &ownClock{System: clock.ReadOnlySystem()}
	now, err := c.System.Read()
	if err != nil {
		t.Fatal(err)
	}
	c.raw, c.base, c.begin = now.Raw, now.Raw, now.System+int64(wrong)
	return c
}

// Read implements clock.System.
func (c *ownClock) Read() (clock.Clocks, error) {
	now, err := c.System.Read()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.run(now.Raw)
	now.System, now.Rate = c.begin+(now.Raw-c.base)+int64(c.ahead*1e9), c.rate
	return now, err
}

func (c *ownClock) run(raw int64) {
	c.ahead += c.rate * float64(raw-c.raw) / 1e9
	c.raw = raw
}

// SetRate implements clock.System.
func (c *ownClock) SetRate(rate float64) error {
	now, err := c.System.Read()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.run(now.Raw)
	c.rate = rate
	return err
}

// Step implements clock.System.
func (c *ownClock) Step(by int64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.begin += by
	return nil
}

func (c *ownClock) Reset() error                             { return nil }
func (c *ownClock) SetStatus(clock.Status) error             { return nil }
func (c *ownClock) SetTAI(int) error                         { return nil }
func (c *ownClock) Wait(ctx context.Context, at int64) error { return c.System.Wait(ctx, at) }

// TestClockByHand steps and sets a clock by the tool and in chronyc's protocol,
// by those who may; each is logged with who asked.
func TestClockByHand(t *testing.T) {
	needs.Slow(t)
	t.Parallel()
	_, cfg := followable(t)
	for i := range cfg.Sources {
		s := &cfg.Sources[i]
		s.Mode, s.MaxSources, s.MaxDelay, s.NTSPort = config.ModeClient, 4, 3*time.Second, max(s.NTSPort, 1)
	}
	cfg.Sources = cfg.Sources[:1]
	cfg.Clock.MaxSlewPPM, cfg.Clock.StartSlewPPM = 1, 1 // only a step is fast enough for a test
	cfg.Clock.Step.Updates, cfg.Clock.Step.AnyTime = 0, false
	for name, step := range map[string]func(*control.Client, net.Conn) error{
		"tool":    func(c *control.Client, _ net.Conn) error { return c.MakeStep() },
		"chronyc": func(_ *control.Client, local net.Conn) error { askChrony(t, local, 43); return nil },
	} {
		own := newOwnClock(t, 300*time.Millisecond)
		b, log, tool, local := byHand(t, cfg, own)
		wait(t, name+": the offset is known", func() bool {
			k := b.snapshot().Tracking()
			return k.Updates > 2 && math.Abs(k.SystemOffset-0.3) < 0.02
		})
		if err := step(tool, local); err != nil {
			t.Fatal(err)
		}
		wait(t, name+": stepped", func() bool {
			k := b.snapshot().Tracking()
			return k.Steps == 1 && math.Abs(k.SystemOffset) < 0.02 && k.Synchronised()
		})
		if _, err := tool.Do(&control.Command{Name: control.CommandSetTime, Time: time.Now()}); err == nil {
			t.Errorf("%s: the clock was set by hand while it follows sources", name)
		}
		text := log.String()
		if name == "chronyc" && !strings.Contains(text, "command=makestep") || !strings.Contains(text, "makestep") {
			t.Errorf("%s: nothing of it in the log:\n%s", name, text)
		}
		b.Close()
	}

	alone := *cfg
	alone.Sources, alone.Clock.FallbackStratum = nil, 10
	own := newOwnClock(t, 0)
	b, log, tool, local := byHand(t, &alone, own)
	defer b.Close()
	off := func() time.Duration {
		now, err := own.Read()
		if err != nil {
			t.Fatal(err)
		}
		return time.Duration(now.System - time.Now().UnixNano())
	}
	if _, err := tool.Do(&control.Command{Name: control.CommandSetTime, Time: time.Now().Add(100 * time.Second)}); err != nil {
		t.Fatal(err)
	}
	wait(t, "set", func() bool { return (off() - 100*time.Second).Abs() < time.Second })
	to := time.Now().Add(-50 * time.Second)
	if got := askChrony(t, local, 11, uint32(0), uint32(to.Unix()), uint32(to.Nanosecond())); got != 0 {
		t.Errorf("chronyc settime: status %d", got)
	}
	wait(t, "set back", func() bool { return (off() + 50*time.Second).Abs() < 2*time.Second })
	if text := log.String(); strings.Count(text, "command=settime") != 2 || !strings.Contains(text, "by=") {
		t.Errorf("the log does not tell who set the clock:\n%s", text)
	}
}

// byHand starts a daemon on a clock of its own, with those who tell it.
func byHand(t *testing.T, cfg *config.Config, own *ownClock) (*Bridge, *needs.Log, *control.Client, net.Conn) {
	t.Helper()
	next := *cfg
	next.Chronyc.Socket = filepath.Join(t.TempDir(), "c")
	log := &needs.Log{}
	b, err := Start(&next, hclog.New(&hclog.LoggerOptions{Output: log}), Options{System: own})
	if err != nil {
		t.Fatal(err)
	}
	local, err := net.DialUnix("unixgram", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "c"), Net: "unixgram"},
		&net.UnixAddr{Name: next.Chronyc.Socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { local.Close() })
	return b, log, control.NewClient(filepath.Join(next.RunDir, "control.sock")), local
}
