package server

import (
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"ntsbridge/bridge/ntp"
)

// Options are fixed for the life of a Server.
type Options struct {
	Workers     int // 1 to 64; 0 is one for each processor that Go may use
	Batch       int // packets per system call, 1 to 256; 0 is 32
	Interleaved int // departures remembered for interleaved mode; 0 is none
	Socket      SocketOptions
}

// Server answers NTP requests on a set of listen addresses.
type Server struct {
	opt     Options
	state   atomic.Pointer[State]
	clock   atomic.Pointer[ntp.ClockState]
	store   *timestampStore
	workers []*worker
	slow    *slowLane
	started time.Time

	mu      sync.Mutex // Listen and Close
	sockets map[netip.AddrPort][]*socket
	closed  bool
}

// New starts the workers; they have nothing to do until Listen.
func New(opt Options, state *State, clock *ntp.ClockState) (*Server, error) {
	if opt.Workers == 0 {
		opt.Workers = runtime.GOMAXPROCS(0)
	}
	if opt.Batch == 0 {
		opt.Batch = 32
	}
	if opt.Workers < 1 || opt.Workers > 64 || opt.Batch < 1 || opt.Batch > 256 {
		return nil, fmt.Errorf("workers %d must be 1 to 64 and batch %d must be 1 to 256", opt.Workers, opt.Batch)
	}
	s := &Server{opt: opt, store: newTimestampStore(opt.Interleaved), started: time.Now(),
		sockets: make(map[netip.AddrPort][]*socket)}
	s.state.Store(state)
	s.clock.Store(clock)
	s.slow = newSlowLane(s)
	for range opt.Workers {
		w, err := newWorker(s)
		if err != nil {
			for _, w := range s.workers {
				unix.Close(w.wake)
			}
			return nil, fmt.Errorf("start worker: %w", err)
		}
		s.workers = append(s.workers, w)
	}
	for _, w := range s.workers {
		go w.run()
	}
	go s.slow.run()
	return s, nil
}

// SetState replaces keys, rules and authenticators at once; requests on their
// way are finished with what they began with.
func (s *Server) SetState(state *State) { s.state.Store(state) }

// SetClock replaces the clock that is served.
func (s *Server) SetClock(clock *ntp.ClockState) { s.clock.Store(clock) }

// Listen makes addresses the set of listen addresses. Sockets that stay are
// not touched; if one cannot be opened nothing changes. Port 0 takes a free
// port. The addresses bound are returned in the same order, once those no
// longer wanted are closed.
func (s *Server) Listen(addresses []netip.AddrPort) ([]netip.AddrPort, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errors.New("server is closed")
	}
	next := make(map[netip.AddrPort][]*socket, len(addresses))
	var opened []*socket
	var bound []netip.AddrPort
	for _, a := range addresses {
		group, ok := s.sockets[a]
		if !ok {
			var err error
			if group, err = s.openGroup(a); err != nil {
				closeAll(opened)
				return nil, err
			}
			opened = append(opened, group...)
		}
		if _, twice := next[group[0].listen]; twice {
			closeAll(opened)
			return nil, fmt.Errorf("listen %v: named twice", a)
		}
		next[group[0].listen] = group
		bound = append(bound, group[0].listen)
	}
	s.sockets = next
	var given []*handover
	for i, w := range s.workers {
		h := &handover{done: make(chan struct{})}
		for _, group := range next {
			h.sockets = append(h.sockets, group[i])
		}
		w.next.Store(h)
		w.signal()
		given = append(given, h)
	}
	for _, h := range given {
		<-h.done
	}
	return bound, nil
}

// openGroup opens one socket of an address for every worker.
func (s *Server) openGroup(a netip.AddrPort) ([]*socket, error) {
	var group []*socket
	for range s.workers {
		k, err := openSocket(a, s.opt.Socket)
		if err == nil && a.Port() == 0 {
			a, err = localAddr(k.fd)
			k.listen = a
		}
		if err != nil {
			closeAll(group)
			return nil, err
		}
		group = append(group, k)
	}
	return group, nil
}

func closeAll(sockets []*socket) {
	for _, s := range sockets {
		s.close()
	}
}

// Addresses returns the listen addresses, sorted.
func (s *Server) Addresses() []netip.AddrPort {
	s.mu.Lock()
	defer s.mu.Unlock()
	var a []netip.AddrPort
	for k := range s.sockets {
		a = append(a, k)
	}
	slices.SortFunc(a, netip.AddrPort.Compare)
	return a
}

// Counters returns the sum of all workers' counters.
func (s *Server) Counters() *Counters {
	sum := new(Counters)
	for _, w := range s.workers {
		w.count.addTo(sum)
	}
	s.slow.count.addTo(sum)
	sum.Held, sum.Span = s.store.held()
	return sum
}

// Close answers what has arrived, closes all sockets and ends the workers.
func (s *Server) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	for _, w := range s.workers {
		w.stop.Store(true)
		w.signal()
	}
	for _, w := range s.workers {
		<-w.done
	}
	close(s.slow.queue)
	<-s.slow.done
	return nil
}
