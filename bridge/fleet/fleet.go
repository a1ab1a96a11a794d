package fleet

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"io/fs"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/bridge/fleet/feed"
	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/fleet/report"
	"ntsbridge/bridge/fleet/store"
	"ntsbridge/bridge/ntp"
)

// Config says what is kept of clients, for how long and where.
type Config struct {
	Enabled   bool
	Clients   int                 // rows
	Addresses inventory.Addresses // what counts as one client
	Retention time.Duration       // after which a silent client is taken out
	File      string              // of the store, empty: in memory only
	Now       func() time.Time    // nil: time.Now
}

// How often things are done. The store is at most writeInterval behind, and with
// what a transaction takes below the ten seconds that may be lost.
const (
	drainInterval = time.Second
	writeInterval = 4 * time.Second
	foldInterval  = 15 * time.Minute
	tableSize     = 4096 // sightings per worker and second, before it is drained early
	maxNotes      = 4096
)

// Fleet is the inventory at work.
type Fleet struct {
	log    hclog.Logger
	now    func() time.Time
	cfg    Config
	on     atomic.Bool
	wake   chan struct{}
	stop   chan struct{}
	wait   sync.WaitGroup
	names  atomic.Pointer[report.Names]
	lost   atomic.Uint64 // packets that found their table full
	proved atomic.Uint64 // of them authenticated
	pull   atomic.Pointer[Pull]

	feeds feeds
	notes notes

	mu        sync.Mutex // inventory
	inventory *inventory.Inventory
	refusals  *refusalLog

	disk     disk     // the writer's
	listings listings // that are read part by part
}

// Open makes the inventory and reads its store. An error is one of the
// configuration; what is wrong with the store is logged.
func Open(cfg Config, names *report.Names, log hclog.Logger) (*Fleet, error) {
	var seed [16]byte
	if _, err := rand.Read(seed[:]); err != nil {
		return nil, err
	}
	f := &Fleet{log: log, cfg: cfg, wake: make(chan struct{}, 1), stop: make(chan struct{}),
		refusals: newRefusalLog(log, cfg.Addresses)}
	if f.now = cfg.Now; f.now == nil {
		f.now = time.Now
	}
	f.feeds.seed = [2]uint64{binary.LittleEndian.Uint64(seed[:8]), binary.LittleEndian.Uint64(seed[8:])}
	f.names.Store(names)
	var err error
	f.inventory, err = inventory.New(inventory.Options{Capacity: cfg.Clients, Seed: f.feeds.seed, Addresses: cfg.Addresses})
	if err != nil {
		return nil, err
	}
	f.on.Store(cfg.Enabled)
	if cfg.Enabled && cfg.File != "" {
		f.openStore(f.now())
	}
	return f, nil
}

// Run starts collector and writer.
func (f *Fleet) Run() {
	f.wait.Go(f.collect)
	f.wait.Go(f.write)
}

// Pull is asked, before each drain, for what others than workers saw. It returns
// how many clients it lost.
type Pull func(see func(*feed.Sighting)) (lost uint64)

// SetPull says whom to ask, too.
func (f *Fleet) SetPull(p Pull) { f.pull.Store(&p) }

// pulled moves what was pulled into the inventory.
func (f *Fleet) pulled() {
	pull := f.pull.Load()
	if pull == nil {
		return
	}
	n := 0
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lost.Add((*pull)(func(s *feed.Sighting) {
		if n++; n%share == 0 { // let readers in
			f.mu.Unlock()
			f.mu.Lock()
		}
		f.inventory.See(s)
	}))
}

// SetNames replaces labels and key names, as a reload does.
func (f *Fleet) SetNames(n *report.Names) { f.names.Store(n) }

// Close ends collector and writer; what was seen is written.
func (f *Fleet) Close() error {
	close(f.stop)
	f.wait.Wait()
	return f.disk.close()
}

// Attach returns a feed for one worker, nil if the inventory is off.
func (f *Fleet) Attach() *feed.Feed {
	if f == nil || !f.on.Load() {
		return nil
	}
	return f.feeds.attach(f.wake)
}

// Detach takes a feed whose worker has ended.
func (f *Fleet) Detach(d *feed.Feed) {
	if f != nil && d != nil {
		f.feeds.detach(d)
	}
}

// feeds are the feeds of all workers.
type feeds struct {
	mu   sync.Mutex
	seed [2]uint64
	list []*feed.Feed
	gone []*feed.Feed // to be drained a last time
}

func (s *feeds) attach(wake chan<- struct{}) *feed.Feed {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := feed.New(tableSize, s.seed, wake)
	s.list = append(s.list, d)
	return d
}

func (s *feeds) detach(d *feed.Feed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, e := range s.list {
		if e == d {
			s.list = append(s.list[:i:i], s.list[i+1:]...)
			s.gone = append(s.gone, d)
			return
		}
	}
}

func (s *feeds) all() (list, gone []*feed.Feed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list, gone = append([]*feed.Feed(nil), s.list...), s.gone
	s.gone = nil
	return list, gone
}

// collect drains feeds until Close.
func (f *Fleet) collect() {
	ticker := time.NewTicker(drainInterval)
	defer ticker.Stop()
	for {
		select {
		case <-f.stop:
			f.drain()
			return
		case <-ticker.C:
		case <-f.wake:
		}
		f.drain()
	}
}

// drain moves what the workers saw into the inventory. A worker that is in the
// middle of a batch gives its table at the end of it, and is asked again.
func (f *Fleet) drain() {
	f.pulled()
	list, gone := f.feeds.all()
	for _, d := range append(list, gone...) {
		for try := 0; !f.drainOne(d) && try < 20; try++ {
			time.Sleep(200 * time.Microsecond)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.listings.expire(f.now())
	f.notes.drain(f.inventory, f.now())
	f.refusals.flush(f.now())
}

// share is how many sightings are looked at while the mutex is held.
const share = 1024

func (f *Fleet) drainOne(d *feed.Feed) bool {
	n := 0
	f.mu.Lock()
	defer f.mu.Unlock()
	lost, ok := d.Drain(func(s *feed.Sighting) {
		if n++; n%share == 0 { // let readers in
			f.mu.Unlock()
			f.mu.Lock()
		}
		f.inventory.See(s)
		if s.Reason != 0 {
			f.refusals.note(s)
		}
	})
	if lost.Strangers+lost.Proved > 0 {
		f.lost.Add(lost.Strangers + lost.Proved)
		f.proved.Add(lost.Proved)
	}
	return ok
}

// Drain waits until what was answered before the call is in the inventory.
func (f *Fleet) Drain() { f.drain() }

// notes are what comes too seldom for a table: NTS-KE and Autokey's messages.
type notes struct {
	mu         sync.Mutex
	handshakes []inventory.Handshake
	autokey    []inventory.Autokey
	lost       uint64
}

// Handshake notes an NTS-KE connection.
func (f *Fleet) Handshake(h inventory.Handshake) {
	if f == nil || !f.on.Load() {
		return
	}
	f.notes.mu.Lock()
	defer f.notes.mu.Unlock()
	if len(f.notes.handshakes) >= maxNotes {
		f.notes.lost++
		return
	}
	f.notes.handshakes = append(f.notes.handshakes, h)
}

// Autokey notes what an ASSOC message told.
func (f *Fleet) Autokey(a inventory.Autokey) {
	if f == nil || !f.on.Load() {
		return
	}
	f.notes.mu.Lock()
	defer f.notes.mu.Unlock()
	if len(f.notes.autokey) >= maxNotes {
		f.notes.lost++
		return
	}
	f.notes.autokey = append(f.notes.autokey, a)
}

// noteWaits is for how long a note waits for the row that its packet makes: the
// worker that answered it may give its table away later, and an address that
// anybody may have written passes a probation first.
const noteWaits = time.Minute

// drain moves notes into the inventory.
func (n *notes) drain(v *inventory.Inventory, now time.Time) {
	n.mu.Lock()
	handshakes, autokey := n.handshakes, n.autokey
	n.handshakes, n.autokey = nil, nil
	n.mu.Unlock()
	for i := range handshakes {
		v.SeeHandshake(&handshakes[i])
	}
	var early []inventory.Autokey
	for i := range autokey {
		if !v.SeeAutokey(&autokey[i]) && ntp.TimestampFromTime(now).Sub(autokey[i].At) < noteWaits {
			early = append(early, autokey[i])
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.autokey = append(early, n.autokey...)
	if over := len(n.autokey) - maxNotes; over > 0 {
		n.lost += uint64(over)
		n.autokey = n.autokey[over:]
	}
}

// StoreFile is the name of the store in the state directory.
const StoreFile = "inventory.db"

// openStore reads the store. Without one the inventory is in memory.
func (f *Fleet) openStore(now time.Time) {
	s, rep, err := store.Open(f.cfg.File, f.inventory, now)
	if err != nil {
		f.log.Error("inventory: the store cannot be used: clients are kept in memory and lost at the end; it is tried again every minute",
			"file", f.cfg.File, "error", err, "remedy", storeRemedy(err))
		f.disk.failed = now
		return
	}
	f.logStore(rep)
	if n, err := s.Compact(); err != nil {
		f.log.Warn("inventory: the store was not compacted", "error", err)
	} else if n > 0 {
		f.log.Info("inventory: the store was compacted", "octets_before", n)
	}
	if err := s.Begin(now); err != nil {
		f.log.Error("inventory: the store cannot be written", "error", err)
	}
	if watched, err := s.Watched(); err == nil {
		f.disk.setWatched(watched)
	}
	f.disk.readDays(s, now)
	f.disk.store, f.disk.folded = s, now
}

func (f *Fleet) logStore(rep *store.Report) {
	switch {
	case rep.PutAside != "":
		f.log.Error("inventory: the store was damaged and put aside; a new one has begun with what could be read",
			"file", rep.PutAside, "damage", rep.Why, "records_lost", rep.Damaged, "clients", f.inventory.Len())
	case rep.FirstStart:
		f.log.Info("inventory: a store was made", "file", f.cfg.File)
	default:
		f.log.Info("inventory: the store was read", "clients", rep.Rows)
	}
	if rep.Lost > 0 {
		f.log.Warn("inventory: there was no room for some clients of the store: raise fleet.clients", "clients", rep.Lost)
	}
}

func storeRemedy(err error) string {
	switch {
	case errors.Is(err, store.ErrInUse):
		return "stop the other ntsbridge, or give this one its own --state-dir"
	case errors.Is(err, store.ErrNewer):
		return "run the newer version, or move the file away"
	case errors.Is(err, fs.ErrPermission):
		return "the state directory must be writable for this user"
	}
	return "make room on the disk, or make the file system writable"
}
