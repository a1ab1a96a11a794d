package fastpath

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/cilium/ebpf"
	"github.com/hashicorp/go-hclog"

	"ntsbridge/bridge/access"
	"ntsbridge/bridge/netif"
	"ntsbridge/bridge/ntp"
	"ntsbridge/symkey"
)

// Options are fixed for the life of an Engine.
type Options struct {
	Interfaces []Interface          // to be at; empty: all that have an address that is served
	Limiter    access.LimiterConfig // whose buckets are shared
	Spare      int                  // clients that another limiter may have, see SpareLimiter; 0: there is no room for one
	Departures int                  // of interleaved mode, a power of two; 0: none
	DepartLen  int                  // octets of one
	Clients    int                  // that are noted between two readings; 0: none
	DSCP       int                  // of answers
	Log        hclog.Logger

	// Of tests. Frozen gives the monotonic and the system clock instead of the
	// machine's, nanoseconds, and the program takes the time from it: it changes
	// with SetClock. Own are the addresses instead of this host's.
	Frozen func() (mono, system int64)
	Own    func() ([]netif.Address, error)
}

// Engine is the program with what it shares with the server.
type Engine struct {
	options    Options
	objects    *ebpf.Collection
	standing   standing
	limiter    memory
	departures memory

	telling     sync.Mutex // all in this block; held for microseconds
	clock       *ntp.ClockState
	now         func() int64 // see Begin
	reader      reader
	limiterMono int64

	mu        sync.Mutex // all in this block; held while the kernel works
	keys      keyring
	rules     []entry
	ruleCount int // whose hits are counted
	wrong     string
	listen    []netip.AddrPort
	listeners map[netip.AddrPort]uint32
	places    map[objectOwnKey]objectOwn
	at        map[int]*attached
	shown     []Status
	detached  bool

	sockets sockets // for requests with NTS

	reading clientReading

	stop chan struct{}
	done sync.WaitGroup
}

// Open loads the program and makes its maps. Nothing is answered before the
// server has told clock, rules and addresses, and Attach was called.
func Open(o Options) (*Engine, error) {
	spec, err := loadObject()
	if err != nil {
		return nil, err
	}
	return open(spec, o)
}

func open(spec *ebpf.CollectionSpec, o Options) (*Engine, error) {
	if err := Supported(); err != nil {
		return nil, err
	}
	spec.Maps[objectMapLimiter].MaxEntries = uint32(o.sets())
	spec.Maps[objectMapDepartures].MaxEntries = uint32(max(1, o.Departures))
	spec.Maps[objectMapClients].MaxEntries = uint32(max(1, o.Clients))
	if !wantsXDP(o.Interfaces) {
		delete(spec.Programs, objectProgNtpXdp)
	}
	if wantsSockets(o.Interfaces) {
		if err := spec.Variables[objectVarWithSockets].Set(uint32(1)); err != nil {
			return nil, err
		}
	} else {
		spec.Maps[objectMapSockets].Type = ebpf.Array // for kernels that have no AF_XDP
	}
	if o.Frozen != nil {
		if err := spec.Variables[objectVarFrozen].Set(uint32(1)); err != nil {
			return nil, err
		}
	}
	if o.Own == nil {
		o.Own = netif.Own
	}
	if got, want := spec.Maps[objectMapLimiter].ValueSize, uint32(access.SetLen); got != want {
		return nil, fmt.Errorf("a set of the rate limiter has %d octets here and %d in the program", want, got)
	}
	if hasCipher() {
		if err := spec.Variables[objectVarWithCipher].Set(uint32(1)); err != nil {
			return nil, err
		}
	} else {
		without(spec)
	}
	objects, err := ebpf.NewCollection(spec)
	if err != nil {
		return nil, explain(err)
	}
	e := &Engine{options: o, objects: objects, listeners: make(map[netip.AddrPort]uint32), places: make(map[objectOwnKey]objectOwn),
		at: make(map[int]*attached), stop: make(chan struct{}), sockets: sockets{table: objects.Maps[objectMapSockets]}}
	if err := e.mapAll(); err != nil {
		e.objects.Close()
		return nil, err
	}
	if o.Frozen == nil {
		e.done.Go(e.renew)
		return e, nil
	}
	return e, e.knowLoopback()
}

func (e *Engine) mapAll() error {
	control, err := mapMemory(e.objects.Maps[objectMapStanding])
	if err != nil {
		return err
	}
	e.standing = control.standing()
	e.standing.Tos = uint32(e.options.DSCP << 2)
	if e.options.Departures > 0 {
		if e.departures, err = mapMemory(e.objects.Maps[objectMapDepartures]); err != nil {
			return err
		}
		e.departures = e.departures[:e.options.Departures*e.options.DepartLen]
		e.standing.DepartureShift = 64 - log2(e.options.Departures)
	}
	if e.limiter, err = mapMemory(e.objects.Maps[objectMapLimiter]); err != nil {
		return err
	}
	if e.options.Clients > 0 {
		e.standing.Epoch = 1
	}
	e.keys, err = openKeyring(e.objects)
	return err
}

// knowLoopback tells the program of the interface that Try runs it at.
func (e *Engine) knowLoopback() error {
	return e.objects.Maps[objectMapInterfaces].Put(uint32(1), &objectInterface{Index: 1, Partial: 1})
}

func log2(n int) (l uint32) {
	for ; 1<<l < n; l++ {
	}
	return l
}

// room is how many sets of the limiter lie together: there are two such rooms if
// one may take the place of another.
func (o *Options) room() int {
	if o.Spare == 0 {
		return o.Limiter.Sets()
	}
	return max(o.Limiter.Sets(), access.LimiterConfig{Clients: o.Spare}.Sets())
}

func (o *Options) sets() int {
	if o.Spare == 0 {
		return o.room()
	}
	return 2 * o.room()
}

// Limiter is the memory for the buckets, see access.NewLimiterIn.
func (e *Engine) Limiter() []byte { return e.limiter[:e.options.room()*access.SetLen] }

// SpareLimiter returns empty memory for the buckets of another limiter than the
// one that runs, nil if there is not as much.
func (e *Engine) SpareLimiter(c access.LimiterConfig, runs *access.Limiter) []byte {
	room := e.options.room()
	if e.options.Spare == 0 || c.Sets() > room {
		return nil
	}
	first := room
	if base, ok := e.baseOf(runs); ok && base == room {
		first = 0
	}
	spare := e.limiter[first*access.SetLen : (first+room)*access.SetLen]
	clear(spare)
	return spare
}

// baseOf returns the first set of a limiter, if it is in the shared memory.
func (e *Engine) baseOf(l *access.Limiter) (first int, ok bool) {
	if l == nil {
		return 0, false
	}
	for _, base := range []int{0, e.options.room()} {
		if base < e.options.sets() && l.Memory() == &e.limiter[base*access.SetLen] {
			return base, true
		}
	}
	return 0, false
}

// Departures is the memory for those of interleaved mode.
func (e *Engine) Departures() []byte { return e.departures }

// renew renews the snapshot until Close.
func (e *Engine) renew() {
	ticker := time.NewTicker(snapshotEvery)
	defer ticker.Stop()
	for {
		select {
		case <-e.stop:
			return
		case <-ticker.C:
			e.telling.Lock()
			e.tell()
			e.telling.Unlock()
		}
	}
}

// tell publishes a snapshot. The caller holds telling.
func (e *Engine) tell() {
	c, err := e.read()
	if err != nil {
		return // the last one expires
	}
	if e.limiterMono == 0 && e.now != nil {
		e.limiterMono = c.mono - e.now() // off by what lies between: microseconds
	}
	s := snapshotOf(e.clock, c, e.limiterMono)
	e.standing.publish(&s)
}

func (e *Engine) read() (clocks, error) {
	if e.options.Frozen == nil {
		return e.reader.read()
	}
	mono, system := e.options.Frozen()
	return clocks{mono: mono, offset: system - mono}, nil
}

// Begin says how the server counts the time of rate limits, nanoseconds.
func (e *Engine) Begin(mono func() int64) {
	e.telling.Lock()
	defer e.telling.Unlock()
	e.now, e.limiterMono = mono, 0
}

// SetClock says what is served.
func (e *Engine) SetClock(state *ntp.ClockState) {
	e.telling.Lock()
	defer e.telling.Unlock()
	e.clock = state
	e.tell()
}

// ServeFrames says who answers requests with NTS at interfaces of XDPNTS. It
// comes before Attach; without it their sockets are only tried.
func (e *Engine) ServeFrames(serve ServeFrames) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.sockets.serve = serve
}

// Pause makes the program pass everything until Govern.
func (e *Engine) Pause() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.standing.setGeneration(0)
}

// Govern says by which rules and keys requests are judged, and which buckets
// hold for them: those of a limiter in other memory are none that the program
// can take from, and requests under such a limit are passed.
func (e *Engine) Govern(t *access.Table, l *access.Limiter, keys *symkey.Table) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.standing.setGeneration(0)
	if e.detached {
		return
	}
	time.Sleep(settled)
	if err := e.keys.replace(keys); err != nil {
		e.options.Log.Error("the sockets answer with some keys", "reason", err)
	}
	base, limited := e.baseOf(l)
	e.standing.LimiterOn, e.standing.LimiterBase = 0, uint32(base)
	if limited {
		s := l.Shape()
		e.standing.LimiterKey, e.standing.LimiterMask4, e.standing.LimiterMask6 = s.Key, s.Mask4, s.Mask6
		e.standing.LimiterShift, e.standing.LimiterMask = uint32(s.Shift&63), uint32(1<<(64-s.Shift)-1)
		e.standing.LimiterOn = 1
	}
	if err := e.install(t, limited); err != nil {
		e.wrong = fmt.Sprintf("server.fastpath: the access rules have no room in the kernel (%v): the sockets answer everything", err)
		e.options.Log.Error("the sockets answer everything", "reason", err)
		return
	}
	e.wrong = strings.Trim(unlimited(t, limited)+"; "+e.keys.missing(), "; ")
}

// Wrong says why the sockets answer more than they would have to; else empty.
func (e *Engine) Wrong() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.wrong
}

// unlimited says that buckets cannot be shared any more, if a rule has a limit.
func unlimited(t *access.Table, limited bool) string {
	for _, r := range t.Rules() {
		if !limited && r.Rate != nil && r.Action == access.Allow {
			return "server.fastpath: a reload made rate_limit.clients larger than there is room: the sockets answer whoever has a limit, until a restart"
		}
	}
	return ""
}

// install puts rules under the next generation and switches to it.
func (e *Engine) install(t *access.Table, limited bool) error {
	old := e.rules
	generation := e.nextGeneration()
	sets := &keysets{ids: e.keys.ids, of: make(map[objectKeyset]uint32)}
	next := compile(t, generation, limited, sets)
	if err := sets.install(e.keys.keysets); err != nil {
		return err
	}
	trie := e.objects.Maps[objectMapRules]
	e.rules = nil
	for i := range next {
		if err := trie.Put(&next[i].key, &next[i].rule); err != nil {
			e.forget(next[:i])
			e.forget(old)
			return err
		}
	}
	e.ruleCount = min(len(t.Rules()), maxRules)
	if err := e.clearHits(generation); err != nil {
		return err
	}
	e.rules = next
	e.standing.setGeneration(generation)
	e.forget(old)
	return nil
}

// nextGeneration is another one than that of the rules in the trie, from 1.
func (e *Engine) nextGeneration() uint32 {
	last := uint32(0)
	if len(e.rules) > 0 {
		last = e.rules[0].key.Class >> 8
	}
	return last%(1<<23) + 1
}

func (e *Engine) forget(entries []entry) {
	for i := range entries {
		_ = e.objects.Maps[objectMapRules].Delete(&entries[i].key)
	}
}

// Listen says where the sockets are.
func (e *Engine) Listen(addresses []netip.AddrPort) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.listen = addresses
	if err := e.place(); err != nil {
		e.options.Log.Error("addresses are not answered in the kernel", "reason", err)
	}
}

// place answers at the addresses that this host has at the moment. The caller
// holds the mutex.
func (e *Engine) place() error {
	own, err := e.options.Own()
	if err != nil {
		return err
	}
	next := places(own, e.listen, e.listener)
	table := e.objects.Maps[objectMapAddresses]
	var errs []error
	for k := range e.places {
		if _, stays := next[k]; !stays {
			_ = table.Delete(&k)
		}
	}
	for k, v := range next {
		if was, there := e.places[k]; there && was == v {
			continue
		}
		if err := table.Put(&k, &v); err != nil {
			errs = append(errs, err)
			delete(next, k)
		}
	}
	e.places = maps.Clone(next)
	near := nearOf(next)
	errs = append(errs, e.objects.Maps[objectMapNearby].Put(uint32(0), &near))
	return errors.Join(errs...)
}

// listener is the number under which requests to a listen address are counted;
// those beyond the last share it.
func (e *Engine) listener(a netip.AddrPort) uint32 {
	n, ok := e.listeners[a]
	if !ok {
		n = uint32(min(len(e.listeners), maxListeners-1))
		e.listeners[a] = n
	}
	return n
}

// Detach takes the program from all interfaces: the sockets answer everything.
// What it has counted can still be read.
func (e *Engine) Detach() {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.detached {
		return
	}
	e.detached = true
	e.standing.setGeneration(0)
	for index, a := range e.at {
		e.leave(a)
		delete(e.at, index)
	}
	e.keys.wipe()
	close(e.stop)
}

// Close detaches and gives everything back, but for the memory that the server
// may still look at.
func (e *Engine) Close() error {
	if e == nil {
		return nil
	}
	e.Detach()
	e.done.Wait()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.objects.Close()
	return nil
}
