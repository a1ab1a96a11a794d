//go:build linux

package load

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// Config is one run of the generator.
type Config struct {
	Server  netip.AddrPort
	From    netip.Prefix // source addresses, one per socket; zero: the kernel's choice
	Sockets int          // sockets, each with its own source port
	Window  int          // requests outstanding per socket
	Rate    int          // requests per second; 0: closed loop, as fast as answers come
	Warmup  time.Duration
	Time    time.Duration // counted interval after the warm-up
	Timeout time.Duration // after which a request counts as lost
	Sample  int           // every Sample-th answer's authenticator is verified; 1: all
	PID     int           // server process whose CPU time is read; 0: none
}

// Check returns what is wrong with the configuration, if anything.
func (c *Config) Check() error {
	switch {
	case c.Sockets < 1 || c.Sockets > 60000:
		return fmt.Errorf("%d sockets: 1 to 60000 are possible", c.Sockets)
	case c.Window < 1 || c.Window > 1024:
		return fmt.Errorf("a window of %d: 1 to 1024 requests are possible", c.Window)
	case c.Rate < 0 || c.Sample < 1:
		return errors.New("a rate must not be negative, a sample not below 1")
	case c.Time <= 0 || c.Warmup < 0 || c.Timeout < time.Millisecond:
		return errors.New("the counted time must be positive, the timeout at least 1 ms")
	case c.From.IsValid() && c.From.Addr().Is4() != c.Server.Addr().Is4():
		return fmt.Errorf("source prefix %v and server %v are of different families", c.From, c.Server)
	}
	return nil
}

// epollEvents is how many ready sockets one epoll_wait(2) reports.
const epollEvents = 64

// Engine is a generator ready to load one server. It belongs to one goroutine,
// which drives all sockets.
type Engine struct {
	Config
	maker   Maker
	result  *Result
	sources []*source
	epoll   int
	start   time.Time // zero of the engine's clock
	due     float64   // requests owed, rate mode
	last    int64     // when due was brought up to date
	next    int       // source whose turn it is, rate mode
	answers uint64    // of the slice, for sampling
}

// Open makes the sockets and all requests.
func Open(c Config, maker Maker) (*Engine, error) {
	e := &Engine{Config: c, maker: maker, start: time.Now()}
	if err := e.open(maker); err != nil {
		e.Close()
		return nil, err
	}
	return e, nil
}

// Slice loads the server once, for the warm-up and the counted time. What is
// counted begins and ends with nothing outstanding, so that all work for the
// counted answers, and no other, is in the server's CPU time.
func (e *Engine) Slice(ctx context.Context) (*Result, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	e.result = &Result{Kind: e.maker.Name()}
	if err := e.load(ctx, e.Warmup); err != nil {
		return nil, err
	}
	before, err := readCPU(e.PID)
	if err != nil {
		return nil, err
	}
	own, err := readCPU(os.Getpid())
	if err != nil {
		return nil, err
	}
	*e.result = Result{Kind: e.maker.Name()}
	e.answers = 0
	begin := time.Now()
	if err := e.load(ctx, e.Time); err != nil {
		return nil, err
	}
	e.result.Wall = time.Since(begin)
	after, err := readCPU(e.PID)
	if err != nil {
		return nil, err
	}
	e.result.CPU = after - before
	if after, err = readCPU(os.Getpid()); err != nil {
		return nil, err
	}
	e.result.Own = after - own
	e.result.Latency = e.result.histogram.percentiles()
	return e.result, e.result.problem()
}

// load sends for d, then waits for what is outstanding.
func (e *Engine) load(ctx context.Context, d time.Duration) error {
	if err := e.phase(ctx, d); err != nil {
		return err
	}
	for e.outstanding() > 0 && ctx.Err() == nil {
		e.expire(e.now())
		if err := e.receive(1); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (e *Engine) outstanding() (n int) {
	for _, s := range e.sources {
		n += s.outstanding
	}
	return n
}

// now is the engine's clock, nanoseconds.
func (e *Engine) now() int64 { return int64(time.Since(e.start)) }

func (e *Engine) open(maker Maker) error {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return fmt.Errorf("epoll: %w", err)
	}
	e.epoll = fd
	addr := e.From.Addr()
	for i := range e.Sockets {
		if e.From.IsValid() {
			if addr = addr.Next(); !e.From.Contains(addr) {
				addr = e.From.Addr().Next()
			}
		}
		s, err := newSource(e.Server, addr, i, e.Window, maker)
		if err != nil {
			return err
		}
		e.sources = append(e.sources, s)
		event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)}
		if err := unix.EpollCtl(e.epoll, unix.EPOLL_CTL_ADD, s.fd, &event); err != nil {
			return fmt.Errorf("epoll: %w", err)
		}
	}
	return nil
}

// Close closes the sockets.
func (e *Engine) Close() {
	for _, s := range e.sources {
		_ = unix.Close(s.fd)
	}
	if e.epoll > 0 {
		_ = unix.Close(e.epoll)
	}
}

// phase sends and receives for d.
func (e *Engine) phase(ctx context.Context, d time.Duration) error {
	end := e.now() + int64(d)
	expire := e.now() + int64(e.Timeout)/4
	e.last = e.now()
	for {
		now := e.now()
		if now >= end {
			return nil
		}
		if now >= expire {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			e.expire(now)
			expire = now + int64(e.Timeout)/4
		}
		if e.Rate > 0 {
			e.pace(now)
		} else {
			for _, s := range e.sources {
				if s.free() >= s.window/2 {
					e.send(s, s.free())
				}
			}
		}
		timeout := 1
		if e.Rate > 0 {
			timeout = 0
		}
		if err := e.receive(timeout); err != nil {
			return err
		}
	}
}

// pace sends what the rate owes, one request per source in turn.
func (e *Engine) pace(now int64) {
	e.due = min(e.due+float64(now-e.last)*float64(e.Rate)/1e9, float64(e.Sockets*e.Window))
	e.last = now
	for e.due >= 1 {
		e.due--
		s := e.sources[e.next]
		e.next = (e.next + 1) % len(e.sources)
		if s.free() == 0 {
			e.result.Skipped++
			continue
		}
		e.send(s, 1)
	}
}

func (e *Engine) send(s *source, n int) {
	sent := s.send(e.now(), n)
	e.result.Sent += uint64(sent)
}

// receive takes the answers that are there, or come within timeout
// milliseconds.
func (e *Engine) receive(timeout int) error {
	var events [epollEvents]unix.EpollEvent
	n, err := unix.EpollWait(e.epoll, events[:], timeout)
	if err != nil && err != unix.EINTR {
		return fmt.Errorf("epoll: %w", err)
	}
	for _, event := range events[:max(n, 0)] {
		e.drain(e.sources[event.Fd])
	}
	return nil
}

func (e *Engine) drain(s *source) {
	n, errno := s.in.Recv(s.fd, s.in.Len(), 0)
	if errno == unix.ECONNREFUSED {
		e.result.Refused++
		return
	}
	now := e.now()
	for i := range n {
		verify := e.answers%uint64(e.Sample) == 0 // the first one in any case
		e.answers++
		e.result.count(s.match(s.in.Packet(i), now, verify))
	}
}

// expire gives up requests older than the timeout.
func (e *Engine) expire(now int64) {
	for _, s := range e.sources {
		e.result.Lost += uint64(s.expire(now - int64(e.Timeout)))
	}
}
