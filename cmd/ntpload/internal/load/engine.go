//go:build linux

package load

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"ntsbridge/cmd/ntpload/internal/mmsg"
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

// Run loads the server with requests of the given maker and counts answers.
func Run(ctx context.Context, c Config, maker Maker) (*Result, error) {
	e := &engine{Config: c, result: &Result{Kind: maker.Name()}}
	defer e.close()
	if err := e.open(maker); err != nil {
		return nil, err
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	e.start = time.Now()
	if err := e.phase(ctx, c.Warmup); err != nil {
		return nil, err
	}
	before, err := readCPU(c.PID)
	if err != nil {
		return nil, err
	}
	*e.result = Result{Kind: maker.Name()}
	begin := time.Now()
	if err := e.phase(ctx, c.Time); err != nil {
		return nil, err
	}
	e.result.Wall = time.Since(begin)
	after, err := readCPU(c.PID)
	if err != nil {
		return nil, err
	}
	e.result.CPU = after - before
	e.result.Latency = e.result.histogram.percentiles()
	return e.result, e.result.problem()
}

// engine drives all sockets from one thread.
type engine struct {
	Config
	result  *Result
	sources []*source
	epoll   int
	start   time.Time // zero of the engine's clock
	due     float64   // requests owed, rate mode
	last    int64     // when due was brought up to date
	next    int       // source whose turn it is, rate mode
	answers uint64    // for sampling
}

// now is the engine's clock, nanoseconds.
func (e *engine) now() int64 { return int64(time.Since(e.start)) }

func (e *engine) open(maker Maker) error {
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

func (e *engine) close() {
	for _, s := range e.sources {
		_ = unix.Close(s.fd)
	}
	if e.epoll > 0 {
		_ = unix.Close(e.epoll)
	}
}

// phase sends and receives for d.
func (e *engine) phase(ctx context.Context, d time.Duration) error {
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
		if err := e.receive(); err != nil {
			return err
		}
	}
}

// pace sends what the rate owes, one request per source in turn.
func (e *engine) pace(now int64) {
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

func (e *engine) send(s *source, n int) {
	sent := s.send(e.now(), n)
	e.result.Sent += uint64(sent)
}

// receive takes the answers that are there.
func (e *engine) receive() error {
	var events [epollEvents]unix.EpollEvent
	timeout := 0
	if e.Rate == 0 {
		timeout = 1
	}
	n, err := unix.EpollWait(e.epoll, events[:], timeout)
	if err != nil && err != unix.EINTR {
		return fmt.Errorf("epoll: %w", err)
	}
	for _, event := range events[:max(n, 0)] {
		e.drain(e.sources[event.Fd])
	}
	return nil
}

func (e *engine) drain(s *source) {
	n, errno := s.in.Recv(s.fd, s.in.Len())
	if errno == unix.ECONNREFUSED {
		e.result.Refused++
		return
	}
	now := e.now()
	for i := range n {
		e.answers++
		verify := e.Sample > 0 && e.answers%uint64(e.Sample) == 0
		e.result.count(s.match(s.in.Packet(i), now, verify))
	}
}

// expire gives up requests older than the timeout.
func (e *engine) expire(now int64) {
	for _, s := range e.sources {
		e.result.Lost += uint64(s.expire(now - int64(e.Timeout)))
	}
}

// batchFor returns the batches of a source.
func batchFor(window int) (in, out *mmsg.Batch) {
	return mmsg.New(window, maxPacket, false, false), mmsg.New(window, maxPacket, false, false)
}
