package steer_test

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"ntsbridge/bridge/access"
	"ntsbridge/bridge/fleet/history"
	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/fleet/plan"
	"ntsbridge/bridge/fleet/stage"
	"ntsbridge/bridge/fleet/steer"
	"ntsbridge/bridge/ntp"
)

// world is a gateway with clients, in virtual time.
type world struct {
	t       testing.TB
	now     steer.Moment
	clients []*client
	rules   *access.Table // those in force
	base    *access.Table
	dir     string
	disk    disk
	history *history.File
	c       *steer.Controller
	blind   error // why the inventory cannot be asked
	told    []*history.Entry
	stray   []string // refusals that no declared step explains

	stateFull bool // the disk is full for the state alone
}

// disk is what outlives a kill.
type disk struct {
	state []byte
	full  bool
}

// client asks each poll.
type client struct {
	row     inventory.Client
	poll    time.Duration
	next    time.Duration
	gives   int  // after so many unanswered it stops for good; 0: never
	gone    bool // it has
	refused int
	nts     bool
	follows bool // ntpd: another server, and says so
	// chrony: it follows another server, and asks less often after each loss.
	backsOff bool
	climbs   []int // losses after which its poll is twice as long
}

const testPoll = 64 * time.Second

var errFull = errors.New("no space left on device")

func newWorld(t testing.TB, text string, clients int) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir()}
	w.now = steer.Moment{Wall: time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC), Uptime: time.Hour, Synchronised: true}
	all := access.Rule{Prefix: netip.MustParsePrefix("0.0.0.0/0"), Action: access.Allow, Kinds: access.AllKinds}
	var err error
	if w.base, err = access.NewTable([]access.Rule{all}); err != nil {
		t.Fatal(err)
	}
	for i := range clients {
		a := netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
		k := &client{poll: testPoll, next: w.now.Uptime + time.Duration(i%64)*time.Second}
		k.row = inventory.Client{Prefix: netip.PrefixFrom(a, 32), Addresses: 1, Hosts: 1,
			Means: []inventory.Means{{Kind: ntp.KindSymmetric, Key: 5, Interval: testPoll, Proved: true, Program: "chrony"}}}
		w.clients = append(w.clients, k)
	}
	w.boot()
	if text != "" {
		w.run(2 * testPoll)
		if _, err := w.c.Apply(w.now, "fleet.yaml", []byte(text), by); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

var by = steer.By{Who: "user 0", Reason: "test"}

// boot starts the gateway from what is on the disk.
func (w *world) boot() {
	w.t.Helper()
	var err error
	if w.history != nil {
		w.history.Close()
	}
	if w.history, _, err = history.Open(filepath.Join(w.dir, "history"), w.now.Wall); err != nil {
		w.t.Fatal(err)
	}
	var kept *steer.State
	if w.disk.state != nil {
		if kept, err = steer.ParseState(w.disk.state); err != nil {
			w.t.Fatal(err)
		}
	}
	w.rules = w.base
	w.c = steer.New(w.environment(), kept, w.now)
}

func (w *world) environment() steer.Environment {
	return steer.Environment{
		Each: func(see func(*inventory.Client)) error {
			for _, k := range w.clients {
				see(&k.row)
			}
			return w.blind
		},
		Where: func() stage.Where { return stage.Where{} },
		Record: func(e *history.Entry) error {
			if w.disk.full {
				return errFull
			}
			return w.history.Append(e)
		},
		Keep: func(b []byte) error {
			if w.disk.full || w.stateFull {
				return errFull
			}
			w.disk.state = append([]byte(nil), b...)
			return nil
		},
		Forget: func() error { w.disk.state = nil; return nil },
		Enforce: func(r *stage.Resolver, list []stage.Refusal) {
			if w.rules = w.base; r != nil && len(list) > 0 {
				w.rules = w.base.With(r.Compile(list))
			}
		},
		Tell: func(e *history.Entry, _ *plan.Notify) { w.told = append(w.told, e) },
		Key:  []byte("key"),
	}
}

// run lets time go by: clients ask, and the controller looks each second.
func (w *world) run(d time.Duration) {
	for end := w.now.Uptime + d; w.now.Uptime < end; {
		w.now.Uptime += time.Second
		w.now.Wall = w.now.Wall.Add(time.Second)
		for _, k := range w.clients {
			if k.next <= w.now.Uptime && !k.gone {
				w.ask(k)
			}
		}
		w.c.Tick(w.now)
	}
}

func (w *world) ask(k *client) {
	k.next += k.poll
	wall := uint32(w.now.Wall.Unix())
	if k.nts {
		m := &k.row.Means[1]
		m.Last, m.Served = wall, wall
		m.Answered++
		k.row.Last = wall
		return
	}
	m := &k.row.Means[0]
	m.Last, k.row.Last = wall, wall
	if k.follows {
		k.row.Upstream.Reference = wall - 64
	}
	if k.backsOff && m.Unanswered > 0 && m.Unanswered%3 == 0 || slices.Contains(k.climbs, int(m.Unanswered)) {
		k.poll *= 2
		m.Interval = k.poll
	}
	step := w.rules.Lookup(netip.AddrPortFrom(k.row.Prefix.Addr(), 123)).Refuses(m.Kind, m.Key)
	if step == nil {
		m.Served, m.Unanswered = wall, 0
		m.Answered++
		return
	}
	step.Count()
	if _, declared := w.c.Refusing()[step.ID]; !declared {
		w.stray = append(w.stray, fmt.Sprintf("%v by step %d", k.row.Prefix, step.ID))
	}
	k.refused++
	m.Unanswered++
	if k.gives > 0 && int(m.Unanswered) >= k.gives {
		k.gone = true
	}
}

// move lets a client go on by NTS.
func (w *world) move(k *client) {
	k.nts, k.gone = true, false
	k.next = w.now.Uptime
	k.row.Means = append(k.row.Means[:1:1], inventory.Means{Kind: ntp.KindNTS, Proved: true, Interval: testPoll})
}

func (w *world) advance() {
	w.t.Helper()
	if _, err := w.c.Advance(w.now, "fra", "symmetric", by); err != nil {
		w.t.Fatal(err)
	}
}

// spans are the times of refusal that are on the disk.
func (w *world) spans() []steer.Span {
	w.t.Helper()
	s, err := steer.ParseState(w.disk.state)
	if err != nil {
		w.t.Fatal(err)
	}
	return s.Places[0].Refused
}

func (w *world) place() steer.PlaceStatus { return w.c.Status(w.now).Places[0] }

// refusing counts the clients that would be refused now.
func (w *world) refusing() (n int) {
	for _, k := range w.clients {
		if w.rules.Lookup(netip.AddrPortFrom(k.row.Prefix.Addr(), 123)).Refuses(ntp.KindSymmetric, 5) != nil {
			n++
		}
	}
	return n
}

func (w *world) check() {
	w.t.Helper()
	if len(w.stray) > 0 {
		w.t.Errorf("refused without a declared step: %v", w.stray[:min(5, len(w.stray))])
	}
	if _, err := w.history.Read(nil); err != nil {
		w.t.Error(err)
	}
}
