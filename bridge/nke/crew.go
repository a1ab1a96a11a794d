package nke

import (
	"sync"
	"time"
)

// idleWorkers is how many goroutines wait for the next connection. One that
// served before has the stack that a handshake needs; a new one grows it step
// by step.
const idleWorkers = 16

// crew serves connections, each in a goroutine that may serve the next one too.
type crew struct {
	wait *sync.WaitGroup
	work chan func()
	idle chan struct{} // as many as wait
	stop <-chan struct{}
}

func newCrew(wait *sync.WaitGroup, stop <-chan struct{}) *crew {
	return &crew{wait: wait, work: make(chan func()), idle: make(chan struct{}, idleWorkers), stop: stop}
}

// do has something done in the background.
func (c *crew) do(f func()) {
	select {
	case c.work <- f:
	default:
		c.wait.Go(func() { c.labour(f) })
	}
}

func (c *crew) labour(f func()) {
	for {
		f()
		select {
		case c.idle <- struct{}{}:
		default:
			return
		}
		select {
		case f = <-c.work:
			<-c.idle
		case <-c.stop:
			return
		}
	}
}

// Connections that are over are closed together: to close one is the only call
// that the scheduler takes account of, and wakes the runtime's monitor for.
const (
	closeAtOnce = 64
	closeAfter  = 100 * time.Millisecond
)

// closer closes connections that are over, a little later.
type closer struct {
	mu    sync.Mutex
	over  []*stream
	timer *time.Timer
}

// add ends a connection, which is closed soon.
func (c *closer) add(s *stream) {
	s.end()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = append(c.over, s)
	switch {
	case len(c.over) == closeAtOnce:
		c.closeAll()
	case len(c.over) > 1:
	case c.timer == nil:
		c.timer = time.AfterFunc(closeAfter, c.flush)
	default:
		c.timer.Reset(closeAfter)
	}
}

// flush closes them now.
func (c *closer) flush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closeAll()
}

func (c *closer) closeAll() {
	for _, s := range c.over {
		_ = s.Close()
	}
	clear(c.over)
	c.over = c.over[:0]
}
