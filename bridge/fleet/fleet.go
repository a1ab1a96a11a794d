package fleet

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/bridge/fleet/feed"
	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/fleet/report"
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
