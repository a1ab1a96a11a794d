package clock_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/bridge/clock"
	"ntsbridge/bridge/clock/process"
)

// apart has a world's clock set by a process, over a real socket.
type apart struct {
	w    *world
	path string
	stop func()
}

func newApart(t *testing.T, w *world) *apart {
	a := &apart{w: w, path: filepath.Join(t.TempDir(), "s")}
	a.start()
	t.Cleanup(func() { a.stop() })
	system, err := process.Open(a.path, w.fakeKernel)
	if err != nil {
		t.Fatal(err)
	}
	w.config.System = system
	return a
}

// start serves; it ends what served before.
func (a *apart) start() {
	l := a.listen()
	s := process.Server{Open: func() (clock.System, error) { return a.w.fakeKernel, nil }, User: os.Getuid(), Log: hclog.NewNullLogger()}
	ctx, cancel := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	ended.Go(func() {
		if err := s.Serve(ctx, l); err != nil {
			a.w.t.Error(err)
		}
	})
	a.stop = func() { cancel(); ended.Wait() }
}

func (a *apart) listen() *net.UnixListener {
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: a.path, Net: "unixpacket"})
	if err != nil {
		a.w.t.Fatal(err)
	}
	return l
}

// What a driver does itself it does through a process, to the octet.
func TestByProcess(t *testing.T) {
	direct, through := newWorld(t, 3), newWorld(t, 3)
	for _, w := range []*world{direct, through} {
		w.system, w.y = -30, 80e-6
		w.config.LeapTable = nil
	}
	newApart(t, through)
	direct.must(10 * time.Minute)
	through.must(10 * time.Minute)
	through.wantWithin(100e-6)
	if through.systemNow() != direct.systemNow() || len(through.steps) != 1 || through.maxError != direct.maxError || through.unsync {
		t.Errorf("through a process %d, steps %v, largest error %v; without it %d, %v, %v", through.systemNow(), through.steps,
			through.maxError, direct.systemNow(), direct.steps, direct.maxError)
	}
}

// While the process is gone, what is served is true; it says so once a minute,
// and blames nobody else. The next one is taken up.
func TestProcessGone(t *testing.T) {
	w := newWorld(t, 3)
	a := newApart(t, w)
	drift := w.y
	w.after(10*time.Minute, func() { a.stop(); w.y = drift + 30e-6 })
	w.after(70*time.Minute, func() {
		if w.wrong() < 0.05 {
			t.Errorf("wrong by %v: it was to run away", w.wrong())
		}
		a.start()
	})
	w.must(100 * time.Minute)
	w.wantLogged("does not obey", "does not answer")
	w.wantNotLogged("another program")
	if n := w.logged("does not obey"); n > 130 {
		t.Errorf("%d lines in an hour", n)
	}
	w.wantWithin(1e-3)
	if !w.driver.State().Synchronised() || w.unsync || len(w.steps) > 0 {
		t.Errorf("at the end: %+v, kernel unsynchronised %v, steps %v", w.driver.State(), w.unsync, w.steps)
	}
}

// Without the process from the first sample on nothing is served as right that
// is not, and nobody is told of a step that was not.
func TestProcessGoneAtAStep(t *testing.T) {
	w := newWorld(t, 3)
	w.system = -30
	a := newApart(t, w)
	w.after(50*time.Millisecond, func() { a.stop() })
	w.after(5*time.Minute, func() {
		if w.driver.State().Synchronised() || len(w.onSteps) > 0 {
			t.Errorf("30 s wrong: %+v, told of steps %v", w.driver.State(), w.onSteps)
		}
		a.start()
	})
	w.must(30 * time.Minute)
	w.wantWithin(1e-3)
	w.wantNotLogged("another program")
}

// A process that hangs takes less than a tick of each tick, and is an error as
// any of the kernel's.
func TestProcessHangs(t *testing.T) {
	w := newWorld(t, 1)
	a := newApart(t, w)
	var hung *net.UnixListener
	w.after(5*time.Minute, func() { a.stop(); hung = a.listen() })
	w.after(5*time.Minute+20*time.Second, func() { hung.Close(); a.start(); time.Sleep(700 * time.Millisecond) })
	w.must(10 * time.Minute)
	w.wantLogged("does not obey", "i/o timeout")
	w.wantWithin(1e-3)
	if errors.Is(w.err, process.ErrNoProcess) {
		t.Error(w.err)
	}
}
