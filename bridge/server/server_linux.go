package server

import (
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"ntsbridge/bridge/access"
	"ntsbridge/bridge/ntp"
)

// The largest options.
const (
	maxWorkers = 256
	maxBatch   = 1024
)

// Options are fixed for the life of a Server.
type Options struct {
	Workers     int     // per listen address, 1 to 256; 0 is one for each processor that Go may use
	Batch       int     // packets per system call, 1 to 1024; 0 is 32
	Interleaved int     // departures remembered for interleaved mode; 0 is none
	Clients     Clients // the inventory; the zero value is none
	Socket      SocketOptions
	// Passed are sockets that somebody else has opened, by the address that they
	// are bound to. Each serves alone, since others may not share its port.
	Passed map[netip.AddrPort]*os.File
	// Beside answers a part of the requests; nil: the sockets answer all.
	// Departures is then the memory, zero and of a power of two times
	// DepartureLen octets, in which it looks for those of interleaved mode.
	Beside     Beside
	Departures []byte
}

// Server answers NTP requests on a set of listen addresses.
type Server struct {
	shared
	opt     Options
	slow    *slowLane
	senders atomic.Pointer[[]*socket] // the first of each address

	mu      sync.Mutex // all below; never held while a worker ends
	groups  map[netip.AddrPort][]*worker
	ending  []*worker // of addresses that are no longer listened on
	frames  []*frameWorker
	retired Counters     // of workers that have ended
	joined  []netip.Addr // multicast groups
	closed  bool

	governing sync.Mutex // the two below
	given     *State     // without the overlay
	overlay   *access.Overlays
}

// New makes a server that has nothing to do until Listen.
func New(opt Options, state *State, clock *ntp.ClockState) (*Server, error) {
	if opt.Workers == 0 {
		opt.Workers = min(runtime.GOMAXPROCS(0), maxWorkers)
	}
	if opt.Batch == 0 {
		opt.Batch = 32
	}
	if opt.Workers < 1 || opt.Workers > maxWorkers || opt.Batch < 1 || opt.Batch > maxBatch {
		return nil, fmt.Errorf("workers %d must be 1 to %d and batch %d must be 1 to %d", opt.Workers, maxWorkers, opt.Batch, maxBatch)
	}
	opt.Socket.TOS = opt.Clients.Attach != nil
	store := newTimestampStore(opt.Interleaved)
	if len(opt.Departures) > 0 {
		store = storeIn(opt.Departures)
	}
	s := &Server{opt: opt, groups: make(map[netip.AddrPort][]*worker),
		shared: shared{store: store, clients: opt.Clients, proved: newProved(),
			zeroSeed: newZeroSeedTable(), started: time.Now()}}
	s.given = state
	if opt.Beside != nil {
		opt.Beside.Begin(func() int64 { return s.mono(time.Now()) })
	}
	s.govern()
	s.SetClock(clock)
	s.slow = newSlowLane(&s.shared)
	go s.slow.run()
	s.signing = newSignLane(&s.shared)
	go s.signing.run()
	return s, nil
}

// SetState replaces keys, rules and authenticators at once; requests on their
// way are finished with what they began with.
func (s *Server) SetState(state *State) {
	s.governing.Lock()
	defer s.governing.Unlock()
	s.given = state
	s.govern()
}

// SetOverlay replaces the steps of the migration that refuse; nil: none does.
// It holds over SetState.
func (s *Server) SetOverlay(o *access.Overlays) {
	s.governing.Lock()
	defer s.governing.Unlock()
	s.overlay = o
	s.govern()
}

// govern puts the overlay over the rules of the state that was given. What
// answers beside the sockets knows the new rules when it returns, and meanwhile
// leaves all to the sockets.
func (s *Server) govern() {
	next := s.given
	if s.overlay.Len() > 0 {
		governed := *s.given
		governed.Access = s.given.Access.With(s.overlay)
		next = &governed
	}
	if s.opt.Beside == nil {
		s.state.Store(next)
		return
	}
	s.opt.Beside.Pause()
	s.state.Store(next)
	s.opt.Beside.Govern(next.Access, next.Limiter, next.Keys)
}

// Stepped says that the system clock was stepped: timestamps that are kept for
// interleaved mode are of another clock, and clients are answered in basic
// mode once.
func (s *Server) Stepped() { s.store.forget() }

// SetClock replaces the clock that is served.
func (s *Server) SetClock(clock *ntp.ClockState) {
	s.clock.Store(clock)
	if s.opt.Beside != nil {
		s.opt.Beside.SetClock(clock)
	}
}

// openGroup makes the workers of an address, which do not run yet. alone says
// that no other socket of ours has a part of it: then it is bound for nobody
// else, and the workers after the first share it.
func (s *Server) openGroup(a netip.AddrPort, alone bool) ([]*worker, error) {
	var group []*worker
	workers := s.opt.Workers
	if s.opt.Passed[a] != nil {
		workers = 1
	}
	for range workers {
		w, err := s.openWorker(a, alone && len(group) == 0)
		if err != nil {
			closeAll(group)
			return nil, err
		}
		a = w.socket.listen // the port that the first one got
		w.first = len(group) == 0
		group = append(group, w)
	}
	for _, joined := range s.joined {
		if _, err := group[0].socket.join(joined); err != nil {
			closeAll(group)
			return nil, err
		}
	}
	return group, nil
}

func (s *Server) openWorker(a netip.AddrPort, alone bool) (*worker, error) {
	k, err := s.openSocket(a, alone)
	if err != nil {
		return nil, err
	}
	if a.Port() == 0 {
		if k.listen, err = localAddr(k.fd); err != nil {
			k.close()
			return nil, err
		}
	}
	w, err := newWorker(&s.shared, s.slow, k, s.opt.Batch)
	if err != nil {
		k.close()
	}
	return w, err
}

func (s *Server) openSocket(a netip.AddrPort, alone bool) (*socket, error) {
	if f := s.opt.Passed[a]; f != nil {
		return adoptSocket(f, a, s.opt.Socket)
	}
	return openSocket(a, s.opt.Socket, alone)
}

// closeAll closes the sockets of workers that never ran.
func closeAll(workers []*worker) {
	for _, w := range workers {
		w.socket.close()
	}
}

// Sharers returns the sockets of other programs that get packets of our
// addresses at the moment, by address.
func (s *Server) Sharers() []Sharer { return sharers(s.Addresses()) }

// ZeroSeed returns the addresses seen since a time with Autokey cookies of seed
// 0, as ntpd gives them out, sorted: at most 4096, the latest.
func (s *Server) ZeroSeed(since time.Time) []ZeroSeedClient { return s.zeroSeed.since(since) }

// Addresses returns the listen addresses, sorted.
func (s *Server) Addresses() []netip.AddrPort {
	s.mu.Lock()
	defer s.mu.Unlock()
	var a []netip.AddrPort
	for k := range s.groups {
		a = append(a, k)
	}
	slices.SortFunc(a, netip.AddrPort.Compare)
	return a
}

// Counters returns the sum of all workers' counters.
func (s *Server) Counters() *Counters {
	s.mu.Lock()
	defer s.mu.Unlock()
	sum := new(Counters)
	*sum = s.retired
	for _, group := range s.groups {
		for _, w := range group {
			w.count.addTo(sum)
		}
	}
	for _, w := range s.ending {
		w.count.addTo(sum)
	}
	for _, w := range s.frames {
		w.count.addTo(sum)
	}
	s.slow.count.addTo(sum)
	s.signing.count.addTo(sum)
	sum.addBeside(s.opt.Beside)
	sum.Held, sum.Span = s.store.held()
	return sum
}

// Close answers what has arrived, closes all sockets and ends the workers.
func (s *Server) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	for _, group := range s.groups {
		s.ending = append(s.ending, group...)
	}
	s.groups = nil
	frames := slices.Clone(s.frames)
	s.mu.Unlock()
	for _, w := range frames {
		s.endFrames(w)
	}
	s.retire()
	s.slow.end()
	s.signing.end()
	return nil
}

// publish makes the sockets known to Send, in the order of the addresses. The
// first of each group joins what was joined before it was opened.
func (s *Server) publish(addresses []netip.AddrPort, groups map[netip.AddrPort][]*worker) {
	sockets := make([]*socket, 0, len(addresses))
	for _, a := range addresses {
		sockets = append(sockets, groups[a][0].socket)
	}
	s.senders.Store(&sockets)
}

// Proved says that somebody else has seen a source prove that it holds a key.
func (s *Server) Proved(from netip.Addr) { s.proved.note(from, s.mono(time.Now())) }
