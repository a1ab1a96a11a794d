package clock_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"ntsbridge/bridge/clock"
	"ntsbridge/bridge/clock/discipline"
	"ntsbridge/bridge/ntp"
)

// sharedKernel is a fake kernel for several goroutines.
type sharedKernel struct {
	mu    sync.Mutex
	k     *fakeKernel
	ticks int
	end   context.CancelFunc
}

func locked[T any](s *sharedKernel, do func() T) T {
	s.mu.Lock()
	defer s.mu.Unlock()
	return do()
}

func (s *sharedKernel) Read() (c clock.Clocks, err error) {
	return locked(s, func() clock.Clocks { c, err = s.k.Read(); return c }), err
}
func (s *sharedKernel) Reset() error { return locked(s, s.k.Reset) }
func (s *sharedKernel) SetRate(rate float64) error {
	return locked(s, func() error { return s.k.SetRate(rate) })
}
func (s *sharedKernel) Step(by int64) error { return locked(s, func() error { return s.k.Step(by) }) }
func (s *sharedKernel) SetStatus(status clock.Status) error {
	return locked(s, func() error { return s.k.SetStatus(status) })
}
func (s *sharedKernel) SetTAI(seconds int) error {
	return locked(s, func() error { return s.k.SetTAI(seconds) })
}
func (s *sharedKernel) Wait(ctx context.Context, at int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.k.advance(s.k.now + second)
	if s.ticks++; s.ticks == 300 {
		s.end()
	}
	return ctx.Err()
}

// Everything may be called while the driver runs, also from its callbacks.
func TestConcurrentUse(t *testing.T) {
	w := newWorld(t, 0)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	shared := &sharedKernel{k: w.fakeKernel, end: cancel}
	w.config.System = shared
	var d *clock.Driver
	states := 0
	w.config.OnState = func(*ntp.ClockState) { d.Tracking(); states++ }
	d, err := clock.NewDriver(w.config)
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for ctx.Err() == nil {
				id, err := d.AddSource(discipline.SourceConfig{MinPoll: 4, MaxPoll: 6}, clock.SourceInfo{})
				if err != nil {
					t.Error(err)
				}
				c, _ := shared.Read()
				d.Sample(discipline.Sample{Source: id, T1: discipline.Instant(c.Raw - 1000), T4: discipline.Instant(c.Raw),
					T2: c.System, T3: c.System, Stratum: 1})
				d.Missed(id)
				d.Asked(id, d.Poll(id), time.Second)
				d.Source(id)
				d.State()
				d.Tracking()
				d.Denied(id)
				d.RemoveSource(id)
			}
		})
	}
	if err := d.Run(ctx); err != nil {
		t.Error(err)
	}
	group.Wait()
	if states < 300 {
		t.Errorf("%d states in 300 s", states)
	}
}
